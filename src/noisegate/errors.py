"""Every error Noisegate raises on purpose, with its code, HTTP status and exit code.

A message says what is wrong and how to mend it, and never depends on private rows: it is built from
the question, the catalog and the ledger alone. `RequestError` is the asker's to fix, `SetupError` the
operator's, `InternalError` ours.
"""

from typing import ClassVar


class NoisegateError(Exception):
    """Base of the tree.

    Attributes:
        code: stable word a program can match on.
        status: HTTP status of a reply carrying this error.
        exit_code: what the command line exits with.
        hint: one sentence on the way out; empty when the message says it all.
        waited: whether it comes after waiting for another question's work, so that its time is not public.
        detail: further public facts, JSON values only.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "", **detail: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.waited = False

    def as_json(self) -> dict[str, object]:
        """Return the one error shape of the HTTP interface."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
                "detail": self.detail,
            }
        }


class RequestError(NoisegateError):
    """The asker can fix it."""

    code = "bad_input"
    status = 400
    exit_code = 2


class BadInput(RequestError):
    """A value that is not what it should be."""


class TooLarge(RequestError):
    """More than a declared limit."""

    code = "too_large"
    status = 413


class NotFound(RequestError):
    """No such thing, or none the asker may know of."""

    code = "not_found"
    status = 404


class Conflict(RequestError):
    """The same key was used for something else."""

    code = "conflict"
    status = 409


class Refused(RequestError):
    """The question is understood and may not be asked; it cost nothing."""

    exit_code = 3
    status = 422
    code = "unsupported_sql"


class UnsupportedSql(Refused):
    """SQL outside what can be planned privately."""


class NotAggregate(Refused):
    """Rows may not be listed."""

    code = "not_aggregate"


class NotUnitLocal(Refused):
    """A row would depend on more than one person."""

    code = "not_unit_local"


class UnknownColumn(Refused):
    """No such table or column."""

    code = "unknown_column"


class MissingBounds(Refused):
    """A column has no declared bounds, so no noise could hide a person."""

    code = "missing_bounds"


class RestrictedColumn(Refused):
    """The custodian has closed this column."""

    code = "restricted_column"


class EpsilonAboveTier(Refused):
    """More ε than one question on such columns may spend."""

    code = "epsilon_above_tier"


class Blocked(Refused):
    """Closed until the custodian opens it again."""

    code = "blocked"
    status = 423


class Throttled(Refused):
    """Too much at once; later is fine."""

    code = "throttled"
    status = 429


class BudgetExhausted(Refused):
    """The price is more than what is left."""

    code = "budget_exhausted"
    status = 402
    exit_code = 4


class Unauthorised(RequestError):
    """No valid credential."""

    code = "unauthorised"
    status = 401
    exit_code = 5


class Forbidden(RequestError):
    """A valid credential without this right."""

    code = "forbidden"
    status = 403
    exit_code = 5


class SetupError(NoisegateError):
    """The operator can fix it."""

    code = "bad_input"
    status = 500
    exit_code = 2


class CatalogError(SetupError):
    """catalog.toml, or the data it names, is not as declared."""


class LedgerUnavailable(SetupError):
    """The ledger cannot be written, so nothing is released."""

    code = "ledger_unavailable"
    status = 503
    exit_code = 6


class StateLocked(SetupError):
    """Another process holds the state directory."""

    code = "ledger_unavailable"
    status = 503
    exit_code = 6


class Unreachable(SetupError):
    """No gateway answers at that address."""

    code = "ledger_unavailable"
    status = 503
    exit_code = 6


class InternalError(NoisegateError):
    """Ours to fix."""


class EngineFailed(InternalError):
    """The engine did not finish. One constant text, whatever the rows."""

    code = "engine_failed"

    def __init__(self) -> None:
        super().__init__(
            "the engine could not answer this plan; the budget it was charged stays spent",
            "ask the custodian: the plan is closed for everyone until they have looked at it",
        )


class EngineTimeout(InternalError):
    """The engine ran past its limit. One constant text, whatever the rows."""

    code = "timeout"
    status = 504

    def __init__(self) -> None:
        super().__init__(
            "the engine ran past its time limit; the budget it was charged stays spent",
            "ask the custodian: the plan is closed for everyone until they have looked at it",
        )
