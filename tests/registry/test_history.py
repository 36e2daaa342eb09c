"""The digest of the history before a due date changes with what a version could learn from, and only then."""

import datetime as dt

import polars as pl
import pytest
from worlds import learnable
from worlds.platform import midnight

from boursomatic_assets.learning.labels import sample_sessions
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import due_dates
from boursomatic_assets.registry.history import KnownHistory

FEATURES, CLOSES = learnable.markets(sessions=120, instruments=4)
BARS = CLOSES.with_columns(o="c", h="c", l="c", v=pl.lit(1e6))
SAMPLED = sample_sessions(FEATURES, Parameters().stride)
DUE = due_dates(dt.date(2020, 3, 1), dt.date(2020, 6, 1))
READ_AT = dt.datetime(2024, 1, 1)
CHANGED_AT = midnight(SAMPLED.filter(pl.col("ts") >= midnight(DUE[1]))["ts"][0].date())


def digests(features: pl.DataFrame = SAMPLED, bars: pl.DataFrame = BARS) -> list[str]:
    """The digests of all due dates, of which the last two know what has CHANGED_AT."""
    found = KnownHistory(features, bars, READ_AT).digests(Parameters().features, DUE)
    return [found[date] for date in DUE]


def changed(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """One number of one row is another one."""
    first = frame.filter(pl.col("ts") == CHANGED_AT)["instrument_id"].min()
    this = (pl.col("ts") == CHANGED_AT) & (pl.col("instrument_id") == first)
    return frame.with_columns(pl.when(this).then(pl.col(column) * 1.001).otherwise(pl.col(column)).alias(column))


def test_each_due_date_has_a_digest_of_what_was_known_before_it() -> None:
    assert len(set(digests())) == len(DUE)
    until = dt.datetime.combine(DUE[2], dt.time())
    before = (frame.filter(pl.col("ts") < until) for frame in (SAMPLED, BARS))
    assert digests(*before)[:3] == digests()[:3]


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = (frame.sample(fraction=1, shuffle=True, seed=3) for frame in (SAMPLED, BARS))
    assert digests(*shuffled) == digests()


ONE_LESS = pl.col("instrument_id") != "US 03"
MATERIAL = {
    "a close": lambda: (SAMPLED, changed(BARS, "c")),
    "a volume, which shows a split": lambda: (SAMPLED, changed(BARS, "v")),
    "a feature of the model": lambda: (changed(SAMPLED, "ret_5d_rank"), BARS),
    "a feature behind a rank": lambda: (changed(SAMPLED, "ret_5d"), BARS),
    "the volatility that limits a profile": lambda: (changed(SAMPLED, "vol_20d"), BARS),
}


@pytest.mark.parametrize("what", MATERIAL)
def test_what_a_version_learns_from_changes_the_digests_of_later_due_dates(what: str) -> None:
    now = digests(*MATERIAL[what]())
    assert [new == old for new, old in zip(now, digests(), strict=True)] == [True, True, False, False]


def test_an_instrument_that_is_loaded_late_changes_all_digests() -> None:
    assert not set(digests(SAMPLED.filter(ONE_LESS), BARS.filter(ONE_LESS))) & set(digests())
    assert not set(digests(SAMPLED, BARS.filter(ONE_LESS))) & set(digests())


def test_a_column_that_no_model_uses_changes_nothing() -> None:
    assert digests(SAMPLED.with_columns(momentum_5d=1.0), BARS.with_columns(interval=pl.lit("daily"))) == digests()


def test_undefined_numbers_are_one_and_zero_has_one_sign() -> None:
    missing, not_a_number, zero, negative = (
        digests(SAMPLED.with_columns(ret_5d=pl.lit(value, pl.Float64)))
        for value in (None, float("nan"), 0.0, -0.0)
    )
    assert missing == not_a_number != zero == negative
