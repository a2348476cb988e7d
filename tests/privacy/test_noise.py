import math
import time
from decimal import localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.errors import InternalError
from noisegate.privacy import samplers, staircase
from noisegate.privacy.curves import decimal_of, exactly
from noisegate.privacy.noise import Gaussian, Laplace, add, half_width, laplace_tail, standard_deviation
from noisegate.privacy.samplers import float_up
from noisegate.privacy.staircase import Staircase, best_width

from . import laws

F = Fraction


def sampled(noise, count):
    return add(noise, np.zeros(count, dtype=np.int64))


@pytest.mark.parametrize("scale", [0.7, 5.0, 37.25])
def test_laplace_follows_its_law(scale):
    near = {"10% less": laws.laplace(0.9 * scale), "10% more": laws.laplace(1.1 * scale)}
    draws = sampled(Laplace(F(scale)), 45_000)
    laws.assert_follows(draws, laws.laplace(scale), not_these=near)


def test_a_sampler_that_draws_a_tenth_less_noise_is_found_out(monkeypatch):
    honest = samplers.add_laplace
    monkeypatch.setattr(samplers, "add_laplace", lambda v, scale: honest(v, scale * F(9, 10)))
    near = {"10% less": laws.laplace(4.5), "10% more": laws.laplace(5.5)}
    with pytest.raises(AssertionError, match="10% less"):
        laws.assert_follows(sampled(Laplace(F(5)), 45_000), laws.laplace(5.0), not_these=near)


@pytest.mark.parametrize("sigma", [0.7, 5.0, 37.25])
def test_gaussian_follows_its_law(sigma):
    near = {"10% less": laws.gaussian(0.9 * sigma), "10% more": laws.gaussian(1.1 * sigma)}
    draws = sampled(Gaussian(F(sigma)), 30_000)
    laws.assert_follows(draws, laws.gaussian(sigma), not_these=near)


@pytest.mark.parametrize(("stair", "epsilon", "width"), [(10, F(3), 2), (1, F(1), 1), (7, F(3, 2), 7)])
def test_staircase_follows_its_law(stair, epsilon, width):
    e = float(epsilon)
    near = {
        "10% less": laws.staircase(stair, 1.1 * e, width),
        "10% more": laws.staircase(stair, 0.9 * e, width),
    }
    draws = sampled(Staircase(stair, epsilon, width), 30_000)
    laws.assert_follows(draws, laws.staircase(stair, e, width), not_these=near)


RISING = [-9, -6, -4, -3, -1, 0, -2, -4, -7, -12]
TIED = [-5, -5, 0, 0, 0, -1, -1]


def flipped(scores, scale, count):
    return samplers.permute_and_flip(np.tile(np.array(scores, dtype=np.int64), (count, 1)), F(scale))


@pytest.mark.parametrize(("scores", "scale", "count"), [(RISING, 3.0, 40_000), (TIED, 2.0, 250_000)])
def test_permute_and_flip_follows_its_law(scores, scale, count):
    law, *near = (laws.permute_and_flip(scores, factor * scale) for factor in (1, 0.9, 1.1))
    laws.assert_follows(flipped(scores, scale, count), law, not_these=dict(zip("-+", near, strict=True)))


def test_permute_and_flip_follows_its_law_where_floating_point_is_never_trusted(monkeypatch):
    monkeypatch.setattr(samplers, "MARGIN", 1.0)
    law, *near = (laws.permute_and_flip(RISING, factor * 3.0) for factor in (1, 0.8, 1.25))
    laws.assert_follows(flipped(RISING, 3.0, 9_000), law, not_these=dict(zip("-+", near, strict=True)))


def test_permute_and_flip_takes_another_law_where_the_margin_is_wrong(monkeypatch):
    """Coins that are all heads within a margin of 1 are not fair, and are found out."""
    monkeypatch.setattr(samplers, "MARGIN", 1.0)
    monkeypatch.setattr(samplers, "_lies_below", lambda *_: True)
    law, *near = (laws.permute_and_flip(RISING, factor * 3.0) for factor in (1, 0.9, 1.1))
    with pytest.raises(AssertionError):
        laws.assert_follows(flipped(RISING, 3.0, 40_000), law, not_these=dict(zip("-+", near, strict=True)))


def chosen(scores, scale, count):
    found = np.array(scores, dtype=np.int64)
    return [samplers.exponential_choice(found, F(scale)) for _ in range(count)]


