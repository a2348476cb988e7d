"""The shapes of associations, as the OpenAPI document shows them."""

from typing import Annotated

from pydantic import Field

from noisegate.genomics.wanted import MOST_NAMED, MOST_TOP
from noisegate.server.http.bodies import AnswerReply, Body, Number
from noisegate.server.http.genomes_bodies import TableName

Group = Annotated[str, Field(min_length=1)]
Variant = Annotated[str, Field(min_length=1, max_length=1_000)]


class AssociationBody(Body):
    """An association. Give `variants`, or `top`."""

    genotypes: TableName = Field(description="whose genotypes", examples=["panel.snps"])
    cases: Group = Field(
        description="who is a case: what follows FROM in SQL, or a whole SELECT count(*)",
        examples=["clinic.diagnoses WHERE condition = 'migraine'"],
    )
    among: Group | None = Field(None, description="who takes part, likewise; everybody where absent")
    variants: list[Variant] | None = Field(
        None, min_length=1, max_length=MOST_NAMED, description="which variants, by name"
    )
    top: int | None = Field(
        None, ge=1, le=MOST_TOP, description="or how many to find: those that differ most between the groups"
    )
    reference: TableName | None = Field(None, description="a public panel that fills missing calls")
    manifest: TableName | None = Field(None, description="a public panel whose variants are meant")
    epsilon: Number | None = Field(
        None, description="of the whole answer, at the account's δ", examples=[0.5]
    )


class SizeReply(Body):
    """How many people are in a group, and the interval of that."""

    value: float
    low: float
    high: float


class GroupsReply(Body):
    """Both groups."""

    controls: SizeReply
    cases: SizeReply


class AssociationReply(AnswerReply):
    """An answer with a row a variant, and what is said of associations alone."""

    people: int = Field(description="how many are on the roster, a public number")
    groups: GroupsReply = Field(description="how many of them are in each group")
    looked_at: int = Field(description="of how many variants these are told: what p_adjusted corrects for")
    measured: dict[str, object] = Field(description="the noisy counts themselves, all else is made of them")
