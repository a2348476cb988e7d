"""A reply that is an error, turned back into the exception the gateway raised."""

from collections.abc import Mapping
from typing import Any

from noisegate import errors

# Where several classes share a code, the one a remote asker can meet.
BY_CODE: Mapping[str, type[errors.NoisegateError]] = {
    cls.code: cls
    for cls in (
        errors.BadInput,
        errors.TooLarge,
        errors.NotFound,
        errors.Conflict,
        errors.UnsupportedSql,
        errors.NotAggregate,
        errors.NotUnitLocal,
        errors.UnknownColumn,
        errors.MissingBounds,
        errors.RestrictedColumn,
        errors.EpsilonAboveTier,
        errors.Blocked,
        errors.Throttled,
        errors.BudgetExhausted,
        errors.Unauthorised,
        errors.Forbidden,
        errors.LedgerUnavailable,
        errors.InternalError,
    )
}
CONSTANT: Mapping[str, type[errors.EngineFailed] | type[errors.EngineTimeout]] = {
    errors.EngineFailed.code: errors.EngineFailed,
    errors.EngineTimeout.code: errors.EngineTimeout,
}


def failure(reply: Mapping[str, Any]) -> errors.NoisegateError:
    """Return the exception for a reply of the one error shape; an unknown code gives InternalError."""
    said = reply["error"]
    code = said["code"]
    if code in CONSTANT:
        return CONSTANT[code]()
    error = BY_CODE.get(code, errors.InternalError)(said["message"], said.get("hint", ""))
    error.detail = dict(said.get("detail", {}))
    return error
