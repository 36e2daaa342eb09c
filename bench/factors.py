"""Fourteen factors of 800 instruments over 3,000 sessions: out of the database against qlib's own engine.

What belongs here: the comparison that qlib publishes of its data server (a dataset of 14 features made of the
daily bars of 800 stocks), with factors in the manner of its handler Alpha158.
Kept elsewhere: the eight features of the platform (`features.py`).

Ours is `tables.read` and `compute.table`: bars out of PostgreSQL to a frame of factors. Theirs is
`D.features` over binary files in qlib's own layout, written beforehand and not timed, without expression or
dataset cache, with two processes and with as many as it chooses itself; the better median counts. Both get the
same prices, rounded to the 32 bits that qlib's files hold. They agree within 1e-4; only the first 60 rows of an
instrument are not compared, where qlib makes do with shorter windows and ours is null.

| factor | ours, and as qlib's expression in `factors_qlib.py` |
|---|---|
| open_to, high_to, low_to | that price / close |
| roc_5, roc_20, roc_60 | close so many bars ago / close |
| ma_5, ma_20, ma_60 | mean close / close |
| std_20 | sample standard deviation of closes / close |
| max_20, min_20 | highest high, lowest low / close |
| rsv_20 | (close - lowest low) / (highest high - lowest low + 1e-12) |
| vma_20 | mean volume / (volume + 1e-12) |
"""

import subprocess
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl
from helpers.harness import Line, environment, interleaved, ratio, server, times
from sqlalchemy import text

from boursomatic_assets.arrays import Floats
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.features.compute import compute_formulas
from boursomatic_assets.features.panel import Formula, Panel
from boursomatic_assets.schema import identifiers
from boursomatic_assets.sources import NAME
from boursomatic_assets.sources.simulated.source import Simulated

US = MARKETS["US"]
INSTRUMENTS, SESSIONS = 800, 3_000
FROM = np.datetime64("2012-01-03")
WARM_UP = 60
ROUNDS = 3
HERE = Path(__file__).parent
FIELDS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}


def open_to(panel: Panel) -> Floats:
    """Open / close."""
    return panel.open / panel.close


def high_to(panel: Panel) -> Floats:
    """High / close."""
    return panel.high / panel.close


def low_to(panel: Panel) -> Floats:
    """Low / close."""
    return panel.low / panel.close


def roc(bars: int) -> Formula:
    """Close so many bars ago / close."""
    return _named(f"roc_{bars}", lambda panel: panel.lagged(panel.close, bars) / panel.close)


def ma(bars: int) -> Formula:
    """Mean close / close."""
    return _named(f"ma_{bars}", lambda panel: panel.mean(panel.close, bars) / panel.close)


def std_20(panel: Panel) -> Floats:
    """Standard deviation of 20 closes / close."""
    return panel.deviation(panel.close, 20) / panel.close


def max_20(panel: Panel) -> Floats:
    """Highest high of 20 / close."""
    return panel.highest(panel.high, 20) / panel.close


def min_20(panel: Panel) -> Floats:
    """Lowest low of 20 / close."""
    return panel.lowest(panel.low, 20) / panel.close


def rsv_20(panel: Panel) -> Floats:
    """Where the close stands between the lowest low and the highest high of 20."""
    low = panel.lowest(panel.low, 20)
    return (panel.close - low) / (panel.highest(panel.high, 20) - low + 1e-12)


def vma_20(panel: Panel) -> Floats:
    """Mean volume of 20 / volume."""
    return panel.mean(panel.volume, 20) / (panel.volume + 1e-12)


def _named(name: str, formula: Formula) -> Formula:
    formula.__name__ = name
    return formula


FACTORS: list[Formula] = [
    open_to, high_to, low_to, roc(5), roc(20), roc(60), ma(5), ma(20), ma(60),
    std_20, max_20, min_20, rsv_20, vma_20,
]  # fmt: skip


def lines() -> Iterator[Line]:
    """Yield the ratio, after comparing all numbers."""
    python = environment(HERE / "qlib-requirements.txt")
    with server() as home:
        part, names = _fill(home / "qlib")
        with Qlib(python, home / "qlib") as qlib:
            qlib.ask("2")
            _compare(_ours(part), names, qlib.saved(home / "qlib.npy"))
            ours, two, chosen = interleaved(
                lambda: _ours(part), lambda: qlib.ask("2"), lambda: qlib.ask("0"), rounds=ROUNDS
            )
    yield Line(
        f"14 factors for {INSTRUMENTS} instruments x {SESSIONS:,} days out of the database",
        "qlib on its own binary files, no cache",
        f"{times(min(ratio(two, ours), ratio(chosen, ours)))} faster",
        "at least 2.5 x faster",
        f"two processes: {times(ratio(two, ours))}; as many as it chooses: {times(ratio(chosen, ours))}",
    )


