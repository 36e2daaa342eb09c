"""15m bars: from vendors' files into `price_bars`, beside daily bars, and after 30 days into the archive."""

import datetime as dt
import hashlib
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
from boursomatic_assets.tables.archive import adoption, moving, reading

MONDAY, TUESDAY, HALF_DAY = dt.date(2024, 6, 10), dt.date(2024, 6, 11), dt.date(2024, 12, 24)
US = MARKETS["US"]
SLICE = Slice(US, (MONDAY,))
STORED_BARS = "SELECT ts, c FROM price_bars WHERE interval = '15m' ORDER BY ts, id"
MOVES = (0.0, 0.5, -0.5)


def bars_15m(session: dt.date, symbol: str = "ACME", **changed: Any) -> pl.DataFrame:
    """All 15m bars of a New York session, with alternating prices."""
    opens, closes = US.trading_hours(session)
    times = pl.datetime_range(opens, closes, "15m", closed="left", eager=True)
    price = 10 + pl.Series([MOVES[place % 3] for place in range(len(times))])
    bars = pl.DataFrame({"ts": times, "o": price, "h": price + 1, "l": price - 1, "c": price})
    return bars.with_columns(
        symbol=pl.lit(symbol), exchange=pl.lit("NYSE"), v=100.0, interval=pl.lit("15m"), **changed
    )


def daily_bar(session: dt.date, **changed: Any) -> pl.DataFrame:
    """The daily bar that agrees with those 15m bars."""
    bars = bars_15m(session)
    prices = {"o": bars["o"][0], "h": bars["h"].max(), "l": bars["l"].min(), "c": bars["c"][-1]}
    whole = prices | {"v": 100.0 * bars.height} | changed
    keys = {
        "ts": dt.datetime.combine(session, dt.time()),
        "symbol": "ACME",
        "exchange": "NYSE",
        "interval": "daily",
    }
    return pl.DataFrame([keys | whole]).select(bars.columns)


