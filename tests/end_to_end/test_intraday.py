"""15m bars: from vendors' files into `price_bars`, beside the daily ones, and after a month into the archive."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.frames import insert_instruments
from worlds.platform import check, execute, platform, rows

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.cli.views import bars as view
from boursomatic_assets.database import server_time
from boursomatic_assets.orchestration.io_manager import PostgresIOManager
from boursomatic_assets.orchestration.resources import BarSource
from boursomatic_assets.tables import archive

MONDAY, TUESDAY, HALF_DAY = dt.date(2024, 6, 10), dt.date(2024, 6, 11), dt.date(2024, 12, 24)
US = MARKETS["US"]
SLICE = Slice(US, (MONDAY,))
HELD = "SELECT ts, c FROM price_bars WHERE interval = '15m' ORDER BY ts, id"
MOVES = (0.0, 0.5, -0.5)


def quarters(session: dt.date, symbol: str = "ACME", **changed: Any) -> pl.DataFrame:
    """A 15m bar for each quarter of an hour of a New York session, whose price goes up and down."""
    opens, closes = US.trading_hours(session)
    times = pl.datetime_range(opens, closes, "15m", closed="left", eager=True)
    price = 10 + pl.Series([MOVES[place % 3] for place in range(len(times))])
    bars = pl.DataFrame({"ts": times, "o": price, "h": price + 1, "l": price - 1, "c": price})
    return bars.with_columns(
        symbol=pl.lit(symbol), exchange=pl.lit("NYSE"), v=100.0, interval=pl.lit("15m"), **changed
    )


def day(session: dt.date, **changed: Any) -> pl.DataFrame:
    """The daily bar that those add up to."""
    bars = quarters(session)
    prices = {"o": bars["o"][0], "h": bars["h"].max(), "l": bars["l"].min(), "c": bars["c"][-1]}
    whole = prices | {"v": 100.0 * bars.height} | changed
    told = {
        "ts": dt.datetime.combine(session, dt.time()),
        "symbol": "ACME",
        "exchange": "NYSE",
        "interval": "daily",
    }
    return pl.DataFrame([told | whole]).select(bars.columns)


Materialize = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def materialize(migrated: Engine, tmp_path: Path) -> Materialize:
    """Deliver bars and compute a session's partition of some assets, with their checks."""

    def run(
        session: dt.date, *delivered: pl.DataFrame, extended: bool = False, daily: bool = False
    ) -> dg.ExecuteInProcessResult:
        (tmp_path / "bars").mkdir(exist_ok=True)
        pl.concat(delivered).write_parquet(tmp_path / "bars/bars.parquet")
        wanted = ["instruments", "price_bars_15m", *(["price_bars"] if daily else [])]
        result = dg.materialize(
            [*(platform.assets or ()), *(platform.asset_checks or ())],
            selection=dg.AssetSelection.assets(*wanted),
            resources={
                "io_manager": PostgresIOManager(),
                "source": BarSource(kind="files", files=str(tmp_path / "bars"), extended_hours=extended),
            },
            partition_key=f"{session}|US",
            raise_on_error=False,
        )
        assert result.success
        return result

    return run


def figures(result: dg.ExecuteInProcessResult, check: str) -> dict[str, Any]:
    (found,) = (one for one in result.get_asset_check_evaluations() if one.check_name == check)
    return {name: value.value for name, value in found.metadata.items()}


def refused(engine: Engine) -> dict[str, int]:
    query = "SELECT reason, count(*)::int AS n FROM rejected_bars WHERE interval = '15m' GROUP BY 1"
    return {row["reason"]: row["n"] for row in rows(engine, query)}


