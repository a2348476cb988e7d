import numpy as np
import pytest

from noisegate.genomics.laws import HALF, MOST_CHANGE, Chain, Family, Independent, Response

from .words import random_chain, random_family


def thresholds(*values):
    return np.array(values, np.uint64)


def test_a_law_has_two_bits_a_variant_and_a_response_one_threshold():
    assert Independent(thresholds(1, 2, 3, 4)).variants == 2
    assert Chain(thresholds(5, 5), thresholds(5, 7)).variants == 1
    assert Response(thresholds(2, 4, 6)).variants == 3


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Independent(thresholds(1, 2, 3)),
        lambda: Independent(thresholds(0, 1)),
        lambda: Independent(thresholds(1, HALF + 1)),
        lambda: Independent(np.array([1, 2])),
        lambda: Independent(np.array([0.25, 0.25])),
        lambda: Chain(thresholds(1, 0), thresholds(1, 1)),
        lambda: Chain(thresholds(1, 1), thresholds(1, 0)),
        lambda: Chain(thresholds(1, 2), thresholds(1)),
        lambda: Response(thresholds(0)),
        lambda: Response(thresholds(3)),
        lambda: Response(thresholds(MOST_CHANGE + 2)),
        lambda: Response(thresholds(2, 2).reshape(1, 2)),
    ],
)
def test_thresholds_that_are_no_law_are_refused(wrong):
    with pytest.raises(ValueError, match=r"."):
        wrong()


def test_the_largest_change_leaves_the_true_genotype_likeliest():
    keep, other = 2**64 - MOST_CHANGE, MOST_CHANGE // 2
    assert keep >= other
    assert 2**64 - (MOST_CHANGE + 2) < (MOST_CHANGE + 2) // 2
    assert Response(thresholds(MOST_CHANGE)).variants == 1


@pytest.mark.parametrize("starts", [(), (1,), (0, 0), (0, 2, 1), (0, 3), (0, -1)])
def test_noise_begins_afresh_at_ascending_variants_from_the_first(starts):
    same = np.full(6, 9, np.uint64)
    with pytest.raises(ValueError, match="starts ascend"):
        Chain(same, same, starts)


def test_where_a_chain_begins_afresh_what_stands_before_has_no_say():
    first = thresholds(5, 6, 7, 8)
    assert Chain(first, thresholds(5, 1, 1, 1)).starts == (0,)
    assert Chain(first, thresholds(5, 1, 7, 1), (0, 1)).starts == (0, 1)
    for after, starts in ((thresholds(4, 1, 7, 1), (0,)), (thresholds(5, 1, 1, 1), (0, 1))):
        with pytest.raises(ValueError, match="afresh"):
            Chain(first, after, starts)


def test_a_slice_is_the_law_of_its_variants():
    law = random_chain(np.random.default_rng(1), 6, (0, 2, 5))
    part = law.slice(2, 6)
    assert np.array_equal(part.first, law.first[4:12])
    assert np.array_equal(part.after, law.after[4:12])
    assert part.starts == (0, 3)
    assert np.array_equal(
        Independent(law.first >> np.uint64(1)).slice(1, 3).flip, law.first[2:6] >> np.uint64(1)
    )
    assert np.array_equal(Response(thresholds(2, 4, 6)).slice(1, 2).change, thresholds(4))


def test_a_chain_is_not_cut_where_noise_runs_on():
    law = random_chain(np.random.default_rng(1), 6, (0, 2))
    with pytest.raises(ValueError, match="afresh"):
        law.slice(3, 6)
    for start, stop in ((-1, 2), (2, 7), (4, 3)):
        with pytest.raises(ValueError, match="no variants"):
            law.slice(start, stop)


def test_nobody_can_write_into_a_law():
    given = thresholds(5, 6)
    law = Independent(given)
    given[0] = 1
    assert law.flip[0] == 5
    with pytest.raises(ValueError, match="read-only"):
        law.flip[0] = 1


def test_a_digest_names_the_whole_law():
    rng = np.random.default_rng(2)
    chain = random_chain(rng, 2, (0, 1))
    after = chain.after.copy()
    after[3] += np.uint64(1)
    family = random_family(rng, 2, 2)
    others = [
        chain,
        Chain(chain.first, after, chain.starts),
        Chain(chain.first, chain.after, (0,)),
        Chain(chain.first, chain.first),
        Independent(chain.first >> np.uint64(1)),
        Response(chain.first >> np.uint64(2) << np.uint64(1)),
        family,
        Family(family.single, family.thresholds, ((1, 0),)),
        Family(chain, family.thresholds, family.groups) if chain.starts == (0,) else family.single,
    ]
    assert len({law.digest() for law in others}) == len(others)
    assert chain.digest() == Chain(chain.first.copy(), chain.after.copy(), (0, 1)).digest()


def test_a_digest_is_that_of_the_thresholds_in_little_endian_order():
    assert Independent(thresholds(1, HALF)).digest() == Independent(np.array([1, HALF], "<u8")).digest()


def test_a_family_needs_thresholds_for_every_state_and_node():
    quiet = Independent(thresholds(9, 9))
    for shape in ((2, 4, 4), (2, 3, 2), (4, 4, 3), (2, 2, 1), (2, 64, 63), (2, 4)):
        with pytest.raises(ValueError, match=r"."):
            Family(quiet, np.full(shape, 9, np.uint64), ())


@pytest.mark.parametrize("groups", [((0,),), ((0, 1, 2),), ((0, 1), (1, 2)), ((0, -1),), ((3, 3),)])
def test_a_family_has_its_size_and_nobody_twice(groups):
    table = np.full((2, 4, 3), 9, np.uint64)
    with pytest.raises(ValueError, match="family"):
        Family(Independent(thresholds(9, 9)), table, groups)


def test_a_family_begins_afresh_with_the_others():
    rng = np.random.default_rng(3)
    chain = random_chain(rng, 3, (0, 2))
    law = random_family(rng, 3, 3, (0, 2), single=chain)
    assert law.size == 3
    assert law.slice(2, 3).starts == (0,)
    assert np.array_equal(law.slice(2, 3).thresholds, law.thresholds[4:])
    with pytest.raises(ValueError, match="same variants"):
        Family(random_chain(rng, 3), law.thresholds, law.groups, (0, 2))
    broken = law.thresholds.copy()
    broken[4, 1, 0] += np.uint64(1)
    with pytest.raises(ValueError, match="every state"):
        Family(chain, broken, law.groups, (0, 2))


def test_a_summary_says_what_is_drawn():
    told = Independent(thresholds(HALF, 2**62)).as_json()
    assert told["kind"] == "independent"
    assert told["flip"] == {"least": 0.25, "median": 0.375, "most": 0.5}
    rng = np.random.default_rng(4)
    assert random_family(rng, 2, 1).as_json()["families"] == 1
    assert random_chain(rng, 2, (0, 1)).as_json()["segments"] == 2
    assert Response(thresholds(2)).as_json()["change"]["most"] == 2.0**-63