@pytest.mark.parametrize(("scores", "scale", "count"), [(RISING, 3.0, 40_000), (TIED, 2.0, 80_000)])
def test_the_exponential_mechanism_follows_its_law(scores, scale, count, monkeypatch):
    monkeypatch.setattr(samplers, "PICKS", 8)  # few, so that none of them being taken is tried too
    law, *near = (laws.exponential_choice(scores, factor * scale) for factor in (1, 0.9, 1.1))
    flip = laws.permute_and_flip(scores, scale)
    others = {"10% less": near[0], "10% more": near[1], "permute and flip": flip}
    laws.assert_follows(chosen(scores, scale, count), law, not_these=others)


def test_the_best_of_many_is_chosen_where_no_other_comes_near():
    scores = np.zeros(100_000, np.int64)
    scores[4711] = 2**61
    assert {samplers.exponential_choice(scores, F(1)) for _ in range(3)} == {4711}
    assert samplers.exponential_choice(scores[:1], F(1)) == 0


def test_even_picks_are_even_and_the_uneven_rest_is_thrown_away(monkeypatch):
    law = laws.Law(0, np.full(7, 1 / 7))
    near = {"a seventh more of one": laws.Law(0, np.array([8, 6, 7, 7, 7, 7, 7]) / 49)}
    laws.assert_follows(samplers.even_picks(7, 100_000).tolist(), law, not_these=near)
    last = 2**64 // 7 * 7
    words = iter([[last, 2**64 - 1], [last - 1, last, 3]])
    monkeypatch.setattr(samplers.secrets, "token_bytes", lambda _: np.array(next(words), np.uint64).tobytes())
    assert samplers.even_picks(7, 2).tolist() == [6, 3]


@given(st.integers(0, 2**62), st.floats(1e-3, 1e12))
def test_floating_point_exponentials_lie_far_within_their_margin(gap, scale):
    rate = F(gap) / F(scale)
    near = float(np.exp(np.array([gap], dtype=np.int64) / -scale)[0])
    if rate < 700:
        with localcontext(exactly()):
            true = F((-decimal_of(rate)).exp())
        assert abs(F(near) - true) <= true * F(samplers.MARGIN) / 1000
    else:
        assert near < 1e-300  # so is the true one, and 32 bits tell neither from 0


@given(st.fractions(0, 60), st.integers(-2, 2), st.booleans())
def test_a_coin_that_first_bits_leave_open_is_decided_by_the_exponential(rate, off, upper):
    """First bits on either side of it leave nothing open; those of the exponential itself go either way."""
    with localcontext(exactly()):
        p = F((-decimal_of(rate)).exp())
    first = math.floor(p * 2**32)
    if rate == 0 or first + off < 0:
        return
    decided = samplers._lies_below(first + off, 32, rate)
    assert off == 0 or decided == (off < 0)


def test_a_coin_counts_all_the_bits_it_is_given_and_draws_further_ones_fairly(monkeypatch):
    for rate in (F(1, 3), F(2), F(31, 2)):
        with localcontext(exactly()):
            p = F((-decimal_of(rate)).exp())
        first = math.floor(p * 2**32)
        rest = p * 2**32 - first  # how often U < p, where its first bits are those of p
        draws = [int(samplers._lies_below(first, 32, rate)) for _ in range(2_000)]
        assert abs(sum(draws) - 2_000 * rest) < 6.2 * math.sqrt(2_000 * rest * (1 - rest))


def test_gaps_of_any_size_over_scales_of_any_size_give_coins():
    gaps = np.array([[0, 1, 2**61, 2**62]], dtype=np.int64)
    for scale in (F(1, 2**60), F(1), F(2.0**60), F(2.0**100)):
        heads = samplers.exponential_coins(gaps, scale)
        assert heads[0, 0]
        assert not heads[0, 3] or scale > 2**50
        assert np.all(heads) or scale < 2**100


@pytest.mark.parametrize("rate", [F(1, 3), F(1), F(9, 4)])
def test_exponential_coins_are_exact(rate):
    p = math.exp(-rate)
    coin = laws.Law(0, np.array([1 - p, p]))
    near = {"10% more often": laws.Law(0, np.array([1 - 1.1 * p, 1.1 * p]))}
    draws = [int(samplers.bernoulli_exp(rate)) for _ in range(laws.draws_needed(coin, *near.values()))]
    laws.assert_follows(draws, coin, not_these=near)


def test_cells_at_the_ends_of_64_bits_saturate():
    ends = np.array([2**63 - 1, -(2**63)] * 50, dtype=np.int64)
    for noise in (
        Laplace(F(2)),
        Gaussian(F(2)),
        Staircase(3, F(1), 1),
        Laplace(F(2.0**70)),
        Gaussian(F(2.0**70)),
    ):
        moved = add(noise, ends)
        assert moved.dtype == np.int64
        if noise in (Laplace(F(2)), Gaussian(F(2)), Staircase(3, F(1), 1)):
            assert np.all((moved > 2**62) | (moved < -(2**62)))
            assert np.all((moved > 0) == (ends > 0))


