"""Signals: how well the model ranks instruments, and how true its probabilities are, beside what is simpler.

What belongs here: a walk forward over the whole history of real bars, from files to metrics, without a database;
and the time that a large one takes. Kept elsewhere: what is published of it (`signals_published.py`), the naive
recipe (`signals_naive.py`), the tables (`signals_tables.py`), what each metric means (docs/models.md).

The bars are those of the folder that BOURSOMATIC_BENCH_FILES names. All contestants score the same instruments on
the same sessions, each month by what was known before it, and the same code judges them. Only the naive recipe
without a purge knows more. The model is each month's challenger, whether the gate would let it speak or not.
"""

import datetime as dt
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from helpers import signals_naive, signals_tables
from helpers.harness import Line
from helpers.signals_ablation import Trial, ablations
from helpers.signals_allowance import calibrations
from helpers.signals_judged import Published
from helpers.signals_published import Month, Rule, decisions, ends_alone, months, scored
from helpers.signals_tables import Contest

from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.calendars.slices import slices_of
from boursomatic_assets.features import compute
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.learning.evaluation.metrics import PROBABILITY_COLUMNS, Metrics, SessionMetrics
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import sample_sessions
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger, measure_challengers, train_challengers
from boursomatic_assets.learning.walk import WalkForward, due_dates, walk_forward
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.schema import identifiers
from boursomatic_assets.sources import Source
from boursomatic_assets.sources.files.source import Files
from boursomatic_assets.sources.simulated.source import Simulated

FIRST, LAST = dt.date(2016, 1, 4), dt.date(2026, 5, 6)
DEFAULTS = Parameters()


@dataclass(frozen=True)
class Universe:
    """Files that are judged together.

    `ranked` says whether the aim for the rank IC is for them, `caution` what one has to know of them.
    """

    name: str
    files: tuple[str, ...]
    ranked: bool = False
    caution: str = ""


UNIVERSES = (
    Universe(
        "64 US and 40 Euronext instruments",
        ("us_daily_yahoo_2016_2026", "eu_daily_yahoo_cac40_2016_2026"),
        caution="One series has prices on two bases: ATO.PA closes at 4187 on 2024-11-12, after 48.53, and at 26"
        " on 2024-12-06, after 1778. Labels and all figures here exclude returns across such changes of basis.",
    ),
    Universe("194 US instruments", ("us_daily_stooq_2017_2025_A",), ranked=True),
)


def lines() -> Iterator[Line | str]:
    """The aims, then the tables behind them."""
    contests = []
    for universe in UNIVERSES:
        if missing := _missing(universe):
            yield Line(universe.name, "-", "not measured", "", f"BOURSOMATIC_BENCH_FILES has no {missing}")
            continue
        contests.append(contest(universe))
        yield from signals_tables.aims(contests[-1], ranked=universe.ranked)
    yield _time()
    if contests:
        yield from ("", signals_tables.SEEN, "", signals_tables.FORMER)
    for found in contests:
        yield from signals_tables.tables(found)


def _missing(universe: Universe) -> str | None:
    """A file of a universe that is not in the folder."""
    folder = os.environ.get("BOURSOMATIC_BENCH_FILES", "")
    paths = (Path(folder, f"{name}.parquet") for name in universe.files)
    return next((path.name for path in paths if not folder or not path.is_file()), None)


# From files to metrics


@dataclass(frozen=True)
class Prepared:
    """Judged bars with their market, their eight columns, and the rows of all features."""

    bars: pl.DataFrame
    features: pl.DataFrame
    rows: pl.DataFrame

    @property
    def due(self) -> dt.date:
        """The first due date for which all that is loaded is known."""
        return next(due for due in due_dates(FIRST, dt.date.max) if due > self.bars["ts"].max().date())


def prepared(source: Source, last: dt.date = LAST, *, sampled: bool = False) -> Prepared:
    """What the assets `price_bars` and `features` make of a source; of sampled sessions alone if so."""
    listed = source.instruments()
    listed = listed.with_columns(identifiers.of_instruments(listed))
    dates = [date for date in all_sessions().tolist() if FIRST <= date <= last]
    kept, eight, rows = [], [], []
    for part in (part for market in MARKETS.values() for part in slices_of(market, dates)):
        raw = source.bars(part.market, part.start, part.end)
        bars = apply_contract(raw, part, listed, source.name, with_raw=source.with_raw).kept
        if bars.is_empty():
            continue
        features = compute.compute_features(bars, part.market.sessions()).with_columns(
            market=pl.lit(part.market.name)
        )
        kept.append(bars.with_columns(market=pl.lit(part.market.name)))
        eight.append(features.drop("additional_features"))
        rows.append(unpack(sample_sessions(features, DEFAULTS.stride) if sampled else features))
    return Prepared(pl.concat(kept), pl.concat(eight), pl.concat(rows))


