"""The report of a copy by the published recipe, from stores of public people."""

import math
from fractions import Fraction

import numpy as np
import pytest

from noisegate.genomics import published
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import KeyStream
from noisegate.genomics.report import shareable_report
from noisegate.genomics.report.published import as_published
from noisegate.genotypes.packed import pack
from noisegate.genotypes.store import Writer
from noisegate.genotypes.variants import Variants

from ..panels import panels
from .test_documents import Page


def stored(path, calls, public=True):
    variants = Variants.of(
        ["1"] * len(calls),
        np.arange(len(calls)) * 500 + 1,
        [""] * len(calls),
        ["A"] * len(calls),
        ["C"] * len(calls),
    )
    samples = tuple(f"p{i}" for i in range(calls.shape[1]))
    writer = Writer.create(path, samples=samples, variants=variants, public=public)
    for chunk in writer.chunks():
        start, stop = writer.bounds(chunk)
        writer.write(chunk, pack(np.ascontiguousarray(calls[start:stop])))
    return writer.finish()


@pytest.fixture
def stores(tmp_path):
    rng = np.random.default_rng(50)
    target, reference = (
        stored(tmp_path / f"{name}.zarr", panels.random_calls(rng, 80, 30))
        for name in ("target", "reference")
    )
    law = published.scheme(published.correlations(reference), Fraction(1))
    ((_, block),) = published.release(target, law, KeyStream(ReleaseKey(bytes(16))))
    variants = target.variants
    writer = Writer.create(tmp_path / "copy.zarr", samples=target.samples, variants=variants, public=True)
    writer.write(0, block)
    return target, reference, writer.finish(), law


@pytest.mark.parametrize("to_exact", [True, False])
def test_the_copy_is_shown_with_its_claim_and_with_what_holds(stores, to_exact):
    target, reference, copy, law = stores
    facts = as_published("copy", target, reference, copy, law, to_exact=to_exact, created="2026-01-01")
    assert facts.published is not None
    assert facts.published.claimed == 80
    assert facts.published.exact == pytest.approx(float(law.exact))
    assert math.isinf(facts.protection.person) == to_exact
    text = Page(shareable_report(facts)[0]).text
    assert "It claims ε = 80 for one person" in text
    assert ("There is no guarantee" in text) == to_exact
    assert ("no differential privacy at any ε" in text) == to_exact
    assert "Nothing: everybody in these data is public already" in text
    assert "Attacks on" not in text
    assert "point error" in text


def test_a_private_store_makes_no_such_report(stores, tmp_path):
    _, reference, copy, law = stores
    private = stored(
        tmp_path / "private.zarr", panels.random_calls(np.random.default_rng(1), 80, 30), public=False
    )
    with pytest.raises(ValueError, match="public genotypes alone"):
        as_published("copy", private, reference, copy, law, to_exact=True, created="2026-01-01")
