"""Candidates: what may be one share is found by its spelling, and the command that merges it is right."""

import shlex

import pytest
from sqlalchemy import Engine
from worlds.commands import boursomatic
from worlds.pep import MONDAY, NASDAQ, NYSE, THURSDAY, TUESDAY, US, bars_of, deliver, list_instruments

from boursomatic_assets.tables.aliases.candidates import Candidates, find_candidates
from boursomatic_assets.tables.aliases.names import Name


def candidates(engine: Engine) -> list[Candidates]:
    with engine.connect() as connection:
        return find_candidates(connection)


def test_a_symbol_under_several_exchanges_of_one_market_is_found_until_it_is_merged(migrated: Engine) -> None:
    list_instruments(migrated, NYSE, NASDAQ, US, Name("PEP", "EURONEXT"), Name("ACME", "NYSE"))
    deliver(migrated, bars_of(NYSE, MONDAY, TUESDAY), bars_of(NASDAQ, THURSDAY), bars_of(US, THURSDAY))
    (found,) = candidates(migrated)
    assert str(found) == (
        "PEP@NASDAQ 2017-12-21, PEP@NYSE 2017-12-18 .. 2017-12-19, PEP@US 2017-12-21:"
        " `boursomatic instruments merge PEP@NYSE PEP@US --into PEP@NASDAQ`"
    )
    assert boursomatic(*shlex.split(found.command)[1:]).exit_code == 0
    assert candidates(migrated) == []


@pytest.mark.parametrize("other", ["BRK B", "BRK-B", "BRK/B", "brk.b", " BRK.B "])
def test_another_spelling_is_found_and_the_plain_one_stays(migrated: Engine, other: str) -> None:
    plain, variant = Name("BRK.B", "NYSE"), Name(other, "NYSE")
    list_instruments(migrated, plain, variant, Name("BRKB", "NYSE"))
    deliver(migrated, *(bars_of(name, MONDAY) for name in (plain, variant, Name("BRKB", "NYSE"))))
    (found,) = candidates(migrated)
    assert found.target == plain
    assert shlex.split(found.command)[3:] == [str(variant), "--into", str(plain)]


def test_an_instrument_without_bars_is_no_candidate(migrated: Engine) -> None:
    list_instruments(migrated, NYSE, NASDAQ)
    deliver(migrated, bars_of(NYSE, MONDAY))
    assert candidates(migrated) == []
