"""`explain`: what a question would do and cost, without touching a row or an account."""

from fractions import Fraction

from noisegate import sql
from noisegate.ask.answer import budget_json
from noisegate.ask.clamping import clamping_of
from noisegate.ask.desk import Desk, notes_of
from noisegate.ask.price import forecast
from noisegate.ask.question import Question
from noisegate.ask.surcharge import NOTHING, Json, Priced, maxima_of
from noisegate.gate.access import Asker
from noisegate.gate.door import Offer, analyst_account
from noisegate.ledger.tallies import day_of
from noisegate.privacy.loss import NANO
from noisegate.privacy.mechanism import describe


def explain(question: Question, asker: Asker, desk: Desk) -> dict[str, object]:
    """Return the plan in words, its price, mechanism, expected error and clamping, as JSON values.

    A question that `ask` would refuse for being too specific is explained, so that it can be mended.

    Raises:
        Forbidden: the asker could not ask this question.
        NoisegateError: what else `ask` would refuse from public facts. Nothing is counted here.
    """
    ready = desk.prepare(question, asker)
    priced = ready.price
    added = desk.surcharge(ready, asker)
    policy = desk.catalog.policy.specificity
    titles = {output.column: output for output in ready.plan.outputs}
    errors = []
    for name, width, exact in forecast(ready.plan, priced.mechanism, desk.catalog):
        output = titles.get(name)
        errors.append(
            {
                "name": output.title if output is not None else name,
                "half_width": width,
                "unit": output.measured_in if output is not None else "",
                "kind": "exact" if exact else "planning figure" if width is not None else "no forecast",
            }
        )
    return {
        "columns": [{"name": o.title, "unit": o.measured_in} for o in ready.plan.outputs],
        "plan": sql.describe(ready.plan, desk.catalog),
        "price": {
            "nominal_epsilon": float(priced.epsilon),
            "family": priced.family.value,
            "tiers": [t.value for t in priced.tiers],
            "max_epsilon": float(priced.max_epsilon),
            "planned": priced.planned,
            "replay": added is NOTHING,
            "factor": float(added.factor.value),
            "max_factor": float(policy.max_factor),
            "refused": added.factor.value > policy.max_factor,
            "lines": added.factor.lines_json(),
            "day": day_json(priced, ready.offer, asker, desk),
        },
        "expected_error": errors,
        "confidence": 0.95,
        "loss": {
            "nominal_epsilon": float(priced.epsilon),
            "epsilon": float(priced.stand_alone),
            "delta": desk.stand_alone_delta(priced),
            "unit": "person",
        },
        "surcharge": added.as_json(),
        "mechanisms": list(describe(ready.plan.private, priced.mechanism)),
        "clamping": list(clamping_of(ready.plan)),
        "notes": list(notes_of(ready, desk.catalog)),
        "budget": budget_json(desk.budget_line(asker, ready.offer, priced.loss + added.loss)),
    }


def day_json(priced: Priced, offer: Offer, asker: Asker, desk: Desk) -> Json | None:
    """Return what the asker may spend in a day and has left of it, on the tier that leaves the least."""
    maxima = maxima_of(priced, desk.catalog)
    if not maxima:
        return None
    today = day_of(desk.ledger.now())
    accounts = [analyst_account(offer.population, d, asker) for d in offer.datasets]
    tallies = [[t for t in desk.ledger.tallies(a, today) if t.day == today] for a in accounts]
    found = []
    for maximum in maxima:
        counted = {tier.value for tier in maximum.counted}
        spent = max(sum(t.amount for t in own if t.tier in counted) for own in tallies)
        found.append((max(maximum.most - Fraction(spent, NANO), Fraction(0)), maximum))
    left, tightest = min(reversed(found), key=lambda f: f[0])
    return {"tier": tightest.tier.value, "most": float(tightest.most), "left": float(left)}
