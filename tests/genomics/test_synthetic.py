"""Synthetic people: the chain that was fitted is what is drawn, and the fit is consistent."""

from fractions import Fraction

import numpy as np
import pytest

from noisegate.errors import BadInput, Forbidden
from noisegate.genomics import chains, synthetic
from noisegate.genomics.chains import Chain
from noisegate.genomics.counts import Alleles, Pairs, Plan, measure
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import Domain, KeyStream
from noisegate.genomics.panel import Panel, chain_starts
from noisegate.genotypes.packed import unpack
from noisegate.privacy.curves import gaussian
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.noise import Gaussian, Laplace

from .held import held

F = Fraction

KEY = ReleaseKey(bytes(range(16)))
DELTA = F(1, 10**6)
QUIET = Gaussian(F(1, 64))


def linked(variants, people, seed=0, chains_of=10):
    """Return calls whose neighbours go together, within chains, and where chains start."""
    rng = np.random.default_rng(seed)
    starts = np.arange(variants) % chains_of == 0
    calls = np.empty((variants, people), np.int8)
    p = rng.uniform(0.2, 0.5, variants)
    for half in range(2):
        allele = np.zeros(people, bool)
        for v in range(variants):
            fresh = rng.random(people) < p[v]
            allele = fresh if starts[v] else np.where(rng.random(people) < 0.7, allele, fresh)
            calls[v] = allele if half == 0 else calls[v] + allele
    return calls, starts


def tables_of(calls, starts):
    """Shares of pairs of genotypes, shape (tables, 3, 3)."""
    rights = np.flatnonzero(~starts)
    found = np.zeros((len(rights), 3, 3))
    for t, v in enumerate(rights):
        np.add.at(found[t], (calls[v - 1], calls[v]), 1 / calls.shape[1])
    return found


def halves(variants=40, people=800, seed=0):
    calls, starts = linked(variants, 2 * people, seed)
    return calls[:, :people], calls[:, people:], starts


def drawn(chain, people, chunk=0):
    return unpack(synthetic.draw_chunk(chain, 0, chain.variants, people, KEY, chunk))


def plain_draw(chain, people, key, chunk):
    """The slow twin, in Python's whole numbers."""
    words = KeyStream(key).words(chunk, Domain.SYNTHETIC, chain.variants * people).tolist()
    calls = np.zeros((chain.variants, people), np.int8)
    for i in range(people):
        before = 0
        for v in range(chain.variants):
            some, both = (int(t) for t in chain.at_least[v, before])
            before = int(words[v * people + i] < some) + int(words[v * people + i] < both)
            calls[v, i] = before
    return calls


def test_people_are_drawn_by_comparing_words_of_the_key_stream_with_thresholds():
    calls, starts = linked(30, 200)
    chain = chains.fit(starts, 200, Panel.of(held(calls, public=True), starts))
    for people in (1, 64, 70):
        assert (drawn(chain, people) == plain_draw(chain, people, KEY, 0)).all()


def test_a_chunk_is_the_same_however_many_words_are_drawn_at_a_time(monkeypatch):
    calls, starts = linked(30, 200)
    chain = chains.fit(starts, 200, Panel.of(held(calls, public=True), starts))
    for people in (64, 51):
        whole = drawn(chain, people)
        with monkeypatch.context() as few:
            few.setattr(synthetic, "AT_ONCE", 5 * people)
            assert (drawn(chain, people) == whole).all()


def test_another_chunk_or_key_gives_other_people():
    calls, starts = linked(30, 200)
    chain = chains.fit(starts, 200, Panel.of(held(calls, public=True), starts))
    assert (drawn(chain, 90) != drawn(chain, 90, chunk=1)).mean() > 0.2


def test_chunks_begin_where_chains_do():
    calls, starts = linked(30, 200)
    chain = chains.fit(starts, 200, Panel.of(held(calls, public=True), starts))
    parts = list(synthetic.draw(chain, 50, KEY, iter([(0, 10), (10, 30)])))
    assert [part.variants for part in parts] == [10, 20]
    for start, stop in ((5, 10), (0, 31), (-10, 10), (10, 10)):
        with pytest.raises(BadInput):
            synthetic.draw_chunk(chain, start, stop, 5, KEY, 0)


