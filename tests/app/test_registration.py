"""The accounts that a catalog opens, and what it may say of them later."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import pytest

from noisegate.app.registration import genotype_store, open_accounts, register_next
from noisegate.app.state import DATA
from noisegate.catalog.model import Budget, Catalog, Every
from noisegate.config import Config
from noisegate.errors import CatalogError
from noisegate.genotypes.packed import unpack
from noisegate.genotypes.store import Store
from noisegate.ledger.records import ReceiptKind
from noisegate.ledger.store import Ledger
from noisegate.privacy.filter import Limits

from .conftest import Clock, at, lasting


def with_budgets(catalog: Catalog, budgets: Mapping[str, Budget]) -> Catalog:
    """The catalog with other budgets for the datasets and populations that are named."""
    return replace(
        catalog,
        datasets=tuple(replace(d, budget=budgets.get(d.name, d.budget)) for d in catalog.datasets),
        populations=MappingProxyType({n: budgets.get(n, b) for n, b in catalog.populations.items()}),
    )


def test_a_dataset_s_first_period_ends_with_the_calendar_s(
    catalog: Catalog, ledger: Ledger, clock: Clock
) -> None:
    open_accounts(ledger, lasting(catalog, {"ward": Every.MONTH, "town": Every.YEAR}))
    ends = {b.id: b.period.until for b in ledger.accounts()}
    month, year = at("2026-06-01"), at("2027-01-01")
    assert ends == {
        "town": year,
        "town/clinic": None,
        "town/clinic/default": None,
        "town/ward": month,
        "town/ward/default": month,
    }


def test_accounts_are_opened_once_however_late_the_catalog_is_read_again(
    catalog: Catalog, ledger: Ledger, clock: Clock
) -> None:
    monthly = lasting(catalog, {"ward": Every.MONTH})
    open_accounts(ledger, monthly)
    before = ledger.accounts()
    for moment in ("2026-05-31T23:59:59", "2026-06-01", "2027-01-01"):
        clock.now = at(moment)
        open_accounts(ledger, monthly)
        open_accounts(ledger, catalog)
    assert ledger.accounts() == before


@pytest.mark.parametrize("name", ["ward", "town"])
@pytest.mark.parametrize(
    "other", [Budget(Fraction(4), Fraction(1, 10**6)), Budget(Fraction(3), Fraction(1, 10**7))]
)
def test_another_budget_than_the_account_was_opened_with_is_refused(
    catalog: Catalog, ledger: Ledger, name: str, other: Budget
) -> None:
    open_accounts(ledger, catalog)
    with pytest.raises(CatalogError, match="opened with") as refused:
        open_accounts(ledger, with_budgets(catalog, {name: other}))
    assert "budget renew" in refused.value.hint


def test_the_catalog_states_the_first_period_whatever_was_granted_since(
    catalog: Catalog, ledger: Ledger
) -> None:
    open_accounts(ledger, catalog)
    granted = Limits.of(Fraction(9), Fraction(1, 10**7))
    for account in ("town", "town/ward", "town/ward/default"):
        ledger.renew(account, granted, until=None, by="cus")
        ledger.renew(account, granted, until=None, by="cus")
    open_accounts(ledger, catalog)
    with pytest.raises(CatalogError, match="town/ward in"):
        open_accounts(ledger, with_budgets(catalog, {"ward": Budget(Fraction(9), Fraction(1, 10**7))}))


def test_the_first_period_is_found_far_down_the_chain_too(catalog: Catalog, ledger: Ledger) -> None:
    open_accounts(ledger, catalog)
    for _ in range(150):
        ledger.renew("town/ward", None, until=None, by="cus")
    ledger.open_account(replace(ledger.find_account("town/ward/default").account, id="town/ward/late"))
    ledger.renew("town/ward/late", Limits.of(Fraction(1), Fraction(0)), until=None, by="cus")
    open_accounts(ledger, catalog)
    assert [r.kind for r in ledger.receipts("ward", 0, 2)] == [ReceiptKind.OPENED] * 2


def test_limits_finer_than_the_ledger_s_units_are_found_again(catalog: Catalog, ledger: Ledger) -> None:
    odd = with_budgets(catalog, {"ward": Budget(Fraction(1, 3), Fraction(1, 7 * 10**14))})
    open_accounts(ledger, odd)
    open_accounts(ledger, odd)
    ledger.renew("town/ward", Limits.of(Fraction(2), Fraction(0)), until=None, by="cus")
    open_accounts(ledger, odd)


def test_a_dataset_that_moves_to_another_population_is_refused(catalog: Catalog, ledger: Ledger) -> None:
    open_accounts(ledger, catalog)
    moved = replace(
        catalog,
        datasets=tuple(
            replace(d, population="elsewhere") if d.name == "ward" else d for d in catalog.datasets
        ),
        populations=MappingProxyType({**catalog.populations, "elsewhere": catalog.populations["town"]}),
    )
    with pytest.raises(CatalogError, match="population 'elsewhere'"):
        open_accounts(ledger, moved)


GENOMES = """
[panel]
unit = "person"
[panel.genotypes.snps]
source = "some.vcf"
variants = "public"
"""
VCF = """##fileformat=VCFv4.2
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann\tbob
1\t1\trs1\tA\tC\t.\t.\t.\tGT\t0/1\t./.
"""


def test_each_version_keeps_the_store_it_was_registered_with(tmp_path: Path) -> None:
    config = settings_of(tmp_path)
    told: list[tuple[str, float]] = []
    assert register_next(config, "panel", lambda *done: told.append(done)) == 1
    (tmp_path / "some.vcf").write_text(VCF.replace("0/1", "1/1"))
    assert register_next(config, "panel", lambda *done: told.append(done)) == 2
    first, second = (genotype_store(config, "panel", version, "snps") for version in (1, 2))
    assert first == tmp_path / "state" / DATA / "panel-1.snps.zarr"
    assert [unpack(Store.open(path).block(0, 1)).tolist() for path in (first, second)] == [
        [[1, -1]],
        [[2, -1]],
    ]
    assert told[-1] == ("panel", 1.0)
    with pytest.raises(CatalogError, match="no genotype store"):
        genotype_store(config, "panel", 3, "snps")


def test_what_a_registration_left_that_never_reached_the_ledger_is_replaced(tmp_path: Path) -> None:
    config = settings_of(tmp_path)
    data = tmp_path / "state" / DATA
    for left in ("panel-1.snps.zarr", "panel-1.gone.zarr", "panel-10.snps.zarr"):
        (data / left).mkdir(parents=True)
        (data / left / "half").touch()
    assert register_next(config, "panel", lambda *_: None) == 1
    assert genotype_store(config, "panel", 1, "snps").is_dir()
    assert sorted(path.name for path in data.glob("*.zarr")) == ["panel-1.snps.zarr", "panel-10.snps.zarr"]


def settings_of(folder: Path) -> Config:
    (folder / "catalog.toml").write_text(GENOMES)
    (folder / "some.vcf").write_text(VCF)
    return Config(catalog=folder / "catalog.toml", state=folder / "state")