@pytest.mark.parametrize(("session", "bars"), [(MONDAY, 26), (HALF_DAY, 14)])
def test_a_session_has_its_quarters_and_they_add_up_to_the_day(
    materialize: Materialize, migrated: Engine, session: dt.date, bars: int
) -> None:
    result = materialize(session, quarters(session), day(session), daily=True)
    assert len(rows(migrated, HELD)) == bars
    assert len(rows(migrated, "SELECT FROM price_bars WHERE interval = 'daily'")) == 1
    assert figures(result, "every_delivered_quarter_is_accounted_for")["kept"] == bars
    assert figures(result, "daily_and_15m_bars_agree") == {"errors": 0, "warnings": 0, "compared": 1}
    assert figures(result, "quarters_are_complete") == {"errors": 0, "warnings": 0, "missing": 0, "outages": 0}


def test_what_is_no_quarter_of_the_session_is_refused(materialize: Materialize, migrated: Engine) -> None:
    opens, closes = US.trading_hours(MONDAY)
    good = quarters(MONDAY)
    late = good.head(1).with_columns(ts=pl.lit(closes))
    early = good.head(1).with_columns(ts=pl.lit(opens - dt.timedelta(minutes=15)))
    off_grid = good.head(1).with_columns(ts=pl.lit(opens + dt.timedelta(minutes=5)))
    sunday = good.head(1).with_columns(ts=pl.lit(opens - dt.timedelta(days=1)))
    clash = good.head(1).with_columns(v=pl.lit(101.0))
    materialize(MONDAY, good, good.tail(1), late, early, off_grid, clash)
    materialize(dt.date(2024, 6, 7), sunday)
    assert refused(migrated) == {
        "time is outside of the session": 2,
        "time is not a quarter of an hour": 1,
        "two different bars for one time": 2,
        "date is not a session of the market": 1,
    }
    assert len(rows(migrated, HELD)) == 25


def test_extended_hours_are_kept_if_they_are_asked_for(materialize: Materialize, migrated: Engine) -> None:
    """In winter a New York evening ends after midnight in UTC: on a Friday, on no session's date."""
    friday = dt.date(2024, 1, 5)
    begin, end = US.trading_hours(friday, extended=True)
    assert (begin, end) == (dt.datetime(2024, 1, 5, 9), dt.datetime(2024, 1, 6, 1))
    first = quarters(friday).head(1)
    others = [first.with_columns(ts=pl.lit(ts)) for ts in (begin, end - dt.timedelta(minutes=15), end)]
    result = materialize(friday, first, *others, extended=True)
    assert len(rows(migrated, HELD)) == 3
    assert refused(migrated) == {"date is not a session of the market": 1} or refused(migrated) == {
        "time is outside of the session": 1
    }
    assert figures(result, "every_delivered_quarter_is_accounted_for")["errors"] == 0


def test_daily_refusals_and_those_of_quarters_are_apart(materialize: Materialize, migrated: Engine) -> None:
    bad_day, bad_quarter = day(MONDAY, v=-1.0), quarters(MONDAY).head(1).with_columns(v=-1.0)
    materialize(MONDAY, quarters(MONDAY)[1:], bad_quarter, bad_day, daily=True)
    result = materialize(MONDAY, quarters(MONDAY), bad_day, daily=True)
    assert figures(result, "no_row_was_refused")["refused"] == (
        "bars.parquet:27 ACME 2024-06-10: volume is negative or not finite"
    )
    assert figures(result, "no_quarter_was_refused") == {"errors": 0, "warnings": 0}
    assert rows(migrated, "SELECT interval, reason FROM rejected_bars") == [
        {"interval": "daily", "reason": "volume is negative or not finite"}
    ]


