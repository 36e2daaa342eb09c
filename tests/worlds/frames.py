"""Small frames for tests: a few instruments of both markets, their bars and recommendations."""

import datetime as dt
import uuid
from typing import Any

import polars as pl
from sqlalchemy import Engine, text

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.sources import RAW_BARS
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.grains import INSTRUMENTS

EXCHANGES = {"ACME": "NYSE", "BOLT": "NASDAQ", "LUXE": "EURONEXT", "VINS": "EURONEXT"}
IDS = {symbol: str(uuid.uuid5(uuid.NAMESPACE_DNS, symbol)) for symbol in EXCHANGES}
MODEL_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, "model"))


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def midnight(date: str) -> dt.datetime:
    return dt.datetime.fromisoformat(date)


def slice_of(market: str, *dates: str) -> Slice:
    """The slice of consecutive dates."""
    (part,) = slices_of(MARKETS[market], map(day, dates))
    return part


def instruments() -> pl.DataFrame:
    """All instruments of EXCHANGES, with the columns of the table `instruments`."""
    rows = [
        {"id": IDS[symbol], "symbol": symbol, "exchange": exchange, "name": symbol.title()}
        for symbol, exchange in EXCHANGES.items()
    ]
    unknown = dict.fromkeys(("sector", "market_cap_bucket", "pe_bucket"), pl.lit(None, pl.String()))
    return pl.DataFrame(rows).with_columns(**unknown)


def insert_instruments(engine: Engine) -> None:
    with engine.begin() as connection:
        merging.upsert(connection, INSTRUMENTS, instruments())


def bars(symbols: str, *dates: str, close: float = 10.0, **overrides: Any) -> pl.DataFrame:
    """One daily bar per symbol ("ACME BOLT") and date, as `price_bars` takes them."""
    rows = [
        {
            "instrument_id": IDS[symbol],
            "ts": midnight(date),
            "o": close,
            "h": close + 1,
            "l": close - 1,
            "c": close,
            "v": 1000.0,
            "interval": "daily",
            **overrides,
        }
        for date in dates
        for symbol in symbols.split()
    ]
    return pl.DataFrame(rows, schema_overrides={"ts": pl.Datetime("us")})


def delivered_bars(symbols: str, *dates: str, **overrides: Any) -> pl.DataFrame:
    """Bars as a source delivers them, with the columns of `RAW_BARS`."""
    names = {identifier: symbol for symbol, identifier in IDS.items()}
    symbol = pl.col("instrument_id").replace_strict(names)
    named = bars(symbols, *dates).with_columns(symbol=symbol, exchange=symbol.replace_strict(EXCHANGES))
    changes = {name: pl.lit(value, RAW_BARS[name]) for name, value in overrides.items()}
    empty = {name: pl.lit(None, RAW_BARS[name]) for name in ("file", "line", "file_id", "raw", "fault")}
    names = {name: RAW_BARS[name] for name in ("symbol", "exchange")}
    return named.with_columns(**(empty | changes)).select(*RAW_BARS).cast(names)  # type: ignore[arg-type]


def recommendation_rows(
    symbols: str, market: str, *dates: str, label: str = "HOLD", profile: str = "moderate"
) -> pl.DataFrame:
    """One recommendation per symbol and session of a market, as `recommendations` takes them."""
    rows = [
        {
            "instrument_id": IDS[symbol],
            "model_version_id": MODEL_ID,
            "profile": profile,
            "label": label,
            "confidence": 0.5,
            "expected_return_pct": 1.0,
            "horizon_days": 20,
            "stop_loss": 9.0,
            "take_profit": 12.0,
            "justification": "it moved",
            "features_snapshot": '{"ret_1d": 0.01}',
            "as_of": MARKETS[market].close_time(day(date)),
            "view": "given",
        }
        for date in dates
        for symbol in symbols.split()
    ]
    return pl.DataFrame(rows, schema_overrides={"as_of": pl.Datetime("us"), "horizon_days": pl.Int32})


def insert_model_version(engine: Engine) -> None:
    """The model version of all recommendations."""
    statement = "INSERT INTO model_versions (id, version, params_hash, metrics_json, as_of)"
    with engine.begin() as connection:
        connection.execute(text(f"{statement} VALUES (:id, 'v1', 'hash', '{{}}', '2020-01-02')"), {"id": MODEL_ID})


def query_rows(engine: Engine, statement: str, **values: object) -> list[Any]:
    """The rows of a query, as tuples."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement), values)]
