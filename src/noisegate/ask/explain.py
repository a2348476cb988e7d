"""`explain`: what a question would do and cost, without touching a row or an account."""

from noisegate import sql
from noisegate.ask.answer import budget_json
from noisegate.ask.clamping import clamping_of
from noisegate.ask.desk import Desk, notes_of
from noisegate.ask.price import forecast
from noisegate.ask.question import Question
from noisegate.gate.access import Asker
from noisegate.privacy.mechanism import describe


def explain(question: Question, asker: Asker, desk: Desk) -> dict[str, object]:
    """Return the plan in words, its price, mechanism, expected error and clamping, as JSON values.

    Raises:
        Forbidden: the asker could not ask this question.
        NoisegateError: what `ask` would refuse from public facts, `explain` refuses too.
    """
    ready = desk.prepare(question, asker)
    priced = ready.price
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
            "replay": desk.ledger.find_answer(ready.offer.fingerprint) is not None,
        },
        "expected_error": errors,
        "confidence": 0.95,
        "loss": {
            "nominal_epsilon": float(priced.epsilon),
            "epsilon": float(priced.stand_alone),
            "delta": desk.stand_alone_delta(priced),
            "unit": "person",
        },
        "mechanisms": list(describe(ready.plan.private, priced.mechanism)),
        "clamping": list(clamping_of(ready.plan)),
        "notes": list(notes_of(ready, desk.catalog)),
        "budget": budget_json(desk.budget_line(asker, ready.offer, priced.loss)),
    }