def test_what_is_missing_or_does_not_agree_is_a_warning(materialize: Materialize) -> None:
    late = quarters(MONDAY, symbol="BOLT")[1:]
    result = materialize(MONDAY, quarters(MONDAY)[1:24], late, day(MONDAY), daily=True)
    assert figures(result, "quarters_are_complete") == {
        "errors": 0, "warnings": 2, "missing": 4, "outages": 1, "at": "2024-06-10 13:30",
    }  # fmt: skip
    result = materialize(MONDAY, quarters(MONDAY), day(MONDAY, h=12.0), daily=True)
    assert figures(result, "daily_and_15m_bars_agree") == {"errors": 0, "warnings": 1, "compared": 1}


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("prices_of_quarters_are_sane", "UPDATE price_bars SET v = 'NaN' WHERE ts = {ts}"),
        ("one_bar_per_instrument_and_quarter", "DROP INDEX idx_price_bars_instrument_ts_interval"),
        ("every_delivered_quarter_is_accounted_for", "DELETE FROM price_bars WHERE ts = {ts}"),
        ("every_delivered_quarter_is_accounted_for", "DELETE FROM price_bars"),
    ],
)
def test_checks_see_what_was_broken_by_hand(
    materialize: Materialize, migrated: Engine, name: str, statement: str
) -> None:
    materialize(MONDAY, quarters(MONDAY))
    first = f"'{US.trading_hours(MONDAY)[0]}'"
    execute(migrated, "ALTER TABLE price_bars DROP CONSTRAINT ck_price_bars_v", statement.format(ts=first))
    key = dg.AssetCheckKey(dg.AssetKey("price_bars_15m"), name)
    job = platform.resolve_job_def("market_session_15m").get_subset(
        asset_selection=set(), asset_check_selection={key}
    )
    result = job.execute_in_process(partition_key=f"{MONDAY}|US", raise_on_error=False)
    assert figures(result, name)["errors"] == 1


def test_old_quarters_move_to_the_archive_and_back(materialize: Materialize, migrated: Engine, home: Path) -> None:
    materialize(MONDAY, quarters(MONDAY), quarters(MONDAY, symbol="BOLT"), day(MONDAY), daily=True)
    held = rows(migrated, HELD.replace("ts, c", "*"))
    assert archive.move_to_archive(MONDAY + archive.RETENTION) == []
    (moved,) = archive.move_to_archive(MONDAY + archive.RETENTION + dt.timedelta(days=1))
    assert (str(moved.part), moved.bar_count) == ("US 2024-06-10", 52)
    assert rows(migrated, "SELECT interval FROM price_bars") == [{"interval": "daily"}]
    assert rows(migrated, "SELECT FROM price_bar_revisions") == []
    file = home / "archive/date=2024-06-10/market=US/bars.parquet"
    assert pl.read_parquet(file, hive_partitioning=True)["symbol"].value_counts().rows() != []
    assert archive.restore("US", MONDAY, MONDAY) == [archive.MovedSession(moved.part, 52)]
    assert rows(migrated, HELD.replace("ts, c", "*")) == held


def test_what_was_delivered_again_is_newer_than_what_was_archived(materialize: Materialize, home: Path) -> None:
    materialize(MONDAY, quarters(MONDAY))
    archive.move_to_archive(HALF_DAY)
    materialize(MONDAY, quarters(MONDAY)[:1].with_columns(c=pl.lit(10.25)))
    archive.move_to_archive(HALF_DAY)
    archived = pl.read_parquet(home / "archive/date=2024-06-10/market=US/bars.parquet", hive_partitioning=False)
    assert archived["c"].to_list() == [10.25, *quarters(MONDAY)["c"][1:]]


def test_only_what_is_missing_comes_back(materialize: Materialize, migrated: Engine, home: Path) -> None:
    """A bar that was delivered while the archive was not there is newer than the archived one."""
    deliver_without_archive(materialize, home, quarters(MONDAY)[:1].with_columns(c=pl.lit(10.25)))
    newer = rows(migrated, "SELECT * FROM price_bars")
    assert [moved.bar_count for moved in archive.restore("US", MONDAY, MONDAY)] == [25]
    assert [row["c"] for row in rows(migrated, HELD)] == [10.25, *quarters(MONDAY)["c"][1:]]
    assert rows(migrated, f"SELECT * FROM price_bars WHERE ts = '{US.trading_hours(MONDAY)[0]}'") == newer
    assert [moved.bar_count for moved in archive.restore("US", MONDAY, MONDAY)] == [0]


def deliver_without_archive(materialize: Materialize, home: Path, again: pl.DataFrame) -> None:
    """Deliver a session, archive it, and deliver it again while the archive's folder is away."""
    materialize(MONDAY, quarters(MONDAY))
    archive.move_to_archive(HALF_DAY)
    (home / "archive").rename(home / "away")
    materialize(MONDAY, again)
    (home / "away").rename(home / "archive")