Materialize = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def materialize(migrated: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Materialize:
    """A function that delivers bars and materializes a session's partition, with its checks."""

    def run(
        session: dt.date, *delivered: pl.DataFrame, extended: bool = False, daily: bool = False
    ) -> dg.ExecuteInProcessResult:
        (tmp_path / "bars").mkdir(exist_ok=True)
        pl.concat(delivered).write_parquet(tmp_path / "bars/bars.parquet")
        monkeypatch.setenv("BOURSOMATIC_SOURCE", "files")
        monkeypatch.setenv("BOURSOMATIC_FILES", str(tmp_path / "bars"))
        monkeypatch.setenv("BOURSOMATIC_EXTENDED_HOURS", str(int(extended)))
        wanted = ["instruments", "price_bars_15m", *(["price_bars"] if daily else [])]
        result = dg.materialize(
            [*(platform.assets or ()), *(platform.asset_checks or ())],
            selection=dg.AssetSelection.assets(*wanted),
            resources={"io_manager": PostgresIOManager(), "source": BarSource()},
            partition_key=f"{session}|US",
            raise_on_error=False,
        )
        assert result.success
        return result

    return run


def figures(result: dg.ExecuteInProcessResult, check: str) -> dict[str, Any]:
    (found,) = (one for one in result.get_asset_check_evaluations() if one.check_name == check)
    return {
        name: [record.data for record in value.records]
        if isinstance(value, dg.TableMetadataValue)
        else value.value
        for name, value in found.metadata.items()
    }


def rejected_counts(engine: Engine) -> dict[str, int]:
    query = "SELECT reason, count(*)::int AS n FROM rejected_bars WHERE interval = '15m' GROUP BY 1"
    return {row["reason"]: row["n"] for row in rows(engine, query)}


@pytest.mark.parametrize(("session", "bars"), [(MONDAY, 26), (HALF_DAY, 14)])
def test_a_session_has_its_15m_bars_and_they_add_up_to_the_daily_bar(
    materialize: Materialize, migrated: Engine, session: dt.date, bars: int
) -> None:
    result = materialize(session, bars_15m(session), daily_bar(session), daily=True)
    assert len(rows(migrated, STORED_BARS)) == bars
    assert len(rows(migrated, "SELECT FROM price_bars WHERE interval = 'daily'")) == 1
    assert figures(result, "every_delivered_quarter_is_accounted_for")["kept"] == bars
    assert figures(result, "daily_and_15m_bars_agree") == {"errors": 0, "warnings": 0, "compared": 1}
    assert figures(result, "quarters_are_complete") == {"errors": 0, "warnings": 0, "missing": 0, "outages": 0}


def test_invalid_15m_bars_are_rejected(materialize: Materialize, migrated: Engine) -> None:
    opens, closes = US.trading_hours(MONDAY)
    good = bars_15m(MONDAY)
    late = good.head(1).with_columns(ts=pl.lit(closes))
    early = good.head(1).with_columns(ts=pl.lit(opens - dt.timedelta(minutes=15)))
    off_grid = good.head(1).with_columns(ts=pl.lit(opens + dt.timedelta(minutes=5)))
    sunday = good.head(1).with_columns(ts=pl.lit(opens - dt.timedelta(days=1)))
    clash = good.head(1).with_columns(v=pl.lit(101.0))
    materialize(MONDAY, good, good.tail(1), late, early, off_grid, clash)
    materialize(dt.date(2024, 6, 7), sunday)
    assert rejected_counts(migrated) == {
        "time is outside of the session": 2,
        "time is not a quarter of an hour": 1,
        "two different bars for one time": 2,
        "date is not a session of the market": 1,
    }
    assert len(rows(migrated, STORED_BARS)) == 25


def test_extended_hours_are_kept_if_they_are_configured(materialize: Materialize, migrated: Engine) -> None:
    """In winter extended hours of New York end after midnight UTC: on a Friday, on no session's date."""
    friday = dt.date(2024, 1, 5)
    begin, end = US.trading_hours(friday, extended=True)
    assert (begin, end) == (dt.datetime(2024, 1, 5, 9), dt.datetime(2024, 1, 6, 1))
    first = bars_15m(friday).head(1)
    others = [first.with_columns(ts=pl.lit(ts)) for ts in (begin, end - dt.timedelta(minutes=15), end)]
    result = materialize(friday, first, *others, extended=True)
    assert len(rows(migrated, STORED_BARS)) == 3
    assert rejected_counts(migrated) == {"date is not a session of the market": 1} or rejected_counts(
        migrated
    ) == {"time is outside of the session": 1}
    assert figures(result, "every_delivered_quarter_is_accounted_for")["errors"] == 0


def test_rejected_daily_rows_and_15m_rows_are_separate(materialize: Materialize, migrated: Engine) -> None:
    bad_day, bad_quarter = daily_bar(MONDAY, v=-1.0), bars_15m(MONDAY).head(1).with_columns(v=-1.0)
    materialize(MONDAY, bars_15m(MONDAY)[1:], bad_quarter, bad_day, daily=True)
    result = materialize(MONDAY, bars_15m(MONDAY), bad_day, daily=True)
    assert figures(result, "no_row_was_refused")["refused"] == [
        {"row": "bars.parquet:27 ACME 2024-06-10: volume is negative or not finite"}
    ]
    assert figures(result, "no_quarter_was_refused") == {"errors": 0, "warnings": 0}
    assert rows(migrated, "SELECT interval, reason FROM rejected_bars") == [
        {"interval": "daily", "reason": "volume is negative or not finite"}
    ]


def test_missing_and_disagreeing_bars_are_warnings(materialize: Materialize) -> None:
    late = bars_15m(MONDAY, symbol="BOLT")[1:]
    result = materialize(MONDAY, bars_15m(MONDAY)[1:24], late, daily_bar(MONDAY), daily=True)
    at = [{"market": "US", "session": "2024-06-10", "time": "2024-06-10 13:30"}]
    assert figures(result, "quarters_are_complete") == {
        "errors": 0, "warnings": 2, "missing": 4, "outages": 1, "at": at, "sessions": warnings(2),
    }  # fmt: skip
    result = materialize(MONDAY, bars_15m(MONDAY), daily_bar(MONDAY, h=12.0), daily=True)
    assert figures(result, "daily_and_15m_bars_agree") == {
        "errors": 0, "warnings": 1, "compared": 1, "sessions": warnings(1),
    }  # fmt: skip


def warnings(count: int) -> list[dict[str, object]]:
    """The table of sessions of a check that warns of MONDAY alone."""
    return [{"market": "US", "session": str(MONDAY), "errors": 0, "warnings": count}]


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("prices_of_quarters_are_sane", "UPDATE price_bars SET v = 'NaN' WHERE ts = {ts}"),
        ("one_bar_per_instrument_and_quarter", "DROP INDEX idx_price_bars_instrument_ts_interval"),
        ("every_delivered_quarter_is_accounted_for", "DELETE FROM price_bars WHERE ts = {ts}"),
        ("every_delivered_quarter_is_accounted_for", "DELETE FROM price_bars"),
    ],
)
def test_checks_find_manual_damage(materialize: Materialize, migrated: Engine, name: str, statement: str) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    first = f"'{US.trading_hours(MONDAY)[0]}'"
    execute(migrated, "ALTER TABLE price_bars DROP CONSTRAINT ck_price_bars_v", statement.format(ts=first))
    key = dg.AssetCheckKey(dg.AssetKey("price_bars_15m"), name)
    job = platform.resolve_job_def("market_session_15m").get_subset(
        asset_selection=set(), asset_check_selection={key}
    )
    result = job.execute_in_process(partition_key=f"{MONDAY}|US", raise_on_error=False)
    assert figures(result, name)["errors"] == 1