def test_no_cell_gives_no_cell():
    assert len(sampled(Laplace(F(1)), 0)) == 0


def test_a_failing_sampler_says_nothing_of_the_cells():
    with pytest.raises(InternalError) as failed:
        samplers._drawn(lambda values: (_ for _ in ()).throw(ValueError(f"{values}")), np.array([424242]))
    assert "424242" not in str(failed.value)
    assert failed.value.__context__ is None


def test_a_scale_is_exactly_a_double():
    with pytest.raises(ValueError, match="double"):
        Laplace(F(1, 3))
    assert float_up(F(1, 3)) >= F(1, 3)
    assert float_up(F(1, 3)) - F(1, 3) < F(1, 2**53)
    assert float_up(F(1, 2)) == F(1, 2)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.975, 0.999])
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.2, 130.5])
def test_half_widths_are_the_smallest_that_hold(scale, confidence):
    checks = [(Laplace(F(scale)), laws.laplace(scale)), (Gaussian(F(scale)), laws.gaussian(scale))]
    for noise, law in checks:
        t = half_width(noise, confidence)
        sizes = np.abs(np.arange(law.low, law.low + len(law.p)))
        assert law.p[sizes <= t].sum() >= confidence - 1e-9
        assert t == 0 or law.p[sizes <= t - 1].sum() < confidence + 1e-9


@pytest.mark.parametrize(("stair", "epsilon", "width"), [(10, F(3), 2), (1, F(1), 1), (7, F(1, 2), 4)])
def test_staircase_half_width_and_deviation_are_those_of_its_law(stair, epsilon, width):
    noise, law = Staircase(stair, epsilon, width), laws.staircase(stair, float(epsilon), width)
    values = np.arange(law.low, law.low + len(law.p))
    assert standard_deviation(noise) == pytest.approx(math.sqrt(np.sum(law.p * values**2)), rel=1e-9)
    for confidence in (0.0, 0.5, 0.95, 0.999):
        t = half_width(noise, confidence)
        assert law.p[np.abs(values) <= t].sum() >= confidence - 1e-9
        assert t == 0 or law.p[np.abs(values) <= t - 1].sum() < confidence + 1e-9


def test_a_wide_gaussian_half_width_is_at_most_one_too_wide():
    assert half_width(Gaussian(F(1e6)), 0.95) - 1_959_964 in (0, 1)


@pytest.mark.parametrize("scale", [0.5, 3.0, 40.0])
def test_standard_deviations_are_those_of_the_law(scale):
    law = laws.laplace(scale)
    values = np.arange(law.low, law.low + len(law.p))
    assert standard_deviation(Laplace(F(scale))) == pytest.approx(math.sqrt(np.sum(law.p * values**2)))


def test_the_laplace_tail_is_not_below_the_true_one():
    law = laws.laplace(4.0)
    for least in (1, 5, 30):
        tail = float(laplace_tail(F(4), least))
        assert tail == pytest.approx(law.p[law.low * -1 + least :].sum(), rel=1e-9)


@pytest.mark.parametrize(("stair", "epsilon"), [(1, F(1)), (12, F(1, 2)), (12, F(4)), (200, F(6))])
def test_the_best_width_beats_all_others(stair, epsilon):
    def mean(width):
        law = laws.staircase(stair, float(epsilon), width)
        return float(np.sum(law.p * np.abs(np.arange(law.low, law.low + len(law.p)))))

    best = best_width(stair, epsilon)
    tried = range(1, stair + 1) if stair < 50 else {1, best - 1, best, best + 1, stair}
    assert mean(best) <= min(mean(w) for w in tried if 1 <= w <= stair) * (1 + 1e-9)


def test_no_shift_within_the_sensitivity_moves_a_staircase_by_more_than_one_stair():
    noise = Staircase(7, F(1), 3)
    steps = [staircase.stair_of(noise, x) for x in range(-60, 61)]
    for shift in range(1, 8):
        assert max(abs(a - b) for a, b in zip(steps, steps[shift:], strict=False)) == 1
    assert max(abs(a - b) for a, b in zip(steps, steps[8:], strict=False)) == 2


def test_a_hundred_thousand_cells_take_a_moment():
    started = time.perf_counter()
    sampled(Laplace(F(20)), 100_000)
    assert time.perf_counter() - started < 6


def test_the_core_has_no_other_source_of_chance():
    import pathlib

    import noisegate.privacy

    for file in pathlib.Path(noisegate.privacy.__file__).parent.glob("*.py"):
        text = file.read_text()
        assert "import random" not in text
        assert "np.random" not in text
        assert "seed=" not in text
        assert ("import secrets" in text) == (file.name in ("samplers.py", "staircase.py"))