def retire() -> None:
    archive.move_to_archive(HALF_DAY)


def restore() -> None:
    archive.restore("US", MONDAY, MONDAY)


def nothing() -> None:
    """Leave bars where they are."""


def closes(known_at: dt.datetime | None = None) -> list[float]:
    return archive.read_bars(SLICE, "15m", known_at)["c"].to_list()


def clock(engine: Engine) -> dt.datetime:
    with engine.connect() as connection:
        return server_time.database_time(connection)


@pytest.mark.parametrize("away", [False, True], ids=["the archive is there", "the archive was away"])
@pytest.mark.parametrize("then", [(nothing,), (retire,), (restore,), (restore, retire), (retire, restore, retire)])
def test_an_archived_bar_that_is_delivered_changed_is_known_as_it_was(
    materialize: Materialize, migrated: Engine, home: Path, away: bool, then: tuple[Callable[[], None], ...]
) -> None:
    materialize(MONDAY, quarters(MONDAY))
    first = clock(migrated)
    retire()
    archived_at = clock(migrated)
    changed = quarters(MONDAY)[:1]
    if away:
        (home / "archive").rename(home / "away")
    materialize(MONDAY, changed.with_columns(c=pl.lit(10.25)))
    second = clock(migrated)
    materialize(MONDAY, changed.with_columns(c=pl.lit(10.75)))
    if away:
        (home / "away").rename(home / "archive")
    for step in then:
        step()
    old, rest = quarters(MONDAY)["c"][0], quarters(MONDAY)["c"][1:].to_list()
    assert closes(first) == closes(archived_at) == [old, *rest]
    assert closes(second) == [10.25, *rest]
    assert closes() == closes(clock(migrated)) == [10.75, *rest]


def test_an_archived_session_that_is_delivered_in_part_is_whole(
    materialize: Materialize, migrated: Engine, home: Path
) -> None:
    """It is brought back first, and what the delivery lacks stays."""
    materialize(MONDAY, quarters(MONDAY), quarters(MONDAY, symbol="BOLT"))
    held = rows(migrated, HELD.replace("ts, c", "*"))
    retire()
    result = materialize(MONDAY, quarters(MONDAY)[:3])
    assert rows(migrated, HELD.replace("ts, c", "*")) == held
    assert rows(migrated, "SELECT FROM price_bar_revisions") == []
    assert figures(result, "every_delivered_quarter_is_accounted_for")["errors"] == 0
    assert figures(result, "quarters_are_complete")["missing"] == 0


def test_an_archived_session_of_which_nothing_is_delivered_stays_there(
    materialize: Materialize, migrated: Engine
) -> None:
    materialize(MONDAY, quarters(MONDAY))
    retire()
    result = materialize(MONDAY, quarters(TUESDAY))
    assert rows(migrated, HELD) == []
    assert figures(result, "every_delivered_quarter_is_accounted_for")["errors"] == 0


def test_a_part_of_an_archived_session_in_the_table_is_an_error_until_it_is_restored(
    materialize: Materialize, migrated: Engine, home: Path
) -> None:
    deliver_without_archive(materialize, home, quarters(MONDAY)[:3])
    assert errors("every_delivered_quarter_is_accounted_for") == 1
    restore()
    assert errors("every_delivered_quarter_is_accounted_for") == 0


def test_a_session_that_lost_its_bars_is_found_wherever_they_were(
    materialize: Materialize, migrated: Engine, home: Path
) -> None:
    materialize(MONDAY, quarters(MONDAY))
    assert errors("no_session_is_lost") == 0
    retire()
    assert errors("no_session_is_lost") == 0
    (home / "archive/date=2024-06-10/market=US/bars.parquet").unlink()
    assert errors("no_session_is_lost") == 1


def errors(name: str) -> Any:
    return check(name, "US", MONDAY, MONDAY).metadata["errors"].value


