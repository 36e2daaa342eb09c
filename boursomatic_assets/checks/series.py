"""Asset checks of bars as time series: anomalies, partial restatements, reused symbols.

What belongs here: what a series is warned of. No bar is removed for it: genuine extremes look like errors.
Kept elsewhere: how anomalies are found (`quality/anomalies.py`), how restatements are found
(`quality/restatement.py`), invariants of single bars (`bars.py`).
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.findings.counting import counts_of
from boursomatic_assets.checks.invariant import MAX_NAMED, Finding, invariant, on_sessions
from boursomatic_assets.quality import anomalies
from boursomatic_assets.quality.restatement import find_basis_changes, find_restated
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice
from boursomatic_assets.tables.revisions import known_from
from boursomatic_assets.tables.staging import bounds

BARS_PER_READ = 500_000
REUSE_GAP_DAYS = 60
REUSE_PRICE_RATIO = 10.0
"""A symbol that returns after a longer gap, at a price so many times higher or lower, is another company's."""

SYMBOL_RETURNS = """
WITH bars AS (
    SELECT t.instrument_id, i.symbol, t.ts, t.o, lag(t.ts) OVER before AS ts_, lag(t.c) OVER before AS c_
    FROM price_bars t JOIN instruments i ON i.id = t.instrument_id AND i.exchange = ANY(:exchanges)
    WHERE t.interval = 'daily' AND t.ts >= :start AND t.ts < :end
    WINDOW before AS (PARTITION BY t.instrument_id ORDER BY t.ts)
)
SELECT b.symbol, b.ts, b.o / coalesce(b.c_, p.c) AS ratio FROM bars b
LEFT JOIN LATERAL (
    SELECT ts, c FROM price_bars p
    WHERE b.ts_ IS NULL AND p.instrument_id = b.instrument_id AND p.interval = 'daily' AND p.ts < b.ts
    ORDER BY p.ts DESC LIMIT 1
) p ON true
WHERE b.ts - coalesce(b.ts_, p.ts) > :gap AND (b.o / coalesce(b.c_, p.c)) NOT BETWEEN 1 / :ratio AND :ratio
ORDER BY b.ts, b.symbol
"""
"""Bars after a long gap, with the ratio of their open to the close before the gap, if it is large or small."""

BAR_COLUMNS = ("instrument_id", "ts", *"ohlcv")
GRAIN = GRAINS["price_bars"]


@invariant("price_bars", blocking=False)
def bars_are_usual(connection: Connection, part: Slice) -> Finding:
    """No bar is a filler, has zero volume, is stale, jumps in price or follows a gap; no session is an outage.

    The first 20 of each kind are listed, a price jump with its size and the ratio of the likeliest split, if any.
    """
    anomalous = pl.concat([pl.DataFrame(schema=anomalies.FINDINGS), *_find_anomalies(connection, part)])
    first = anomalous.sort("ratio", nulls_last=True, maintain_order=True).group_by("kind", maintain_order=True)
    named: dict[str, list[dict[str, Any]]] = {f"{kind} at": [] for kind in anomalies.KINDS}
    for row in _add_symbols(connection, first.head(MAX_NAMED)).iter_rows(named=True):
        named[f"{row['kind']} at"].append(_row_of_anomaly(part.market.name, **row))
    return on_sessions(
        part.market.name,
        warnings=_count_by_date(anomalous, "ts"),
        figures={**anomalies.count_by_kind(anomalous), **named},
    )


@invariant("price_bars", blocking=False)
def series_stand_on_one_basis(connection: Connection, part: Slice) -> Finding:
    """All bars of an instrument have the same price basis; `boursomatic reload SYMBOL` repairs a series.

    A basis differs where a delivery restated only later bars, by a constant factor, or where new bars begin with
    a split.
    """
    found = pl.concat([_find_partial_restatements(connection, part), _find_basis_breaks(part)])
    breaks = _add_symbols(connection, found.unique("instrument_id", keep="first", maintain_order=True))
    named = [
        {
            "market": part.market.name,
            "session": f"{first:%Y-%m-%d}",
            "symbol": symbol,
            "factor": float(f"{factor:.5g}"),
        }
        for _, factor, first, symbol in breaks.iter_rows()
    ]
    by_date = _count_by_date(breaks, "first")
    return on_sessions(part.market.name, warnings=by_date, figures={"restated": named})


@invariant("price_bars", blocking=False)
def no_symbol_was_reused(connection: Connection, part: Slice) -> Finding:
    """No symbol returns after two months at ten times its price, or a tenth: that is another company."""
    parameters = bounds(part) | {"gap": f"{REUSE_GAP_DAYS} days", "ratio": REUSE_PRICE_RATIO}
    reused = connection.execute(text(SYMBOL_RETURNS), parameters).all()
    named = [
        {
            "market": part.market.name,
            "session": f"{row.ts:%Y-%m-%d}",
            "symbol": row.symbol,
            "ratio": float(f"{row.ratio:.3g}"),
        }
        for row in reused
    ]
    by_date = Counter(row.ts.date() for row in reused)
    return on_sessions(part.market.name, warnings=by_date, figures={"reused": named})