def _ours(part: Slice) -> pl.DataFrame:
    """Bars out of the database, and their factors."""
    from boursomatic_assets.tables.grains import GRAINS
    from boursomatic_assets.tables.reading import read_slice

    return compute_formulas(read_slice(GRAINS["price_bars"], part), US.sessions(), FACTORS)


def _fill(folder: Path) -> tuple[Slice, pl.DataFrame]:
    """The same bars into the database and into qlib's files; the slice they make, and their instruments."""
    from boursomatic_assets import database
    from boursomatic_assets.tables import grains, merging

    source, dates = Simulated(instruments=INSTRUMENTS, events=False), all_sessions()
    first = US.sessions()[US.sessions() >= FROM][:SESSIONS]
    (part,) = slices_of(US, dates[(dates >= first[0]) & (dates <= first[-1])].tolist())
    listed = source.instruments().filter(pl.col("exchange").is_in(US.exchanges))
    listed = listed.with_columns(identifiers.of_instruments(listed))
    names = listed.select(pl.col("symbol", "exchange").cast(NAME), instrument_id="id")
    rounded = pl.col(*FIELDS.values()).cast(pl.Float32).cast(pl.Float64)
    bars = source.bars(US, part.start, part.end).with_columns(rounded).join(names, on=["symbol", "exchange"])
    _write_files(folder, bars)
    rows = bars.select("instrument_id", "ts", *FIELDS.values(), "interval")
    with database.engine().begin() as connection:
        merging.upsert(connection, grains.INSTRUMENTS, listed)
    for year in _years(part):
        with database.engine().begin() as connection:
            inside = pl.col("ts").is_between(year.start, year.end, closed="left")
            merging.replace(connection, grains.GRAINS["price_bars"], year, rows.filter(inside))
    with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    return part, names


def _years(part: Slice) -> list[Slice]:
    return [Slice(part.market, tuple(dates)) for _, dates in groupby(part.dates, key=lambda date: date.year)]


def _write_files(folder: Path, bars: pl.DataFrame) -> None:
    """Bars as qlib keeps them: a calendar, a list of instruments, and a file of 32-bit floats per field.

    A file begins with the place of its first number in the calendar.
    """
    for name in ("calendars", "instruments"):
        (folder / name).mkdir(parents=True)
    days = bars["ts"].unique().sort().dt.to_string("%Y-%m-%d").to_list()
    assert bars.height == len(days) * bars["symbol"].n_unique(), "qlib's files have a number for each day"
    (folder / "calendars/day.txt").write_text("\n".join([*days, ""]))
    listed = [f"{symbol}\t{days[0]}\t{days[-1]}\n" for symbol in bars["symbol"].unique().sort()]
    (folder / "instruments/all.txt").write_text("".join(listed))
    for (symbol,), one in bars.sort("ts").group_by("symbol", maintain_order=True):
        files = folder / "features" / str(symbol).lower()
        files.mkdir(parents=True)
        for field, name in FIELDS.items():
            np.append(0.0, one[name].to_numpy()).astype("<f4").tofile(files / f"{field}.day.bin")


def _compare(ours: pl.DataFrame, names: pl.DataFrame, theirs: Floats) -> None:
    """Check that both say the same of each instrument's bars, in order of symbol, from the 61st on."""
    ordered = ours.join(names, on="instrument_id").sort("symbol", "ts")
    assert ordered.height == len(theirs) == INSTRUMENTS * SESSIONS
    warm = np.tile(np.arange(SESSIONS), INSTRUMENTS) >= WARM_UP
    for place, factor in enumerate(FACTORS):
        mine = ordered[factor.__name__].to_numpy()
        assert np.isfinite(mine[warm]).all(), factor.__name__
        assert np.allclose(mine[warm], theirs[warm, place], rtol=1e-4, atol=1e-6), factor.__name__


class Qlib:
    """qlib over one folder of its files, in a process and an environment of its own."""

    def __init__(self, python: Path, folder: Path) -> None:
        command = [python, HERE / "factors_qlib.py", folder]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._answer() == "ready"

    def __enter__(self) -> "Qlib":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate(timeout=60)

    def ask(self, words: str) -> str:
        """Have it do something, until it is done."""
        assert self._child.stdin is not None
        print(words, file=self._child.stdin, flush=True)
        return self._answer()

    def saved(self, path: Path) -> Floats:
        """The numbers that it computed last, by symbol and day."""
        self.ask(f"save {path}")
        return np.load(path)

    def _answer(self) -> str:
        assert self._child.stdout is not None
        if not (line := self._child.stdout.readline()):
            raise RuntimeError(f"{HERE / 'factors_qlib.py'} ended with {self._child.wait()}")
        return line.strip()