def test_archived_bars_are_shown_where_they_lie(materialize: Materialize, migrated: Engine) -> None:
    materialize(MONDAY, quarters(MONDAY))
    shown = view.read_bars("ACME", [MONDAY], "15m", None)
    retire()
    assert rows(migrated, HELD) == []
    assert view.read_bars("ACME", [MONDAY], "15m", None).equals(shown)


def test_a_damaged_file_of_the_archive_is_named(materialize: Materialize, home: Path) -> None:
    materialize(MONDAY, quarters(MONDAY))
    retire()
    (home / "archive/date=2024-06-10/market=US/bars.parquet").write_text("half a fi")
    with pytest.raises(ValueError, match=r"market=US/bars.parquet cannot be read: bring it back from a backup"):
        restore()


def test_an_evening_is_archived_with_its_session(materialize: Materialize, home: Path) -> None:
    """After midnight in UTC it is Saturday, which is no partition."""
    friday = dt.date(2024, 1, 5)
    first = quarters(friday).head(1)
    last = first.with_columns(ts=pl.lit(US.trading_hours(friday, extended=True)[1] - dt.timedelta(minutes=15)))
    materialize(friday, first, last, extended=True)
    assert [(str(moved.part), moved.bar_count) for moved in archive.move_to_archive(HALF_DAY)] == [
        ("US 2024-01-05", 2)
    ]
    assert [path.name for path in (home / "archive").iterdir()] == ["date=2024-01-05"]


def test_a_file_that_cannot_be_written_costs_no_bar(
    materialize: Materialize, migrated: Engine, home: Path
) -> None:
    materialize(MONDAY, quarters(MONDAY))
    (home / "archive").write_text("in the way")
    with pytest.raises(OSError, match="archive"):
        archive.move_to_archive(HALF_DAY)
    assert len(rows(migrated, HELD)) == 26


def test_what_is_not_archived_cannot_be_restored(migrated: Engine) -> None:
    with pytest.raises(ValueError, match="nothing of US is archived from 2024-06-10 to 2024-12-24"):
        archive.restore("US", MONDAY, HALF_DAY)


def test_the_archiving_job_leaves_nothing_that_is_due(materialize: Materialize, migrated: Engine) -> None:
    materialize(MONDAY, quarters(MONDAY))
    job = platform.resolve_job_def("archive_15m_bars")
    result = job.execute_in_process()
    assert figures(result, "nothing_is_kept_longer") == {"errors": 0, "warnings": 0}
    assert rows(migrated, HELD) == []
    assert archive.restore("US", MONDAY, MONDAY)[0].bar_count == 26
    key = dg.AssetCheckKey(dg.AssetKey("archive_15m"), "nothing_is_kept_longer")
    only = job.get_subset(asset_selection=set(), asset_check_selection={key})
    assert figures(only.execute_in_process(raise_on_error=False), "nothing_is_kept_longer")["errors"] == 26


@pytest.mark.parametrize(
    ("now", "first"),
    [
        ("2024-07-12 00:00", "2024-06-11"),
        ("2024-07-12 03:29", "2024-06-11"),
        ("2024-07-12 03:30", "2024-06-12"),
    ],
)
def test_what_became_too_old_at_midnight_is_not_missed_before_it_is_moved(now: str, first: str) -> None:
    assert archive.first_allowed_date(dt.datetime.fromisoformat(now)) == dt.date.fromisoformat(first)


@pytest.mark.calendar
@pytest.mark.parametrize(("days", "passed"), [(30, True), (32, False)])
def test_a_bar_is_missed_by_its_age_alone(migrated: Engine, days: int, passed: bool) -> None:
    """Between midnight and the hour of the archive, and after it."""
    date = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days)
    insert_instruments(migrated)
    execute(
        migrated,
        "INSERT INTO price_bars (id, instrument_id, ts, interval, o, h, l, c, v)"
        f" SELECT gen_random_uuid(), id, '{date}', '15m', 1, 1, 1, 1, 1 FROM instruments WHERE symbol = 'ACME'",
    )
    assert check("nothing_is_kept_longer").passed is passed
