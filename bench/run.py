"""Ratios measured side by side in one run: `make bench`, which writes bench/RESULTS.md.

Every pair is interleaved, and its results are compared before a ratio is printed. Absolute times are left out
on purpose: they say more about the machine than about the code.
"""

import datetime as dt
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import talib
from sqlalchemy import Connection, text

from boursomatic_assets import database, embedded, indicators, merging, migrate
from boursomatic_assets.assets.instruments import identified
from boursomatic_assets.contracts import judge
from boursomatic_assets.markets import MARKETS, all_sessions
from boursomatic_assets.slices import Slice, slices_of
from boursomatic_assets.sources.simulated import Simulated
from boursomatic_assets.tables import GRAINS, INSTRUMENTS, read

US = MARKETS["US"]
GRAIN = GRAINS["price_bars"]
ROUNDS = 3
COPY = "COPY price_bars (instrument_id, ts, o, h, l, c, v, interval, id) FROM STDIN (FORMAT csv)"


def main() -> None:
    """Fill a throw-away server, measure, print, write the results."""
    with tempfile.TemporaryDirectory(prefix="boursomatic-bench-") as home:
        os.environ["BOURSOMATIC_HOME"] = home
        os.environ.pop("DATABASE_URL", None)
        try:
            lines = [*_database_lines(), *_feature_lines()]
        finally:
            database.engine().dispose()
            embedded.stop(Path(home))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    table = "\n".join(["| work | against | ratio |", "|---|---|---|", *lines])
    report = (
        f"# Measured side by side\n\n{dt.date.today()}, {machine}; medians of {ROUNDS}, interleaved.\n\n{table}\n"
    )
    Path(__file__).with_name("RESULTS.md").write_text(report)
    print(report)


def _bars() -> tuple[Slice, pl.DataFrame]:
    """About 200,000 bars, of 200 instruments, judged, with their instruments stored."""
    source = Simulated(instruments=200)
    dates = [date for date in all_sessions().tolist() if date >= dt.date(2020, 1, 2)][:1030]
    (part,) = slices_of(US, dates)
    instruments = identified(source.instruments())
    with database.engine().begin() as connection:
        merging.upsert(connection, INSTRUMENTS, instruments)
    return part, judge(source.bars(US, part.start, part.end), part, instruments, "simulated").kept.drop("market")


def _database_lines() -> list[str]:
    migrate.upgrade()
    part, bars = _bars()
    with database.engine().connect() as connection:
        first, again, straight = [], [], []
        for _ in range(ROUNDS):
            _empty(connection)
            straight.append(_timed(lambda: _copy(connection, bars)))
            _empty(connection)
            first.append(_timed(lambda: _write(connection, part, bars)))
            again.append(_timed(lambda: _write(connection, part, bars)))
            assert connection.scalar(text("SELECT count(*) FROM price_bars")) == bars.height
    with database.engine().connect() as connection:
        connection.execute(text("ANALYZE price_bars"))
        connection.commit()
    fetched = [_timed(lambda: read(GRAIN, part)) for _ in range(ROUNDS)]
    pandas = [_timed(lambda: _read_with_pandas(part)) for _ in range(ROUNDS)]
    return [
        _line(
            "the IO manager writes a new slice of 200,000 bars",
            "COPY straight into the same table",
            first,
            straight,
        ),
        _line("the same slice again, unchanged", "its own first write", again, first),
        _line("the slice read into polars", "pandas.read_sql of the same rows", fetched, pandas),
    ]


def _feature_lines() -> list[str]:
    bars = _bars()[1].sort("instrument_id", "ts")  # the order in which they come out of the table
    groups = [group for _, group in bars.group_by("instrument_id", maintain_order=True)]
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_timed(lambda: indicators.features(bars, US.sessions())))
        theirs.append(_timed(lambda: [_talib(group) for group in groups]))
    mine = indicators.features(bars, US.sessions())["ret_20d"].fill_null(0).to_numpy()
    assert np.allclose(mine, np.nan_to_num(np.concatenate([_talib(group)[2] for group in groups])))
    return [_line("eight features of 200,000 bars", "TA-Lib and numpy per instrument, in memory", ours, theirs)]


def _talib(bars: pl.DataFrame) -> list[np.ndarray]:
    _o, h, l, c, v = (bars[name].to_numpy() for name in "ohlcv")  # noqa: E741
    returns = talib.ROCP(c, 1)
    deviation = talib.STDDEV(v, 20)
    with np.errstate(divide="ignore", invalid="ignore"):
        zscore = (v - talib.SMA(v, 20)) / deviation
    return [
        returns, talib.ROCP(c, 5), talib.ROCP(c, 20), talib.RSI(c, 14), talib.MOM(c, 5),
        talib.STDDEV(returns, 20), talib.ATR(h, l, c, 14), zscore,
    ]  # fmt: skip


def _empty(connection: Connection) -> None:
    connection.execute(text("TRUNCATE price_bars"))
    connection.commit()


def _copy(connection: Connection, bars: pl.DataFrame) -> None:
    ids = connection.scalars(
        text("SELECT gen_random_uuid()::text FROM generate_series(1, :n)"), {"n": bars.height}
    )
    rows = bars.with_columns(id=pl.Series(list(ids)))
    driver = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.write(rows.write_csv(include_header=False, datetime_format="%Y-%m-%d %H:%M:%S").encode())
    connection.commit()


def _write(connection: Connection, part: Slice, bars: pl.DataFrame) -> None:
    merging.replace(connection, GRAIN, part, bars)
    connection.commit()


def _read_with_pandas(part: Slice) -> None:
    import pandas as pd

    query = text("SELECT instrument_id::text, ts, o, h, l, c, v FROM price_bars WHERE ts >= :a AND ts < :b")
    with database.engine().connect() as connection:
        pd.read_sql(query, connection, params={"a": part.start, "b": part.end})


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _line(work: str, against: str, ours: list[float], theirs: list[float]) -> str:
    return f"| {work} | {against} | {statistics.median(ours) / statistics.median(theirs):.2f} x |"


if __name__ == "__main__":
    main()