def test_who_is_drawn_follows_the_chain():
    """Pairs among many drawn people lie where thresholds say, within 4.5 standard errors."""
    calls, starts = linked(20, 300)
    chain = chains.fit(starts, 300, Panel.of(held(calls, public=True), starts))
    people = 100_000
    found = tables_of(drawn(chain, people), starts)
    given = chain.at_least.astype(float) / 2.0**64
    shares = np.stack([1 - given[..., 0], given[..., 0] - given[..., 1], given[..., 1]], axis=-1)
    margin, wanted = shares[0, 0], []
    for v in range(20):
        margin = shares[v, 0] if starts[v] else margin
        joint = margin[:, None] * shares[v]
        if not starts[v]:
            wanted.append(joint)
            margin = joint.sum(axis=0)
    z = (found - wanted) / np.sqrt(np.array(wanted) * (1 - np.array(wanted)) / people)
    assert np.abs(z).max() < 4.5
    assert 0.8 < z.std() < 1.2


def test_tables_are_raked_to_their_margins():
    rng = np.random.default_rng(1)
    tables, rows, columns = (
        rng.random((50, 3, 3)) + 0.01,
        *(rng.dirichlet(np.ones(3) * 3, 50) for _ in range(2)),
    )
    found = chains.rake(tables, rows, columns)
    assert found.sum(axis=2) == pytest.approx(rows, abs=1e-9)
    assert found.sum(axis=1) == pytest.approx(columns, abs=1e-3)
    odds = lambda t: t[:, 0, 0] * t[:, 1, 1] / (t[:, 0, 1] * t[:, 1, 0])  # noqa: E731
    assert odds(found) == pytest.approx(odds(tables))


def test_a_chain_of_hardly_noisy_tables_has_the_frequencies_and_pairs_of_the_people():
    ours, theirs, starts = halves(people=3_000)
    pairs = measure(Plan(Pairs(starts), QUIET), held(ours))
    for panel in (None, Panel.of(held(theirs, public=True), starts)):
        chain = chains.fit(starts, 3_000, panel, None, pairs)
        assert chain.frequency == pytest.approx(ours.mean(axis=1) / 2, abs=2e-3)
        people = drawn(chain, 60_000)
        assert people.mean(axis=1) == pytest.approx(ours.mean(axis=1), abs=0.02)
        assert np.abs(tables_of(people, starts) - tables_of(ours, starts)).mean() < 0.004


def test_linkage_comes_from_the_panel_where_only_alleles_are_counted_and_there_is_none_without_one():
    ours, theirs, starts = halves(people=3_000)
    alleles = measure(Plan(Alleles(40), QUIET), held(ours))
    truth = tables_of(ours, starts)
    with_panel, without = (
        np.abs(tables_of(drawn(chains.fit(starts, 3_000, panel, alleles), 60_000), starts) - truth).mean()
        for panel in (Panel.of(held(theirs, public=True), starts), None)
    )
    assert with_panel < 0.007
    assert without > 5 * with_panel


def test_noisy_tables_are_drawn_to_the_panel_as_far_as_noise_demands():
    ours, theirs, starts = halves(people=3_000)
    truth, panel = tables_of(ours, starts), Panel.of(held(theirs, public=True), starts)
    errors = []
    for sigma in (1, 40, 4_000):
        found = []
        for _ in range(5):  # large noise looks like a difference now and then
            pairs = measure(Plan(Pairs(starts), Gaussian(F(sigma))), held(ours))
            people = drawn(chains.fit(starts, 3_000, panel, None, pairs), 100_000)
            found.append(np.abs(tables_of(people, starts) - truth).mean())
        errors.append(np.median(found))
    from_panel = np.abs(tables_of(drawn(chains.fit(starts, 3_000, panel), 100_000), starts) - truth).mean()
    assert errors[0] < errors[1] < 1.1 * from_panel
    assert errors[2] == pytest.approx(from_panel, rel=0.15)


def test_the_whole_budget_is_spent_and_no_more():
    starts = chain_starts(np.zeros(200))
    for tables in (F(0), F(1, 3), F(1)):
        for delta in (F(0), DELTA):
            plan = synthetic.design(starts, F(4), delta, None, tables)
            assert F(39, 10) < stand_alone_epsilon(plan.loss, delta) <= 4
            assert (plan.pairs is None) == (tables == 0)
            assert (plan.alleles is None) == (tables == 1)
            noise = (plan.pairs or plan.alleles).noise
            assert isinstance(noise, Laplace if delta == 0 else Gaussian)


def test_the_loss_of_tables_is_that_of_moving_two_cells_a_pair():
    starts = chain_starts(np.array([1] * 60 + [2] * 41))
    plan = synthetic.design(starts, F(4), DELTA, None, F(1))
    rho = F(2 * (59 + 40)) / (2 * plan.pairs.noise.scale**2)
    assert plan.loss == gaussian(rho)


def test_tables_are_measured_only_where_they_say_more_than_the_panel():
    _, theirs = linked(500, 1_000)[0], linked(500, 1_000, seed=1)[0]
    starts = np.arange(500) % 10 == 0
    panel = Panel.of(held(theirs, public=True), starts)
    assert synthetic.design(starts, F(1), DELTA, panel, people=500).pairs is None
    assert synthetic.design(starts, F(1), DELTA, panel, people=10**6).pairs is not None
    assert synthetic.design(starts, F(1), DELTA, None).pairs is not None


