"""Names: every name of an instrument leads to it, whether bars are delivered, scored or looked up."""

from sqlalchemy import Engine
from worlds.frames import query_rows
from worlds.pep import MONDAY, NASDAQ, NYSE, THURSDAY, US, WEEK, bars_of, deliver, list_instruments, listing

from boursomatic_assets.tables.aliases import names
from boursomatic_assets.tables.aliases.merge import merge
from boursomatic_assets.tables.aliases.names import Name
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.reading import read_slice, read_table


def test_every_name_has_the_id_of_its_instrument(migrated: Engine) -> None:
    other = Name("ACME", "NYSE")
    list_instruments(migrated, NYSE, NASDAQ, US, other)
    merge(NYSE, NASDAQ)
    merge(US, NASDAQ)
    ids = {Name(*row[1:]): row[0] for row in names.with_aliases(read_table(INSTRUMENTS)).rows()}
    own = {Name(*row[1:]): row[0] for row in listing(NASDAQ, other).select("id", "symbol", "exchange").rows()}
    assert ids == {**own, NYSE: own[NASDAQ], US: own[NASDAQ]}


def test_a_merged_instrument_is_scored_by_the_bars_of_the_other(migrated: Engine) -> None:
    list_instruments(migrated, NYSE, NASDAQ, US)
    deliver(migrated, bars_of(NYSE, MONDAY), bars_of(NASDAQ, THURSDAY))
    bars = read_slice(GRAINS["price_bars"], WEEK)
    assert names.with_merged_series(bars).equals(bars), "nothing is merged"
    merge(NYSE, NASDAQ)
    series = names.with_merged_series(read_slice(GRAINS["price_bars"], WEEK))
    by_instrument = {key: frame["ts"].to_list() for (key,), frame in series.group_by("instrument_id")}
    nyse, nasdaq = listing(NYSE, NASDAQ)["id"]
    assert by_instrument[nyse] == by_instrument[nasdaq] == sorted(bars["ts"].to_list())
    assert series.height == 4


def test_a_symbol_of_the_past_names_the_instrument_too(migrated: Engine) -> None:
    facebook, meta = Name("FB", "NASDAQ"), Name("META", "NASDAQ")
    list_instruments(migrated, facebook, meta)
    merge(facebook, meta)
    assert names.symbols_of("FB") == ["FB", "META"]
    assert names.symbols_of("META") == ["META"]
    assert query_rows(migrated, "SELECT symbol FROM instrument_aliases") == [("FB",)]