def _row_of_anomaly(
    market: str, kind: str, symbol: str | None, ts: dt.datetime, figure: float, ratio: float | None, **_: object
) -> dict[str, Any]:
    """Session and symbol of an anomaly, as far as it has one; for a price jump also its size and split ratio."""
    row: dict[str, Any] = {"market": market, "session": f"{ts:%Y-%m-%d}"}
    if symbol:
        row["symbol"] = symbol
    if kind == "jump":
        row |= {"jump": float(f"{figure:.3g}"), "likeliest split": f"{ratio:.3g}" if ratio else ""}
    return row


def _count_by_date(found: pl.DataFrame, time: str) -> dict[dt.date | None, int]:
    """How many rows each date has."""
    return counts_of(found.group_by(pl.col(time).dt.date()).len().iter_rows())


def _find_anomalies(connection: Connection, part: Slice) -> Iterator[pl.DataFrame]:
    """The anomalies of a slice, chunk by chunk."""
    query = "SELECT count(*) FROM instruments WHERE exchange = ANY(:exchanges)"
    instruments = connection.scalar(text(query), bounds(part)) or 1
    for chunk in part.chunks(max(BARS_PER_READ // instruments, anomalies.LOOKBACK)):
        bars = read_slice(GRAIN, chunk.looking_back(anomalies.LOOKBACK), BAR_COLUMNS)
        yield anomalies.find_anomalies(bars, part.market.sessions(), chunk.start, chunk.end)


def _find_partial_restatements(connection: Connection, part: Slice) -> pl.DataFrame:
    """Instruments of which a delivery multiplied later bars, but no older ones.

    Returns:
        instrument_id, factor, first (the first restated bar).
    """
    revised = _read_revised_bars(connection, part)
    keys = ["instrument_id", "ts"]
    delivered = revised.select(*keys, *(pl.col(f"{price}_now").alias(price) for price in "ohlc"))
    restated = find_restated(revised.select(*keys, *"ohlc"), delivered)
    first_bars = restated.join(
        revised.select(*keys, "known_until"), left_on=["instrument_id", "first"], right_on=keys
    )
    older_bar_kept = [
        _is_older_bar_unchanged(connection, *row)
        for row in first_bars.select("instrument_id", "first", "known_until").iter_rows()
    ]
    return first_bars.filter(pl.Series(older_bar_kept, dtype=pl.Boolean)).select(
        "instrument_id", "factor", "first"
    )


def _read_revised_bars(connection: Connection, part: Slice) -> pl.DataFrame:
    """Keys, old prices, current prices (`_now`) and known_until of the bars that the latest delivery revised."""
    old_prices = ", ".join(f"r.{price} AS {price}" for price in "ohlc")
    new_prices = ", ".join(f"t.{price} AS {price}_now" for price in "ohlc")
    rows = connection.execute(
        text(
            f"SELECT r.instrument_id::text, r.ts, {old_prices}, {new_prices}, r.known_until"
            " FROM price_bar_revisions r JOIN price_bars t USING (instrument_id, ts, interval)"
            " JOIN instruments i ON i.id = r.instrument_id AND i.exchange = ANY(:exchanges)"
            " WHERE r.interval = 'daily' AND r.ts >= :start AND r.ts < :end"
            f" AND {known_from('t')} = r.known_until"
        ),
        bounds(part),
    ).all()
    prices = dict.fromkeys([*"ohlc", *(f"{price}_now" for price in "ohlc")], pl.Float64())
    schema = {"instrument_id": pl.String(), "ts": pl.Datetime("us"), **prices, "known_until": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _is_older_bar_unchanged(connection: Connection, instrument: str, first: object, revised_at: object) -> bool:
    """Whether the bar before the first restated one is older than the restatement."""
    query = text(
        f"SELECT {known_from('t')} < :revised_at FROM price_bars t"
        " WHERE instrument_id = CAST(:instrument AS uuid) AND interval = 'daily' AND ts < :first"
        " ORDER BY ts DESC LIMIT 1"
    )
    return bool(connection.scalar(query, {"instrument": instrument, "first": first, "revised_at": revised_at}))


def _find_basis_breaks(part: Slice) -> pl.DataFrame:
    """Instruments whose first new bars have another price basis than the stored ones: id, factor, first."""
    first_chunk = next(part.chunks(anomalies.LOOKBACK))
    bars = read_slice(GRAIN, first_chunk.looking_back(anomalies.LOOKBACK), BAR_COLUMNS)
    in_slice = pl.col("ts") >= part.start
    found = find_basis_changes(bars.filter(~in_slice), bars.filter(in_slice), part.market.sessions())
    return found.select("instrument_id", "factor", "first")


def _add_symbols(connection: Connection, found: pl.DataFrame) -> pl.DataFrame:
    """Findings with the column `symbol` added."""
    query = text("SELECT id::text, symbol FROM instruments WHERE id = ANY(CAST(:ids AS uuid[]))")
    rows = connection.execute(query, {"ids": found["instrument_id"].to_list()}).all() if found.height else []
    symbols = pl.DataFrame(rows, schema={"instrument_id": pl.String, "symbol": pl.String}, orient="row")
    return found.join(symbols, on="instrument_id", how="left", maintain_order="left")
