"""The privacy statement of a release: of its receipt, and of what was declared of the data it read."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from noisegate.gate.statement import declared, terms
from noisegate.gate.statement.dataset import factors, guarantee
from noisegate.gate.statement.declared import Declared
from noisegate.gate.statement.shape import Item, Section, Statement, sentences, time
from noisegate.ledger.records import Receipt, ReceiptKind

# How a mechanism is described on receipts, and what draws it.
_COINS = "Noisegate: exact coins; where NumPy's exponential cannot settle one, more digits do"
DRAWN_BY: Mapping[str, str] = {
    "discrete Laplace": "OpenDP, exact and discrete",
    "discrete Gaussian": "OpenDP, exact and discrete",
    "discrete staircase": "Noisegate: exact coins of the operating system's random bits",
    "exponential mechanism": _COINS,
    "permute-and-flip": _COINS,
}
OUTCOMES: Mapping[ReceiptKind, str] = {
    ReceiptKind.ANSWER: "An answer was released.",
    ReceiptKind.FAILED: "The work failed after the charge: nothing was released, and the loss stays charged.",
    ReceiptKind.LOST: "A crash came before the answer: nothing was released, and the loss stays charged.",
    ReceiptKind.FINISHED: "A job that has ended: what its steps did not draw was given back.",
}


def release_statement(
    receipt: Receipt, declarations: Sequence[Declared], at: int, outcome: Receipt | None = None
) -> Statement:
    """Return what one release may tell of a person.

    Args:
        receipt: of its charge.
        declarations: of the versions of the private data it read, as they were registered.
        at: seconds since 1970 UTC.
        outcome: what became of the charge, None while it is open.
    """
    body: Mapping[str, Any] = receipt.content()
    said: Mapping[str, Any] = body["public"]
    clamping = said.get("clamping")
    sections = (
        declared.unit(declarations),
        _neighbours(declarations, said),
        _parameters(body, said),
        _contributions(declarations, said),
        _composition(body),
        terms.mechanisms(
            [_mechanism(line) for line in said["mechanisms"]],
            "The noise below was drawn for this release, as its receipt says.",
        ),
        terms.accuracy("The answer carries the interval of each of its figures."),
        declared.bias(declarations, clamping),
        terms.trust_model(),
        terms.side_channels(),
        _access(body, said),
        declared.data(declarations, said["versions"]),
        terms.not_covered(),
    )
    about = {
        "receipt": receipt.id,
        "hash": receipt.hash,
        "charged": time(receipt.at),
        "outcome": "open" if outcome is None else outcome.kind.value,
        "result": "The work is not finished." if outcome is None else OUTCOMES[outcome.kind],
        "question": said.get("question", said.get("title", "")),
        "plan": list(said.get("plan", ())),
        "datasets": list(body["datasets"]),
        "synthetic": all(bool(dataset["synthetic"]) for dataset in declarations),
    }
    title = f"release of {', '.join(body['datasets'])}"
    return Statement("release", receipt.id, title, at, about, sections)


def _neighbours(declarations: Sequence[Declared], said: Mapping[str, Any]) -> Section:
    """Say between which databases the guarantee holds; a release of rows names a relation of its own."""
    expected = declared.expected_people(declarations)
    if "neighbours" not in said:
        return terms.neighbours(expected)
    return terms.replaced(expected, int(said["people"]))


def _parameters(body: Mapping[str, Any], said: Mapping[str, Any]) -> Section:
    epsilon, delta = Fraction(said["epsilon"]), Fraction(said["delta"])
    return Section(
        Item.PARAMETERS,
        sentences(
            f"""
            By itself the release is {guarantee(epsilon, delta)}.

            {factors(epsilon)}

            It is one of all that was charged to its accounts. What they tell together is bounded by the
            accounts' limits, which the dataset's statement gives, not by this figure.
            """
        ),
        {
            "epsilon": float(epsilon),
            "delta": float(delta),
            "nominal_epsilon": said.get("nominal_epsilon"),
            "loss": {"renyi": list(body["loss"]["renyi"]), "delta": body["loss"]["delta"]},
        },
    )


def _contributions(declarations: Sequence[Declared], said: Mapping[str, Any]) -> Section:
    general = declared.contributions(declarations)
    lines = [line for line in said.get("plan", ()) if "each person counts" in line]
    return Section(
        Item.CONTRIBUTIONS,
        (*(f"In this release {line}." for line in lines), *general.says),
        general.facts,
    )


def _composition(body: Mapping[str, Any]) -> Section:
    periods: Mapping[str, int] = body.get("periods") or {}
    accounts = [{"account": account, "period": periods.get(account, 1)} for account in body["accounts"]]
    steps = body.get("steps")
    job = ""
    if steps is not None:
        job = f"It is a job of {steps} steps, whose whole loss was reserved first; see its outcome."
    says = sentences(
        f"""
        The loss was taken before a row was read, from every account below at once, and each was within its
        limits with it: a privacy filter, so each question may be chosen in view of all answers before it.

        Asking the same again is free and gives the same answer: it tells nothing more.

        {job}
        """
    )
    return Section(Item.COMPOSITION, says, {"charged_to": accounts, "steps": steps})


def _mechanism(line: str) -> dict[str, str]:
    measure, colon, noise = line.partition(": ")
    if not colon:
        return {"measure": "private groups", "noise": line, "drawn_by": DRAWN_BY["discrete Laplace"]}
    drawn = next((by for start, by in DRAWN_BY.items() if noise.startswith(start)), "Noisegate")
    return {"measure": measure, "noise": noise, "drawn_by": drawn}


def _access(body: Mapping[str, Any], said: Mapping[str, Any]) -> Section:
    tier = body.get("tier") or "none"
    surcharged = sorted(body.get("surcharges") or {})
    price: Mapping[str, Any] = said.get("price") or {}
    dearer = (
        f"The adaptive price was {price.get('factor', 1):g} times the loss; the rest of it is on "
        f"{', '.join(surcharged)} alone, and in no sum above."
        if surcharged
        else "The adaptive price added nothing to the loss."
    )
    return Section(
        Item.ACCESS,
        sentences(
            f"""
            Asked by {said["asker"]}, in the role of {said["role"]}. The most sensitive tier
            it read: {tier}.

            {dearer}

            The receipt is for custodians and auditors, and this statement for them and for
            whoever asked.
            """
        ),
        {
            "asker": said["asker"],
            "role": said["role"],
            "tier": tier,
            "surcharged": surcharged,
            "price": list(price.get("lines", ())),
        },
    )