def test_people_put_together_from_a_panel_are_repeatable_and_linked_like_it():
    calls, _ = linked(500, 400, chains_of=250)
    panel = held(calls, public=True)
    found = unpack(synthetic.copy_chunk(panel, 0, 500, 2_000, KEY, 4))
    assert (unpack(synthetic.copy_chunk(panel, 0, 500, 2_000, KEY, 4)) == found).all()
    assert (unpack(synthetic.copy_chunk(panel, 0, 500, 2_000, KEY, 5)) != found).any()
    assert found.mean(axis=1) == pytest.approx(calls.mean(axis=1), abs=0.1)
    for lag in (1, 5):
        together = [
            np.array([np.corrcoef(c[v], c[v + lag])[0, 1] for v in range(200)]) for c in (calls, found)
        ]
        assert np.abs(together[0] - together[1]).mean() < 0.05
    part = unpack(synthetic.copy_chunk(panel, 100, 200, 50, KEY, 0))
    assert part.shape == (100, 50)


def test_people_are_not_put_together_from_private_ones():
    with pytest.raises(Forbidden):
        synthetic.copy_chunk(held(linked(10, 5)[0]), 0, 10, 5, KEY, 0)


def test_designs_that_make_no_sense_are_refused():
    starts = chain_starts(np.zeros(5))
    panel = Panel.of(held(linked(5, 20)[0], public=True), starts)
    for given in (
        {"tables": F(-1, 2)},
        {"tables": F(3, 2)},
        {"panel": panel},  # for how many people is not said
    ):
        with pytest.raises(BadInput):
            synthetic.design(**{"starts": starts, "epsilon": F(1), "delta": DELTA, "panel": None, **given})
    with pytest.raises(BadInput):
        synthetic.design(np.ones(5, bool), F(1), DELTA, None, F(1, 2))
    assert synthetic.design(np.ones(5, bool), F(1), DELTA, None).pairs is None


def test_a_release_measures_draws_and_is_near_its_people():
    ours, theirs, starts = halves(people=2_000)
    panel = Panel.of(held(theirs, public=True), starts)
    plan = synthetic.design(starts, F(10), DELTA, panel, F(1, 2))
    measured = synthetic.release(held(ours), plan)
    chain = synthetic.model(measured, starts, 2_000, panel)
    truth = ours.mean(axis=1) / 2
    assert np.abs(chain.frequency - truth).mean() < 0.5 * np.abs(panel.frequency - truth).mean()


def test_tables_of_other_neighbours_do_not_fit_a_chain():
    ours, _, starts = halves()
    pairs = measure(Plan(Pairs(starts), QUIET), held(ours))
    with pytest.raises(BadInput):
        chains.fit(chain_starts(np.zeros(40)), 800, None, None, pairs)
    alone = np.array([True, True, False])
    with pytest.raises(BadInput, match="nothing is measured"):
        chains.fit(alone, 800, None, None, measure(Plan(Pairs(alone), QUIET), held(ours[:3])))


def test_a_chain_checks_itself():
    thresholds = np.zeros((2, 3, 2), np.uint64)
    thresholds[0, 0, 1] = 1
    for at_least in (thresholds, np.zeros((2, 2, 2), np.uint64), np.zeros((2, 3, 2))):
        with pytest.raises(ValueError):  # noqa: PT011
            Chain(np.array([True, False]), at_least, np.zeros(2))


def test_margins_are_shares_with_the_wanted_frequencies_and_the_panels_lack_of_heterozygotes():
    rng = np.random.default_rng(0)
    groups = [rng.uniform(0.05, 0.95, (400, 1)) for _ in range(2)]  # two populations that do not mix
    calls = np.concatenate([rng.binomial(2, p, (400, 300)) for p in groups], axis=1).astype(np.int8)
    panel = Panel.of(held(calls, public=True), np.ones(400, bool))
    frequency = np.linspace(0, 1, 400)
    for found in (chains.margins(frequency, panel), chains.margins(frequency, None)):
        assert found.min() > 0
        assert found.sum(axis=1) == pytest.approx(np.ones(400))
        assert found[:, 1] + 2 * found[:, 2] == pytest.approx(2 * frequency, abs=1e-7)
    own = chains.margins(panel.frequency, panel)[:, 1]
    seen = (calls == 1).mean(axis=1)
    even = chains.margins(panel.frequency, None)[:, 1]
    assert np.abs(own - seen).mean() < 0.3 * np.abs(even - seen).mean()
