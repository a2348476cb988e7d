"""The adaptive price: it only rises as conditions are added, and disguises do not lower it."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from noisegate.ask.similar import bits_of, recalled, written
from noisegate.ask.specificity import Factor, factor
from noisegate.catalog.load import load
from noisegate.catalog.model import Catalog, Specificity
from noisegate.errors import NoisegateError
from noisegate.privacy.loss import INFINITE, ORDERS, ZERO, Loss

from .cohorts import CONDITIONS, FORMS, KEYS, MEASURES, PLAIN, POLICIES, catalog_in, question, selected

F = Fraction
POLICY = Specificity()
COUNT = "SELECT count(*) FROM liver.patients"
# Every line tells, and nothing is free.
STRICT = Specificity(free_conditions=0, free_bits=F(0))
SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog_in(tmp_path_factory.mktemp("cohort"))


def price(text: str, catalog: Catalog, *earlier: str, policy: Specificity = STRICT) -> Factor:
    """Price a question after others, oldest first."""
    asked = [recalled(written(selected(e, catalog), e)) for e in reversed(earlier)]
    return factor(selected(text, catalog), asked, policy)


def adds(found: Factor) -> dict[str, Fraction]:
    return {line.what: line.adds for line in found.lines}


def where(*conditions: str) -> str:
    return f"{COUNT} WHERE {' AND '.join(conditions)}"


LOSSES = st.builds(
    Loss, st.tuples(*[st.sampled_from((0, 1, 7, 10**9, INFINITE // 3, INFINITE))] * len(ORDERS)), st.just(5)
)


@SLOW
@given(
    form=st.sampled_from(FORMS),
    conjuncts=st.lists(CONDITIONS, max_size=4),
    more=CONDITIONS,
    measure=MEASURES,
    key=KEYS,
    history=st.lists(
        st.tuples(st.sampled_from(FORMS[:3]), st.lists(CONDITIONS, max_size=2), MEASURES, KEYS), max_size=4
    ),
    policy=POLICIES,
    loss=LOSSES,
    data=st.data(),
)
def test_adding_a_conjunct_never_makes_a_question_cheaper(
    catalog, form, conjuncts, more, measure, key, history, policy, loss, data
):
    catalog = replace(catalog, policy=replace(catalog.policy, specificity=policy))
    shared = data.draw(st.lists(st.sampled_from([*conjuncts, more]), max_size=2))
    try:
        asked = [
            recalled(written(selected(question(f, [*c, *shared], m, k), catalog), m))
            for f, c, m, k in history
        ]
        before = factor(selected(question(form, conjuncts, measure, key), catalog), asked, policy)
        after = factor(selected(question(form, [*conjuncts, more], measure, key), catalog), asked, policy)
    except NoisegateError:
        assume(False)  # a constant that fits no column, a join that is too much work
        return
    for one, other in zip(before.lines, after.lines, strict=True):
        assert one.adds <= other.adds, (one, other)
    assert before.value <= after.value
    taken = [(loss + f.surcharge(loss)).renyi for f in (before, after)]
    assert all(a <= b for a, b in zip(*taken, strict=True))


AGES = st.integers(39, 42)
NEAR = st.one_of(
    st.builds(lambda o, a: f"age {o} {a}", st.sampled_from((">=", ">=", "<", "<=", ">", "<>")), AGES),
    st.builds(lambda a, b: f"age BETWEEN {min(a, b)} AND {max(a, b)}", AGES, AGES),
    st.lists(AGES, min_size=1, max_size=2).map(lambda v: f"age NOT IN ({', '.join(map(str, v))})"),
    st.sampled_from(("is_male", "age >= 19", "age <= 99", "bmi >= 10.5", "NOT is_male OR age > 19")),
    st.lists(st.sampled_from(("test = 'sbp'", "day > 900", "value > 250")), min_size=1, max_size=3).map(
        lambda c: f"patient_id NOT IN (SELECT patient_id FROM liver.labs WHERE {' AND '.join(c)})"
    ),
)


@SLOW
@given(
    pool=st.lists(NEAR, min_size=2, max_size=4, unique=True),
    near=st.sampled_from((F(1, 2), F(9, 10), F(19, 20))),
    data=st.data(),
)
def test_nor_where_all_questions_are_about_nearly_the_same_people(catalog, pool, near, data):
    more, *others = pool
    some = st.lists(st.sampled_from(pool), min_size=1, unique=True)
    conjuncts = data.draw(st.lists(st.sampled_from(others), unique=True))
    history = data.draw(st.lists(some, max_size=4))
    policy = replace(STRICT, near=near, free_bits=data.draw(st.sampled_from((F(100), F(100), F(3)))))
    assert_dearer(catalog, conjuncts, more, history, policy)


def assert_dearer(catalog, conjuncts, more, history, policy):
    def asked(conditions):
        return selected(question(FORMS[0], conditions, "count(*)", ""), catalog)

    earlier = [recalled(written(asked(conditions), "")) for conditions in history]
    before = factor(asked(conjuncts), earlier, policy)
    after = factor(asked([*conjuncts, more]), earlier, policy)
    for one, other in zip(before.lines, after.lines, strict=True):
        assert one.adds <= other.adds, (one, other)


@pytest.mark.parametrize(
    ("conjuncts", "more", "earlier"),
    [
        # Without the new conjunct nearly the people of the earlier question, with it exactly those.
        (["age >= 40"], "age >= 41", ["age >= 41"]),
        (["age NOT IN (20, 21, 22)", "age NOT IN (30, 31, 32)"], "age NOT IN (40, 41, 42)",
         ["age NOT IN (20, 21, 22, 30, 31, 32, 40, 41, 42)"]),
        # With it no longer near.
        (["age >= 40"], "age < 50", ["age >= 41"]),
        (["age >= 41"], "age < 50", ["age >= 40"]),
        (["is_male", "age >= 19"], "bmi > 60", ["is_male"]),
        # With it the part of a further condition.
        (["is_male"], "age >= 19", ["is_male", "age >= 19"]),
    ],
)  # fmt: skip
def test_a_conjunct_that_leads_away_from_an_earlier_question_does_not_lower_the_price(
    catalog, conjuncts, more, earlier
):
    assert_dearer(catalog, conjuncts, more, [earlier], replace(STRICT, free_bits=F(100)))


@SLOW
@given(
    st.lists(PLAIN, min_size=1, max_size=3),
    st.lists(NEAR, max_size=3),
    KEYS.filter(lambda key: key != "visit"),
)
def test_where_a_condition_stands_makes_no_difference(catalog, conjuncts, earlier, key):
    asked = question(FORMS[0], earlier, "count(*)", "")
    plain = adds(price(question(FORMS[0], conjuncts, "count(*)", key), catalog, asked))
    condition = " AND ".join(f"({c})" for c in conjuncts)
    apart = " OR ".join(f"NOT ({c})" for c in conjuncts)
    others = [
        question(FORMS[1], conjuncts, "count(*)", key),
        question(FORMS[0], [], f"count(*) FILTER (WHERE {condition})", key),
        question(FORMS[0], [], f"count_if({condition})", key),
        question(FORMS[0], [], f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END)", key),
        question(FORMS[0], [f"NOT ({apart})"], "count(*)", key),
        question(
            f"WITH a AS ({FORMS[0].format(measure='*', key='', group='', where='')}) "
            "SELECT {key}{measure} FROM (SELECT * FROM a {where}) {group}",
            conjuncts,
            "count(*)",
            key,
        ),
    ]
    for other in others:
        assert adds(price(other, catalog, asked)) == plain, other


THEMES = [
    text.strip().splitlines()
    for text in (Path(__file__).parent / "disguises.txt").read_text("utf-8").split("\n# ")[1:]
]


@pytest.mark.parametrize("theme", THEMES, ids=[theme[0] for theme in THEMES])
def test_a_disguise_is_never_cheaper_than_the_plain_form(catalog, theme):
    _, first, *others = theme
    plain = adds(price(first, catalog))
    for other in others:
        found = adds(price(other, catalog))
        assert all(found[line] >= plain[line] for line in plain), (other, found)


def test_private_groups_show_only_where_they_are_large_and_count_less(catalog):
    # Of 4,001 days the values are private; within a hundred of them they are public, and all groups show.
    by_day = "SELECT visit, count(*) FROM liver.patients {} GROUP BY visit"
    private = adds(price(by_day.format(""), catalog))
    public = adds(price(by_day.format("WHERE visit BETWEEN 0 AND 99"), catalog))
    assert private["share"] == STRICT.per_bit * F(3, 2)  # 1 bit, of a clinical column
    assert public["share"] > 10 * STRICT.per_bit


def test_padding_hides_nothing(catalog):
    plain = adds(price(where("age = 41"), catalog))
    never = " OR ".join(["1 = 0"] * 150)
    computed = "SELECT *, age + 0 AS a, CASE WHEN age = 41 THEN 1 ELSE 0 END AS c FROM liver.patients"
    for text in (
        where("age = 41", *(f"bmi <> {20 + i / 100}" for i in range(150))),
        where(f"(age = 41 OR {never})"),
        f"SELECT count(*) FROM ({computed}) WHERE a = 41 OR {never}",
        f"SELECT count(*) FROM ({computed}) WHERE c = 1 OR {never}",
        f"SELECT count(*) FROM (SELECT {' + '.join(['a'] * 150)} AS a FROM ({computed})) WHERE a = 6150",
        f"SELECT sum({' + '.join(['c'] * 150)}) FROM ({computed})",
    ):
        found = adds(price(text, catalog))
        assert all(found[line] >= plain[line] for line in plain), (text, found)


def test_who_is_named_is_as_rare_as_can_be(catalog):
    assert "patient_id = 17 1 in 17,500" in price(where("patient_id = 17"), catalog).lines[1].why
    named = adds(price(where("patient_id = 17"), catalog))["share"]
    for other in ("patient_id <> 17", "patient_id < 18", "patient_id % 1000 = 17", "patient_id IN (17)"):
        assert adds(price(where(other), catalog))["share"] == named, other
    assert adds(price(where("patient_id IN (17, 18)"), catalog))["share"] < named


@pytest.mark.parametrize(
    "text",
    [
        "SELECT avg(weight / (height * height)) FROM clinic.visits",
        "SELECT avg(least(60, greatest(10, weight / (height * height)))) FROM clinic.visits",
        "SELECT avg(sqrt(weight * height)), avg(ln(weight)), avg(round(weight)) FROM clinic.visits",
        "SELECT sum(weight + 5), avg(10 * day / 365), median(floor(weight / 2)) FROM clinic.visits",
        "SELECT count(*) FROM clinic.visits WHERE weight / (height * height) >= 25 AND abs(day) < 500",
        "SELECT count(*) FROM clinic.visits WHERE weight > 40 * height AND sqrt(weight) > 8 AND day % 7 < 3",
        "SELECT round(age / 10) * 10 AS k, count(*) FROM clinic.visits GROUP BY 1",
        "SELECT CASE WHEN age < 40 THEN 'young' ELSE 'old' END, avg(age + 5) FROM clinic.visits GROUP BY 1",
    ],
)
def test_ordinary_arithmetic_adds_nothing(tmp_path, text):
    (tmp_path / "catalog.toml").write_text(CLINIC, "utf-8")
    found = price(text, load(tmp_path / "catalog.toml"), policy=POLICY)
    assert found.value == 1, found.lines


CLINIC = """
[clinic]
unit = "person"
[clinic.tables.visits]
source = "visits.csv"
expected_units = 900
columns.weight = { type = "float", low = 30, high = 200, step = 0.1, tier = "clinical" }
columns.height = { type = "float", low = 1.2, high = 2.2, step = 0.01, tier = "clinical" }
columns.day = { type = "int", low = -2000, high = 2000, tier = "clinical" }
columns.age = { type = "int", low = 18, high = 100, tier = "demographic" }
"""


def test_all_that_is_asked_of_one_value_is_one_condition(catalog):
    both = price(where("age >= 40", "age <= 60", "age <> 50"), catalog)
    assert "1 condition, " in both.lines[0].why
    assert "1 in 4.15" in both.lines[1].why  # 20 of 83


def test_conditions_on_different_rows_are_different_conditions(catalog):
    one = "patient_id IN (SELECT patient_id FROM liver.labs WHERE test = '{}')"
    found = price(where(one.format("sbp"), one.format("hdl")), catalog)
    assert "2 conditions, " in found.lines[0].why
    assert adds(found)["share"] == 2 * adds(price(where(one.format("sbp")), catalog))["share"]


def test_of_several_numbers_in_an_answer_the_most_specific_sets_the_price(catalog):
    wide, narrow = "count(*) FILTER (WHERE age > 20)", "count(*) FILTER (WHERE age = 41)"
    alone = adds(price(f"SELECT {narrow} FROM liver.patients", catalog))
    assert adds(price(f"SELECT {wide}, {narrow}, avg(bmi) FROM liver.patients", catalog)) == alone


@pytest.mark.parametrize(
    "free",
    ["true", "age >= 18", "age >= 10", "bmi IS NOT NULL", "age < 50 OR age >= 50", "is_male OR NOT is_male"],
)
def test_a_condition_that_everybody_meets_adds_nothing(catalog, free):
    assert price(where(free), catalog).value == 1


def test_a_lookup_in_a_table_of_codes_adds_nothing_and_a_condition_on_it_does(catalog):
    joined = f"{COUNT} JOIN liver.sites USING (site)"
    assert price(joined, catalog).value == 1
    assert price(f"{joined} WHERE kind = 'town'", catalog).value > 1
    assert price(f"{COUNT} p, liver.sites s WHERE p.site = s.site", catalog).value == 1


def test_the_weight_of_a_tier_multiplies_the_bits(catalog):
    share = {c: adds(price(where(c), catalog))["share"] for c in ("is_male", "died", "snp <> 1")}
    assert share["died"] == share["is_male"] * F(3, 2)  # clinical weighs 1.5
    assert share["snp <> 1"] == F(2 * bits_of(F(2, 3)), 64) * STRICT.per_bit


def test_what_is_not_understood_lets_the_share_of_the_policy_through(catalog):
    strange = replace(catalog.policy.specificity, unknown_share=F(1, 16))
    wary = replace(catalog, policy=replace(catalog.policy, specificity=strange))
    for condition in ("code LIKE 'K7%'", "born < '1950-01-01'", "code = site", "bmi IS NULL"):
        assert adds(price(where(condition), catalog))["share"] in (F(1, 10), F(3, 20))
        assert adds(price(where(condition), wary))["share"] in (F(4, 10), F(6, 10))


def test_a_factor_is_one_and_what_its_lines_add(catalog):
    policy = Specificity(free_conditions=1, per_condition=F(1, 4), free_bits=F(2), per_bit=F(1, 2))
    found = price(where("is_male", "site = 'east'", "age <> 41"), catalog, where("is_male"), policy=policy)
    assert found.value == 1 + sum(line.adds for line in found.lines)
    assert adds(found) == {
        "conditions": F(1, 2),
        "share": F(1, 2) * (F(64 + 128 + bits_of(F(82, 83)), 64) - 2),
        "similar": F(1, 10),
    }


def test_a_price_depends_on_the_question_and_the_history_alone(catalog):
    history = (where("age >= 40"), where("age >= 41", "is_male"))
    text = where("age >= 40", "is_male")
    assert price(text, catalog, *history) == price(text.replace("patients", "Patients"), catalog, *history)


@given(st.fractions(min_value=F(1, 10**6), max_value=1), st.fractions(min_value=F(1, 10**6), max_value=1))
def test_bits_are_rounded_up_and_never_fall_as_the_share_does(one, other):
    bits = bits_of(one)
    # The least m with share >= 2 ** (-m / 64), in whole numbers alone.
    assert one.numerator**64 * 2**bits >= one.denominator**64
    assert bits == 0 or one.numerator**64 * 2 ** (bits - 1) < one.denominator**64
    assert (bits >= bits_of(other)) or one > other


@given(LOSSES, st.fractions(1, 5))
def test_a_surcharge_is_the_loss_times_what_is_above_one_rounded_up(loss, value):
    added = Factor(value, ()).surcharge(loss)
    assert added.delta == 0
    for r, more in zip(loss.renyi, added.renyi, strict=True):
        if r == INFINITE and value > 1:
            assert more == INFINITE
        else:
            assert r * (value - 1) <= more < r * (value - 1) + 1 or more == INFINITE
    assert Factor(F(1), ()).surcharge(loss) == ZERO


def test_naming_the_value_of_a_private_key_still_builds_on_all_its_groups(catalog: Catalog) -> None:
    groups = "SELECT visit, count(*) FROM liver.patients GROUP BY visit"
    named = "SELECT visit, count(*) FROM liver.patients WHERE visit = 0 GROUP BY visit"
    assert adds(price(groups, catalog, groups))["similar"] > 0
    assert adds(price(named, catalog, groups))["similar"] > 0
    # What is only about the key is no condition, and is not kept.
    assert "each" not in written(selected(named, catalog), named)
    assert adds(price(named, catalog))["conditions"] == adds(price(groups, catalog))["conditions"]
