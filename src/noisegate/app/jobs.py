"""Jobs as custodians, auditors and their own askers see them: how far they are, and their end."""

from datetime import UTC, datetime

from noisegate.ask.desk import Desk
from noisegate.catalog.model import Catalog
from noisegate.gate.access import Asker, Right, require
from noisegate.gate.jobs import cancel_job, may_see, not_found
from noisegate.ledger.records import Job, ReceiptKind, Role
from noisegate.privacy.filter import UNBOUNDED, stand_alone_epsilon
from noisegate.privacy.loss import Loss

Json = dict[str, object]


def jobs(desk: Desk, asker: Asker) -> list[Json]:
    """List the jobs that the asker may know of, newest first: analysts' own, else those on granted data."""
    _require_sight(asker)
    found = desk.ledger.jobs(asker.name if asker.role is Role.ANALYST else None)
    return [job_json(held, desk.catalog) for held in found if may_see(asker, held)]


def job(desk: Desk, asker: Asker, charge: int) -> Json:
    """Show one job, with the receipts of its charge and of its end.

    Raises:
        NotFound: there is none, or none that the asker may know of.
    """
    _require_sight(asker)
    held = desk.ledger.job(charge)
    if held is None or not may_see(asker, held):
        raise not_found(charge)
    kinds = (ReceiptKind.CHARGE, ReceiptKind.FINISHED)
    receipts = [receipt.id for kind in kinds for receipt in desk.ledger.receipts_of(charge, kind)]
    return {**job_json(held, desk.catalog), "receipts": receipts}


def cancel(desk: Desk, asker: Asker, charge: int) -> Json:
    """Cancel a job: what it never drew returns to the accounts, and nothing may be released for it.

    Raises:
        NotFound: there is none, or none that the asker may know of.
        Conflict: it has finished or failed.
    """
    return job_json(cancel_job(desk.ledger, asker, charge), desk.catalog)


def job_json(job: Job, catalog: Catalog) -> Json:
    """Return a job as JSON values; ε stand-alone at the least δ of its datasets, None for no bound."""
    budgets = [found.budget for name in job.datasets if (found := catalog.dataset(name)) is not None]
    delta = min((budget.delta for budget in budgets), default=None)

    def loss(held: Loss) -> Json:
        epsilon = UNBOUNDED if delta is None else stand_alone_epsilon(held, delta)
        return {
            "epsilon": None if epsilon >= UNBOUNDED else float(epsilon),
            "delta": None if delta is None else float(delta),
        }

    return {
        "id": job.charge,
        "title": job.title,
        "asker": job.asker,
        "datasets": list(job.datasets),
        "state": job.state.value,
        "steps": job.steps,
        "steps_drawn": job.steps_drawn,
        "reserved": loss(job.reserved),
        "drawn": loss(job.drawn),
        "created": _time(job.created),
        "changed": _time(job.changed),
    }


def _require_sight(asker: Asker) -> None:
    require(asker, Right.SEE_OWN_BUDGET if asker.role is Role.ANALYST else Right.SEE_ALL_BUDGETS)


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