def test_old_15m_bars_move_to_the_archive_and_back(materialize: Materialize, migrated: Engine, home: Path) -> None:
    materialize(MONDAY, bars_15m(MONDAY), bars_15m(MONDAY, symbol="BOLT"), daily_bar(MONDAY), daily=True)
    held = rows(migrated, STORED_BARS.replace("ts, c", "*"))
    assert moving.move_to_archive(MONDAY + moving.RETENTION) == []
    (moved,) = moving.move_to_archive(MONDAY + moving.RETENTION + dt.timedelta(days=1))
    assert (str(moved.part), moved.bar_count) == ("US 2024-06-10", 52)
    assert rows(migrated, "SELECT interval FROM price_bars") == [{"interval": "daily"}]
    assert rows(migrated, "SELECT FROM price_bar_revisions") == []
    file = file_of(migrated, home)
    assert file.match("archive/date=2024-06-10/market=US/*.parquet")
    assert file.stem == hashlib.sha256(file.read_bytes()).hexdigest()
    assert pl.read_parquet(file, hive_partitioning=True)["market"].to_list() == ["US"] * 52
    assert moving.restore("US", MONDAY, MONDAY) == [moving.MovedSession(moved.part, 52)]
    assert rows(migrated, STORED_BARS.replace("ts, c", "*")) == held


def test_a_new_delivery_replaces_archived_bars(materialize: Materialize, migrated: Engine, home: Path) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    moving.move_to_archive(HALF_DAY)
    materialize(MONDAY, bars_15m(MONDAY)[:1].with_columns(c=pl.lit(10.25)))
    moving.move_to_archive(HALF_DAY)
    archived = pl.read_parquet(file_of(migrated, home), hive_partitioning=False)
    assert archived["c"].to_list() == [10.25, *bars_15m(MONDAY)["c"][1:]]


def file_of(engine: Engine, home: Path) -> Path:
    """The file that stands for the archived session."""
    (row,) = rows(engine, "SELECT name FROM archive_files WHERE superseded_at IS NULL")
    return home / "archive" / str(row["name"])


def test_only_missing_bars_are_restored(materialize: Materialize, migrated: Engine, home: Path) -> None:
    """A bar that was delivered while the archive's file was not known is newer than the archived bar."""
    deliver_without_archive(materialize, migrated, home, bars_15m(MONDAY)[:1].with_columns(c=pl.lit(10.25)))
    newer = rows(migrated, "SELECT * FROM price_bars")
    assert [moved.bar_count for moved in moving.restore("US", MONDAY, MONDAY)] == [25]
    assert [row["c"] for row in rows(migrated, STORED_BARS)] == [10.25, *bars_15m(MONDAY)["c"][1:]]
    assert rows(migrated, f"SELECT * FROM price_bars WHERE ts = '{US.trading_hours(MONDAY)[0]}'") == newer
    assert [moved.bar_count for moved in moving.restore("US", MONDAY, MONDAY)] == [0]


def deliver_without_archive(materialize: Materialize, engine: Engine, home: Path, again: pl.DataFrame) -> None:
    """Deliver a session, archive it, and deliver it again while no row names its file."""
    materialize(MONDAY, bars_15m(MONDAY))
    moving.move_to_archive(HALF_DAY)
    make_former(engine, home)
    materialize(MONDAY, again)
    adopt()


def make_former(engine: Engine, home: Path) -> Path:
    """Let the archive be as it was before rows named its files; returns the file."""
    file = file_of(engine, home)
    execute(engine, "DELETE FROM archive_files")
    return file.rename(file.with_name("bars.parquet"))


def adopt() -> None:
    adopted = adoption.adopt()
    assert (len(adopted.names), adopted.left) == (1, {})