def contest(universe: Universe) -> Contest:
    """Walk through a universe, and judge all contestants on what the model's record holds."""
    with tempfile.TemporaryDirectory(prefix="boursomatic-bench-") as folder:
        for name in universe.files:
            path = Path(os.environ["BOURSOMATIC_BENCH_FILES"], f"{name}.parquet")
            shutil.copy(path, folder)  # not linked: a link that leaves the folder is refused
        loaded = prepared(Files(Path(folder)))
    history = History.from_frames(loaded.rows, loaded.bars, DEFAULTS)
    due = due_dates(FIRST, loaded.due)
    walked = walk_forward(history, due[-1], DEFAULTS)
    challengers = list(measure_challengers(history, walked, due, DEFAULTS))
    model = _metrics(challengers[-1])
    record = _record(history, walked)
    starts = [step.start for step in walked.steps]
    naive = {
        name: signals_naive.scores(loaded.features, loaded.bars, record, starts, purged=purged)
        for name, purged in (("naive", False), ("naive_purged", True))
    }
    record = record.with_columns(**naive)

    def judged(name: str, rows: pl.DataFrame = record) -> Metrics:
        return _judged(rows.with_columns(score=name), history.closes, loaded.due)

    rivals = {name: judged(name) for name in signals_tables.RIVALS}
    if judged("score")["rank_ic"] != model["rank_ic"]:
        raise AssertionError("the rivals were not judged on the record that the model was judged on")
    markets = record.partition_by("market", as_dict=True, maintain_order=True)
    by_market = {str(market): judged("score", rows) for (market,), rows in markets.items()}
    made = list(months(challengers, DEFAULTS))
    found = _published(loaded, history, walked, made)
    return Contest(universe.name, universe.caution, loaded.bars.height, model, rivals, by_market, found)


def _published(loaded: Prepared, history: History, walked: WalkForward, made: list[Month]) -> Published:
    """Judge what would have been published."""
    rows = loaded.rows.sort("ts", "instrument_id")
    decided = decisions(rows, loaded.bars, made)
    spoken = [month for month in made if month.is_champion]
    plain = decisions(rows, loaded.bars, spoken, Rule(directions=ends_alone))
    outcomes = scored(decided, loaded.bars)
    trial = Trial(history, walked, rows, loaded.bars, made, outcomes, DEFAULTS)
    return Published(outcomes, decided, plain, ablations(trial), calibrations(outcomes))


def trained(history: History, due: dt.date) -> Metrics:
    """The metrics of the version of a due date."""
    (found,) = train_challengers(history, [due], DEFAULTS)
    return _metrics(found)


def _metrics(found: tuple[dt.date, Challenger | None]) -> Metrics:
    due, challenger = found
    if challenger is None:
        raise ValueError(f"there is too little history before {due}: use files of some years")
    return challenger.metrics


def _record(history: History, walked: WalkForward) -> pl.DataFrame:
    """What the model and its baselines said, with what followed."""
    outcome = history.labels[DEFAULTS.horizon][walked.row_indices].select("known_at", "forward_return", "label")
    chances = (pl.lit(None, pl.Float64).alias(name) for name in PROBABILITY_COLUMNS)
    return walked.scores.hstack(outcome).with_columns(pl.col("instrument_id").cast(pl.String), *chances)


def _judged(record: pl.DataFrame, closes: pl.DataFrame, due: dt.date) -> Metrics:
    """The metrics of the column `score`, by the platform's own code."""
    board = SessionMetrics.from_record(record, closes, DEFAULTS.horizon, DEFAULTS.stride, DEFAULTS.cost)
    return board.metrics_before(dt.datetime.combine(due, dt.time()))


def _time() -> Line:
    """Ten years of 150 simulated instruments a market."""
    source = Simulated(150)
    began = time.perf_counter()
    loaded = prepared(source, dt.date(2025, 12, 31), sampled=True)
    ready = time.perf_counter()
    model = trained(History.from_frames(loaded.rows, loaded.bars, DEFAULTS), loaded.due)
    minutes = (time.perf_counter() - ready) / 60
    what = f"the walk forward of 300 simulated instruments over ten years, {loaded.bars.height:,} bars"
    told = f"{len(model['by_month'])} months judged; before it, bars and features took"
    return Line(
        what,
        "a limit",
        f"{minutes:.1f} minutes",
        "at most 1 minute",
        f"{told} {(ready - began) / 60:.1f} minutes",
    )
