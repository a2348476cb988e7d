"""The privacy statement of a dataset: what is guaranteed about everybody in it, as things stand."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction

from noisegate.catalog.describe import describe_dataset
from noisegate.catalog.keys import as_number
from noisegate.catalog.model import Catalog, Dataset, Every, Policy
from noisegate.gate.access import RIGHTS
from noisegate.gate.statement import declared, terms
from noisegate.gate.statement.shape import Item, Section, Statement, sentences, shown, time
from noisegate.ledger.accounts import AccountState, Balance, Kind, Period
from noisegate.ledger.records import Role
from noisegate.privacy.filter import spent_epsilon, stand_alone_epsilon
from noisegate.privacy.loss import ORDERS

LARGEST_EXPONENT = 700.0


def dataset_statement(
    dataset: Dataset,
    version: int,
    catalog: Catalog,
    accounts: Sequence[Balance],
    at: int,
    spent_on: Collection[str] = (),
) -> Statement:
    """Return what is guaranteed about everybody in a dataset.

    Args:
        dataset: as declared now.
        version: of its data.
        catalog: holds the policy and the populations.
        accounts: those of its population and of the dataset, in this order.
        at: seconds since 1970 UTC.
        spent_on: ids of the accounts whose spending the reader may see.
    """
    said = [describe_dataset(dataset)]
    every = {
        dataset.population: catalog.populations[dataset.population].every,
        f"{dataset.population}/{dataset.name}": dataset.budget.every,
    }
    with_delta = any(balance.limits.delta > 0 for balance in accounts)
    sections = (
        declared.unit(said),
        terms.neighbours(declared.expected_people(said)),
        _parameters(accounts, at, spent_on),
        declared.contributions(said),
        _composition(accounts, at, every, spent_on),
        terms.mechanisms(
            terms.samplers(with_delta=with_delta),
            "Of the kinds that a question allows, the one with the smallest error at equal cost is taken.",
        ),
        terms.accuracy("`explain` tells the expected error of a question before anything is spent."),
        declared.bias(said, None),
        terms.trust_model(),
        terms.side_channels(),
        _access(catalog.policy, declared.restricted(said)),
        declared.data(said, {dataset.name: version}),
        terms.not_covered(),
    )
    about = {
        "dataset": dataset.name,
        "population": dataset.population,
        "version": version,
        "synthetic": dataset.synthetic,
        "notes": dataset.notes,
    }
    return Statement("dataset", dataset.name, dataset.title, at, about, sections)


def guarantee(epsilon: Fraction, delta: Fraction) -> str:
    """Return a guarantee in words.

    >>> guarantee(Fraction(2), Fraction(0)), guarantee(Fraction(1, 2), Fraction(1, 10**6))
    ('(ε 2)-differentially private', '(ε 0.5, δ 1e-06)-differentially private')
    """
    with_delta = f", δ {float(delta):g}" if delta else ""
    return f"(ε {float(epsilon):g}{with_delta})-differentially private"


def factors(epsilon: Fraction) -> str:
    """Return what an ε means for somebody's beliefs about a person.

    Two things that a person's rows may say are two neighbours apart: remove the one, add the other.
    """
    one, two = odds(epsilon), odds(2 * epsilon)
    return (
        f"At ε {float(epsilon):g} the odds that a person is among the people at all change by a factor of at "
        f"most e^ε, that is {one}, but for a probability of δ where there is one. The odds between two "
        f"things that their rows may say are two such steps: e^2ε, that is {two}. Both hold whatever "
        "somebody knows already."
    )


def odds(epsilon: Fraction) -> str:
    """Return by which factor odds may change, e^ε, rounded up.

    >>> odds(Fraction(2)), odds(Fraction(10)), odds(Fraction(30))
    ('7.39', '22,027', '1.1e+13')
    """
    factor = math.exp(min(float(epsilon), LARGEST_EXPONENT))
    if factor >= 1e9:
        return f"{factor:.1e}"
    return f"{math.ceil(factor):,}" if factor >= 100 else f"{math.ceil(factor * 100) / 100:g}"


def _parameters(accounts: Sequence[Balance], at: int, spent_on: Collection[str]) -> Section:
    says = [line for balance in reversed(accounts) for line in _guarantees(balance)]
    # The population's account bounds what all its datasets tell together, this one among them.
    everything = accounts[0].lifetime.epsilon
    says += sentences(
        f"""
        {factors(everything)}
        """
    )
    if spent_on:
        says += sentences(
            "What is spent so far is an estimate at each account's δ; only the limits are guaranteed."
        )
    return Section(
        Item.PARAMETERS,
        tuple(says),
        {"accounts": [_account(balance, at, with_spent=balance.id in spent_on) for balance in accounts]},
    )


def _guarantees(balance: Balance) -> tuple[str, ...]:
    limits, period, life = balance.limits, balance.period, balance.lifetime
    before = ""
    if period.number > 1:
        before = f"""
            Over all {period.number} periods of {balance.id} so far it is
            {guarantee(life.epsilon, life.delta)}: limits of periods add up.
        """
    return sentences(
        f"""
        {_scope(balance)}{_within(period)} is together {guarantee(limits.epsilon, limits.delta)}, for
        whoever asks adaptively and sees it all.

        {before}
        """
    )


def _scope(balance: Balance) -> str:
    *_, name = balance.id.split("/")
    if balance.account.kind is Kind.POPULATION:
        return f"Towards all rows of a person, everything released from datasets of population {name}"
    return f"Towards a person's rows in {name}, everything released from it"


def _within(period: Period) -> str:
    if period.number == 1 and period.until is None:
        return ""
    until = "" if period.until is None else f", which ends {shown(period.until)},"
    return f" in the present period, number {period.number}{until}"


def _state(balance: Balance, at: int) -> str:
    until = balance.period.until
    over = until is not None and until <= at
    return "expired" if over and balance.state is AccountState.OPEN else balance.state.value


def _account(balance: Balance, at: int, *, with_spent: bool) -> dict[str, object]:
    limits = balance.limits
    found: dict[str, object] = {
        "account": balance.id,
        "level": balance.account.kind.value,
        "epsilon": float(limits.epsilon),
        "delta": float(limits.delta),
        "delta_for_private_keys": float(limits.delta_keys),
        "state": _state(balance, at),
    }
    if with_spent:
        found |= {
            "spent": float(spent_epsilon(limits, balance.counted)),
            "charges": balance.charges,
        }
    return found


def _periods(balance: Balance, every: Every | None, *, with_spent: bool) -> dict[str, object]:
    period, life = balance.period, balance.lifetime
    found: dict[str, object] = {
        "account": balance.id,
        "period": period.number,
        "since": time(period.since),
        "until": None if period.until is None else time(period.until),
        "every": None if every is None else every.value,
        "lifetime_epsilon": float(life.epsilon),
        "lifetime_delta": float(life.delta),
    }
    if with_spent:
        found |= {
            "lifetime_spent": float(stand_alone_epsilon(life.spent, life.delta)),
            "lifetime_charges": life.charges,
        }
    return found


def _composition(
    accounts: Sequence[Balance], at: int, every: Mapping[str, Every | None], spent_on: Collection[str]
) -> Section:
    says = [
        *sentences(
            f"""
            Each release's loss is a vector of Rényi divergences on {len(ORDERS)} orders, in whole units
            rounded up, and losses add. An account admits a charge while some order stays within what
            converts to its limits: a privacy filter, so each question may be chosen in view of all answers
            before it.

            A charge is taken before a row is read, from the analyst's, the project's, the dataset's and the
            population's account at once, or not at all. Analysts who collude are held by the dataset's
            limit, datasets that share people by the population's. A charge is never refunded, but for steps
            of a job that never began.
            """
        )
    ]
    for balance in accounts:
        calendar = every.get(balance.id)
        if calendar is not None:
            says.append(f"The budget of {balance.id} is one of each {calendar.value}, by the UTC calendar.")
        state = _state(balance, at)
        if state != AccountState.OPEN.value:
            says.append(f"{balance.id} is {state} at present: nothing is charged to it.")
    says += sentences(
        """
        No budget renews by itself. A further period begins only where a custodian says so, in a signed
        entry on the chain of receipts; what was left of the one before is forfeited, and the limits of all
        periods add up.
        """
    )
    periods = [
        _periods(balance, every.get(balance.id), with_spent=balance.id in spent_on) for balance in accounts
    ]
    return Section(Item.COMPOSITION, tuple(says), {"orders": len(ORDERS), "periods": periods})


def _access(policy: Policy, restricted: Sequence[str]) -> Section:
    tiers = [
        {
            "tier": tier.value,
            "default_epsilon": as_number(rule.default_epsilon),
            "max_epsilon": as_number(rule.max_epsilon),
            "max_per_day": None if rule.max_per_day is None else as_number(rule.max_per_day),
            "weight": as_number(rule.weight),
        }
        for tier, rule in policy.tiers.items()
    ]
    roles = [
        {"role": role.value, "may": ", ".join(sorted(right.value for right in RIGHTS[role]))} for role in Role
    ]
    price = {
        name: as_number(value) if isinstance(value, Fraction) else value
        for name, value in asdict(policy.specificity).items()
    }
    closed = (
        f"Nobody may ask about {', '.join(restricted)}."
        if restricted
        else "No column is closed to questions."
    )
    return Section(
        Item.ACCESS,
        sentences(
            f"""
            A token has one of the roles below and reaches the datasets it names. Who grants budgets may not
            ask.

            One question may spend at most what the most sensitive tier it reads allows; see
            the table.

            A question that may single out few people costs more, up to
            {price["max_factor"]:g} times, by a rule of public facts alone; the surcharge
            falls on the asker's own account and makes no sum above it smaller.

            {closed} After {price["lock_after"]} restricted questions the asker's accounts
            lock until a custodian opens them.
            """
        ),
        {"roles": roles, "tiers": tiers, "price": price, "restricted_columns": list(restricted)},
    )