def retire() -> None:
    moving.move_to_archive(HALF_DAY)


def restore() -> None:
    moving.restore("US", MONDAY, MONDAY)


def leave() -> None:
    """Neither archive nor restore."""


def known_closes(known_at: dt.datetime | None = None) -> list[float]:
    return reading.read_bars(SLICE, "15m", known_at)["c"].to_list()


def database_time(engine: Engine) -> dt.datetime:
    with engine.connect() as connection:
        return server_time.database_time(connection)


@pytest.mark.parametrize("away", [False, True], ids=["the file is named", "the file was not adopted"])
@pytest.mark.parametrize("then", [(leave,), (retire,), (restore,), (restore, retire), (retire, restore, retire)])
def test_an_archived_bar_that_is_delivered_changed_is_known_as_it_was(
    materialize: Materialize, migrated: Engine, home: Path, away: bool, then: tuple[Callable[[], None], ...]
) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    first = database_time(migrated)
    retire()
    archived_at = database_time(migrated)
    changed = bars_15m(MONDAY)[:1]
    if away:
        make_former(migrated, home)
    materialize(MONDAY, changed.with_columns(c=pl.lit(10.25)))
    second = database_time(migrated)
    materialize(MONDAY, changed.with_columns(c=pl.lit(10.75)))
    if away:
        adopt()
    for step in then:
        step()
    old, rest = bars_15m(MONDAY)["c"][0], bars_15m(MONDAY)["c"][1:].to_list()
    assert known_closes(first) == known_closes(archived_at) == [old, *rest]
    assert known_closes(second) == [10.25, *rest]
    assert known_closes() == known_closes(database_time(migrated)) == [10.75, *rest]


def test_a_corrected_bar_keeps_its_times_in_the_archive(materialize: Materialize, migrated: Engine) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    materialize(MONDAY, bars_15m(MONDAY).with_columns(c=pl.lit(10.25)))
    assert rows(migrated, "SELECT FROM price_bars WHERE updated_at > created_at")
    assert not rows(migrated, "SELECT FROM price_bars WHERE file_id IS NULL OR line IS NULL")
    held = rows(migrated, STORED_BARS.replace("ts, c", "*"))
    retire()
    restore()
    assert rows(migrated, STORED_BARS.replace("ts, c", "*")) == held


def test_a_file_of_the_archive_from_before_changes_had_a_time_of_their_own_is_read(
    materialize: Materialize, migrated: Engine, home: Path
) -> None:
    """Its `created_at` says since when its bars are known."""
    before = database_time(migrated)
    materialize(MONDAY, bars_15m(MONDAY))
    after = database_time(migrated)
    held = rows(migrated, STORED_BARS.replace("ts, c", "*"))
    retire()
    file = make_former(migrated, home)
    pl.read_parquet(file, hive_partitioning=False).drop("updated_at").write_parquet(file)
    adopt()
    assert known_closes(before) == []
    assert known_closes(after) == known_closes() == bars_15m(MONDAY)["c"].to_list()
    restore()
    assert rows(migrated, STORED_BARS.replace("ts, c", "*")) == held
    retire()
    assert pl.read_parquet(file_of(migrated, home), hive_partitioning=False)["updated_at"].to_list() == [
        None
    ] * len(held)


def test_an_archived_session_that_is_delivered_in_part_is_complete(
    materialize: Materialize, migrated: Engine, home: Path
) -> None:
    """It is restored first, and bars that the delivery lacks stay."""
    materialize(MONDAY, bars_15m(MONDAY), bars_15m(MONDAY, symbol="BOLT"))
    held = rows(migrated, STORED_BARS.replace("ts, c", "*"))
    retire()
    result = materialize(MONDAY, bars_15m(MONDAY)[:3])
    assert rows(migrated, STORED_BARS.replace("ts, c", "*")) == held
    assert rows(migrated, "SELECT FROM price_bar_revisions") == []
    assert figures(result, "every_delivered_quarter_is_accounted_for")["errors"] == 0
    assert figures(result, "quarters_are_complete")["missing"] == 0


def test_an_archived_session_without_a_delivery_stays_in_the_archive(
    materialize: Materialize, migrated: Engine
) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    retire()
    result = materialize(MONDAY, bars_15m(TUESDAY))
    assert rows(migrated, STORED_BARS) == []
    assert figures(result, "every_delivered_quarter_is_accounted_for")["errors"] == 0


