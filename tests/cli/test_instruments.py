"""Commands about instruments: what there is, what may be one share, and the merge."""

import json

import pytest
from sqlalchemy import Engine
from worlds.commands import boursomatic, error_line
from worlds.pep import MONDAY, NASDAQ, NYSE, THURSDAY, TUESDAY, US, bars_of, deliver, list_instruments

from boursomatic_assets.tables.aliases.names import Name

MERGE = ("instruments", "merge", "PEP@NYSE", "PEP@US", "--into", "PEP@NASDAQ")


@pytest.fixture
def pep(migrated: Engine) -> Engine:
    """PEP of NYSE until Tuesday, of NASDAQ on Thursday, which is delivered as US once more; and LUXE of Paris."""
    list_instruments(migrated, NYSE, NASDAQ, US, Name("LUXE", "EURONEXT"))
    deliver(migrated, bars_of(NYSE, MONDAY, TUESDAY), bars_of(NASDAQ, THURSDAY), bars_of(US, THURSDAY, c=10.5))
    return migrated


def listed(*options: str) -> list[dict[str, object]]:
    shown: list[dict[str, object]] = json.loads(boursomatic("instruments", "list", "--json", *options).stdout)
    return shown


def test_instruments_are_listed_with_their_bars_and_aliases(pep: Engine) -> None:
    assert [(row["symbol"], row["exchange"], row["first"], row["last"]) for row in listed()] == [
        ("LUXE", "EURONEXT", None, None),
        ("PEP", "NASDAQ", THURSDAY, THURSDAY),
        ("PEP", "NYSE", MONDAY, TUESDAY),
        ("PEP", "US", THURSDAY, THURSDAY),
    ]
    assert boursomatic(*MERGE).exit_code == 0
    assert listed("--market", "US") == [
        {
            **{"symbol": "PEP", "exchange": "NASDAQ", "name": None, "first": MONDAY, "last": THURSDAY},
            **{"active": True, "aliases": ["PEP@NYSE", "PEP@US"]},
        }
    ]
    table = boursomatic("instruments", "list").output
    assert "PEP@NYSE, PEP@US" in table


def test_those_that_may_be_one_share_are_listed_with_the_command_that_merges_them(pep: Engine) -> None:
    result = boursomatic("instruments", "list", "--duplicates")
    assert result.output.count("| PEP ") == 3
    assert "LUXE" not in result.output
    assert result.output.splitlines()[-1] == " ".join(("boursomatic", *MERGE))
    assert boursomatic(*MERGE).exit_code == 0
    error = error_line(boursomatic("instruments", "list", "--duplicates"))
    assert "no instruments seem to be one share" in error


def test_a_merge_says_what_it_does_and_the_series_reads_as_one(pep: Engine) -> None:
    planned = boursomatic(*MERGE, "--dry-run").output
    assert planned.startswith("PEP@NYSE would be merged into PEP@NASDAQ\n")
    assert "may be" not in error_line(boursomatic("instruments", "list", "--market", "EURONEXT", "--duplicates"))
    assert boursomatic(*MERGE).output.splitlines() == [
        "PEP@NYSE is merged into PEP@NASDAQ",
        "         2 bars that the other lacks, which are moved",
        "bars of 2017-12-18 .. 2017-12-19 changed: `boursomatic refresh` computes features and scores again",
        "PEP@US is merged into PEP@NASDAQ",
        "         1 bars that the other has with other values, which are kept as revisions",
        "bars of 2017-12-21 .. 2017-12-21 changed: `boursomatic refresh` computes features and scores again",
    ]
    bars = json.loads(boursomatic("bars", "PEP", "--from", MONDAY, "--to", THURSDAY, "--json").stdout)
    assert [(bar["exchange"], bar["ts"][:10], bar["c"]) for bar in bars] == [
        ("NASDAQ", date, 10.0) for date in (MONDAY, TUESDAY, THURSDAY)
    ]
    again = boursomatic(*MERGE)
    assert again.exit_code == 0
    assert again.output.splitlines() == [
        f"PEP@{name} is merged into PEP@NASDAQ already" for name in ("NYSE", "US")
    ]


def test_a_renamed_share_is_shown_under_both_symbols(pep: Engine) -> None:
    facebook, meta = Name("FB", "NASDAQ"), Name("META", "NASDAQ")
    list_instruments(pep, facebook, meta)
    deliver(pep, bars_of(facebook, MONDAY), bars_of(meta, TUESDAY))
    assert boursomatic("instruments", "merge", str(facebook), "--into", str(meta)).exit_code == 0
    for symbol in ("FB", "META"):
        shown = boursomatic("bars", symbol, "--from", MONDAY, "--to", TUESDAY, "--json").stdout
        assert [bar["symbol"] for bar in json.loads(shown)] == ["META", "META"]


@pytest.mark.parametrize("name", ["PEP", "PEP@", "@NYSE"])
def test_a_name_without_symbol_or_exchange_is_a_wrong_call(pep: Engine, name: str) -> None:
    result = boursomatic("instruments", "merge", name, "--into", "PEP@NASDAQ")
    assert result.exit_code == 2
    assert "write SYMBOL@EXCHANGE, such as PEP@NYSE" in result.stderr


def test_an_unknown_instrument_is_named(pep: Engine) -> None:
    error = error_line(boursomatic("instruments", "merge", "PEPSI@NYSE", "--into", "PEP@NASDAQ"))
    assert error == "error: there is no instrument PEPSI@NYSE: `boursomatic instruments list` lists them"
