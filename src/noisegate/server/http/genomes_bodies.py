"""The shapes of requests about genomes, as the OpenAPI document shows them."""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from noisegate.ask.question import parse_number
from noisegate.genomics.recipe import Request
from noisegate.server.http.bodies import Body, Name, Number

TableName = Annotated[str, Field(max_length=201, pattern=r"^[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$")]
Sample = Annotated[str, Field(min_length=1, max_length=1_000)]
Frequency = Annotated[float, Field(ge=0, le=1)]


class ShareBody(Body):
    """A release of genomes, as it is asked for."""

    genotypes: TableName = Field(description="whose genotypes", examples=["panel.snps"])
    method: Literal["xor", "response", "frequencies", "tables", "synthetic"]
    epsilon: Number = Field(description="of one person, all variants together", examples=[8])
    delta: Number | None = Field(None, description="0 where absent: pure differential privacy")
    reference: TableName | None = Field(None, description="a public panel")
    manifest: TableName | None = Field(None, description="a public panel whose variants are shared")
    coupling: Number | None = Field(None, description="for xor: how flips of neighbouring bits hang together")
    families: list[list[Sample]] | None = Field(
        None, max_length=100_000, description="for xor: declared pedigrees"
    )
    restore: Literal["none", "public", "declared", "released"] = Field(
        "none", description="towards which allele frequencies noisy genotypes are moved"
    )
    target: str | None = Field(
        None, max_length=201, description="the public panel, or the release of frequencies"
    )
    frequencies: dict[str, Frequency] | None = Field(
        None, description="or a table that is published already: variant to frequency"
    )
    statement: str | None = Field(None, max_length=2_000, description="where that table was published")
    cases: list[Sample] | None = Field(None, max_length=10_000_000, description="for tables: who is a case")
    formats: list[Literal["bed", "pgen", "vcf", "vcf-zarr", "parquet"]] = Field(
        ["bed"], max_length=5, description="what genotypes are given out as"
    )
    accept: bool = Field(False, description="the warnings were read, and the release is to go on")
    anew: bool = Field(True, description="whether it may be begun; else only one that was is gone on with")

    def request(self) -> Request:
        """Return what the gateway takes."""
        return Request(
            genotypes=self.genotypes,
            method=self.method,
            epsilon=parse_number("epsilon", self.epsilon) or Fraction(0),
            delta=parse_number("delta", self.delta) or Fraction(0),
            reference=self.reference or "",
            manifest=self.manifest or "",
            coupling=parse_number("coupling", self.coupling) or Fraction(0),
            families=tuple(map(tuple, self.families or ())),
            restore=self.restore,
            target=self.target or "",
            frequencies=self.frequencies,
            statement=self.statement or "",
            cases=tuple(self.cases or ()),
            formats=tuple(self.formats),
            accept=self.accept,
            anew=self.anew,
        )


class ReleaseGrantBody(Body):
    """Who may have a release."""

    analyst: Name
    project: Name = Field("default", description="the project on their token")


class AdviceBody(Body):
    """What a release is wanted for; answered from public data alone."""

    reference: TableName = Field(description="a public panel that the people resemble")
    people: int = Field(ge=1, le=10_000_000)
    variants: int = Field(ge=1, le=100_000_000)
    epsilon: Number
    delta: Number | None = None