def test_a_part_of_an_archived_session_in_the_table_is_an_error_until_it_is_restored(
    materialize: Materialize, migrated: Engine, home: Path
) -> None:
    deliver_without_archive(materialize, migrated, home, bars_15m(MONDAY)[:3])
    assert errors("every_delivered_quarter_is_accounted_for") == 1
    restore()
    assert errors("every_delivered_quarter_is_accounted_for") == 0


def test_a_session_that_lost_its_bars_is_found(
    materialize: Materialize, migrated: Engine, home: Path, absorbed_errors: list[str]
) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    assert errors("no_session_is_lost") == 0
    retire()
    assert errors("no_session_is_lost") == 0
    file_of(migrated, home).unlink()
    assert errors("no_session_is_lost") == 1
    assert "parquet is missing" in absorbed_errors[0]


def errors(name: str) -> Any:
    return check(name, "US", MONDAY, MONDAY).metadata["errors"].value


def test_archived_bars_are_shown_from_the_archive(materialize: Materialize, migrated: Engine) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    shown = view.read_bars("ACME", [MONDAY], "15m", None)
    retire()
    assert rows(migrated, STORED_BARS) == []
    assert view.read_bars("ACME", [MONDAY], "15m", None).equals(shown)


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"half a fi")])
def test_a_file_that_is_missing_or_cut_off_is_named_whoever_needs_it(
    materialize: Materialize, migrated: Engine, home: Path, damage: Callable[[Path], object]
) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    retire()
    file = file_of(migrated, home)
    damage(file)
    for needs in (restore, known_closes, lambda: moving.restore_delivered(SLICE, bars_15m(MONDAY)["ts"])):
        with pytest.raises(
            OSError, match=rf"{file} is (missing|damaged.*): put files/{file.stem} of a backup in its place"
        ):
            needs()
    assert rows(migrated, STORED_BARS) == []


def test_extended_hours_are_archived_with_their_session(materialize: Materialize, home: Path) -> None:
    """After midnight UTC it is Saturday, which is no partition."""
    friday = dt.date(2024, 1, 5)
    first = bars_15m(friday).head(1)
    last = first.with_columns(ts=pl.lit(US.trading_hours(friday, extended=True)[1] - dt.timedelta(minutes=15)))
    materialize(friday, first, last, extended=True)
    assert [(str(moved.part), moved.bar_count) for moved in moving.move_to_archive(HALF_DAY)] == [
        ("US 2024-01-05", 2)
    ]
    assert [path.name for path in (home / "archive").iterdir()] == ["date=2024-01-05"]


def test_no_bar_is_lost_if_the_archive_cannot_be_written(
    materialize: Materialize, migrated: Engine, home: Path
) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    (home / "archive").write_text("in the way")
    with pytest.raises(OSError, match="archive"):
        moving.move_to_archive(HALF_DAY)
    assert len(rows(migrated, STORED_BARS)) == 26


def test_restoring_without_archived_bars_raises_an_error(migrated: Engine) -> None:
    with pytest.raises(ValueError, match="nothing of US is archived from 2024-06-10 to 2024-12-24"):
        moving.restore("US", MONDAY, HALF_DAY)


def test_the_archiving_job_leaves_no_overdue_bar(materialize: Materialize, migrated: Engine) -> None:
    materialize(MONDAY, bars_15m(MONDAY))
    job = platform.resolve_job_def("archive_15m_bars")
    result = job.execute_in_process()
    assert figures(result, "nothing_is_kept_longer") == {"errors": 0, "warnings": 0}
    assert rows(migrated, STORED_BARS) == []
    assert moving.restore("US", MONDAY, MONDAY)[0].bar_count == 26
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
def test_a_bar_is_overdue_only_after_the_archiving_hour(now: str, first: str) -> None:
    assert moving.first_allowed_date(dt.datetime.fromisoformat(now)) == dt.date.fromisoformat(first)


@pytest.mark.calendar
@pytest.mark.parametrize(("days", "passed"), [(30, True), (32, False)])
def test_a_bar_is_overdue_by_its_age_alone(migrated: Engine, days: int, passed: bool) -> None:
    """Between midnight and the archiving hour, and after it."""
    date = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days)
    insert_instruments(migrated)
    execute(
        migrated,
        "INSERT INTO price_bars (id, instrument_id, ts, interval, o, h, l, c, v)"
        f" SELECT gen_random_uuid(), id, '{date}', '15m', 1, 1, 1, 1, 1 FROM instruments WHERE symbol = 'ACME'",
    )
    assert check("nothing_is_kept_longer").passed is passed
