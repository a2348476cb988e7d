"""The shapes of requests and replies, as the OpenAPI document shows them.

Requests are read with these models. Replies are written by the gateway itself; their models describe them,
and the tests hold real replies against them.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noisegate.errors import BadInput

Number = Annotated[float, Field(strict=True)] | Annotated[str, Field(max_length=40)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*$")]

Model = TypeVar("Model", bound=BaseModel)


class Body(BaseModel):
    """A shape without further fields."""

    model_config = ConfigDict(extra="forbid")


class AskBody(Body):
    """A question. Give `epsilon`, or `within` (half-width of the 95 % interval), or neither."""

    sql: str = Field(
        min_length=1,
        description="one SELECT that aggregates",
        examples=["SELECT count(*) FROM liver.patients WHERE age > 60"],
    )
    epsilon: Number | None = Field(None, description="nominal ε to spend", examples=[0.5])
    within: Number | None = Field(None, description="half-width to reach, in the unit of the answer")


class TokenBody(Body):
    """A new token. Without `datasets` it holds a grant on all of them."""

    name: Name
    role: Literal["custodian", "analyst", "auditor"]
    datasets: list[Name] | None = Field(None, max_length=1_000)
    expires_days: int | None = Field(None, ge=1, le=3_650)
    project: Name = Field("default", description="the project whose accounts their questions are charged to")


class ColumnReply(Body):
    """A column of an answer. `unit` is the unit of measure; `key` says that cells are plain values."""

    name: str
    type: str
    unit: str
    key: bool


class CellReply(Body):
    """A noisy value and its interval; an unknown or infinite end is null. Integers beyond 2^53 are text."""

    value: int | float | bool | str | None
    low: float | None
    high: float | None


class LossReply(Body):
    """What the answer may reveal of one person: stand-alone (ε, δ), and the ε that was asked for."""

    nominal_epsilon: float
    epsilon: float
    delta: float
    unit: Literal["person"]


class SurchargeReply(Body):
    """What the adaptive price took beside the loss, from the asker's own account alone: ε `epsilon`."""

    factor: float
    epsilon: float


class BudgetReply(Body):
    """Spent and left of the asker's account, ε at its δ, and about how many more like this fit."""

    spent: float
    left: float
    delta: float
    more_like_this: int | str


class ReceiptReply(Body):
    """Where the release is written down."""

    id: str
    hash: str


class AnswerReply(Body):
    """An answer with what it cost."""

    columns: list[ColumnReply] = Field(description="what stands in the rows, in order")
    rows: list[list[CellReply | int | float | bool | str | None]] = Field(
        description="plain values in key columns, else a value with its interval"
    )
    confidence: float = Field(description="of the intervals")
    loss: LossReply
    surcharge: SurchargeReply = Field(description="nothing for a replay, and where the factor is 1")
    mechanisms: list[str] = Field(description="the noise of each measure, in words")
    clamping: list[str] = Field(description="what bounding may take away, from declared bounds")
    notes: list[str] = Field(description="what else a reader must know")
    budget: BudgetReply
    replayed: bool = Field(description="whether this is the stored answer to an earlier twin, at no cost")
    receipt: ReceiptReply


class ErrorDetail(Body):
    """Why not, and the way out. `detail` holds further public facts."""

    code: str
    message: str
    hint: str
    detail: dict[str, object]


class ErrorReply(Body):
    """The one error shape."""

    error: ErrorDetail


ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorReply, "description": "Refused or failed"}
}


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI description of a JSON request body; models are flat, so it refers to nothing."""
    schema = model.model_json_schema()
    if "$defs" in schema:
        raise ValueError(f"{model.__name__} is not flat")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def read(model: type[Model], raw: bytes) -> Model:
    """Return a request body as its model.

    Raises:
        BadInput: it is not JSON, or not of that shape; `detail.problems` lists every place.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as wrong:
        problems = [
            {"where": ".".join(map(str, e["loc"])) or "body", "message": e["msg"]} for e in wrong.errors()
        ]
    first = problems[0]
    raise BadInput(
        f"the request body is not as it should be: {first['where']}: {first['message']}",
        "see /docs for its shape",
        problems=problems,
    )
