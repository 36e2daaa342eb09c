"""Summaries: they are made anew while they are read, and say when they are not made from what is there now."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from conftest import Admin
from sqlalchemy import Engine, make_url, text
from worlds.platform import execute, rows

from boursomatic_assets import database
from boursomatic_assets.automation.summaries import refresh_outdated
from boursomatic_assets.checks.now import summaries as checks
from boursomatic_assets.cli.views.diagnosis import findings
from boursomatic_assets.database import dumps, partitioning
from boursomatic_assets.definitions import defs
from boursomatic_assets.tables.summaries import refreshing
from boursomatic_assets.tables.summaries.refreshing import SUMMARIES, Extent, outdated, refresh
from boursomatic_assets.vocabulary import Role

ADVISED = (
    "INSERT INTO instruments (id, symbol, exchange, sector) VALUES"
    " (gen_random_uuid(), 'AAPL', 'NASDAQ', 'Technology'), (gen_random_uuid(), 'KO', 'NYSE', NULL),"
    " (gen_random_uuid(), 'TTE', 'EURONEXT', 'Energy')",
    "INSERT INTO model_versions (id, version, params_hash, metrics_json, as_of)"
    " VALUES (gen_random_uuid(), '2024-01', '0', '{}', '2024-01-02')",
    "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)"
    " SELECT gen_random_uuid(), id, ts, 10, 12, 9, 11, 0, interval FROM instruments, (VALUES"
    " (timestamp '2024-01-30', 'daily'), ('2024-01-31', 'daily'), ('2024-02-01', 'daily'),"
    " ('2024-02-01 15:00', '15m')) b (ts, interval)",
    "INSERT INTO features (id, instrument_id, ts) SELECT gen_random_uuid(), id, '2024-02-01' FROM instruments"
    " WHERE symbol <> 'KO'",
    "INSERT INTO recommendations"
    " (id, instrument_id, model_version_id, profile, label, confidence, features_snapshot, as_of, is_active)"
    " SELECT gen_random_uuid(), i.id, m.id, 'moderate', label, 0.5, '{}', told, told > '2024-02-01'"
    " FROM instruments i, model_versions m, (VALUES (timestamp '2024-01-31 21:00', 'SELL'),"
    " ('2024-02-01 21:00', 'BUY')) a (told, label) WHERE symbol <> 'KO'",
    "INSERT INTO track_record (id, recommendation_id, instrument_id, ts, profile, label, as_of, horizon_days,"
    " confidence, realised_return_pct, relative_return_pct, outcome, hit)"
    " SELECT id, id, instrument_id, '2024-02-01', profile, label, as_of, 1, confidence, 2, 1, 'SELL', true"
    " FROM recommendations WHERE label = 'SELL'",
    "INSERT INTO computed_sessions (id, asset, market, session, computed_at, changed_at)"
    " VALUES (gen_random_uuid(), 'recommendations', 'US', '2024-02-01', now(), now())",
)
NEWEST = dt.datetime(2024, 2, 1)


@pytest.fixture
def advised(migrated: Engine) -> Engine:
    execute(migrated, *ADVISED)
    return migrated


def shown(engine: Engine, name: str, columns: str, order: str = "market") -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in rows(engine, f"SELECT {columns} FROM {name} ORDER BY {order}")]


def outdated_now() -> list[str]:
    with database.engine().connect() as connection:
        return list(outdated(connection))


def test_of_an_empty_database_they_are_empty_and_up_to_date(migrated: Engine) -> None:
    assert outdated_now() == []
    assert [refresh(name) for name in SUMMARIES] == [Extent(0, None)] * 3
    assert str(Extent(0, None)) == "no rows"


def test_each_speaks_for_its_newest_session(advised: Engine) -> None:
    assert outdated_now() == list(SUMMARIES)
    extents = [refresh(name) for name in SUMMARIES]
    assert outdated_now() == []
    assert extents == [Extent(2, NEWEST.replace(hour=21)), Extent(2, NEWEST), Extent(4, NEWEST)]
    assert shown(advised, "advice_by_sector", "market, profile, sector, as_of, recommendations, buys, sells") == [
        ("EURONEXT", "moderate", "Energy", NEWEST.replace(hour=21), 1, 1, 0),
        ("US", "moderate", "Technology", NEWEST.replace(hour=21), 1, 1, 0),
    ]
    track_record = "market, horizon_days, month::text, scores, judged, hits, hit_rate, mean_return_pct"
    assert shown(advised, "track_record_by_month", track_record) == [
        ("EURONEXT", 1, "2024-02-01", 1, 1, 1, 1.0, 2.0),
        ("US", 1, "2024-02-01", 1, 1, 1, 1.0, 2.0),
    ]
    coverage = "market, month::text, sessions, bars, instruments_with_bars, instruments_with_features,"
    assert shown(advised, "coverage_by_month", coverage + " instruments_with_advice", "market, month") == [
        ("EURONEXT", "2024-01-01", 2, 2, 1, 0, 1),
        ("EURONEXT", "2024-02-01", 1, 1, 1, 1, 1),
        ("US", "2024-01-01", 2, 4, 2, 0, 1),
        ("US", "2024-02-01", 1, 2, 2, 1, 1),
    ]
    (made,) = rows(advised, "SELECT clock_timestamp()::timestamp - max(refreshed_at) AS ago FROM advice_by_sector")
    assert dt.timedelta() <= made["ago"] < dt.timedelta(minutes=5)


def test_one_that_is_not_made_from_what_is_there_says_so(advised: Engine, dagster_instance: object) -> None:
    found = checks.evaluate("advice_by_sector")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (found.description or "").startswith("out of date")
    (finding,) = [one for one in findings.run_diagnosis() if one.subject == "summaries"]
    assert str(finding).startswith("late  summaries")
    assert refresh("advice_by_sector").rows == 2
    assert checks.evaluate("advice_by_sector").passed
    assert outdated_now() == ["track_record_by_month", "coverage_by_month"]
    execute(advised, "UPDATE instruments SET sector = 'Software' WHERE symbol = 'AAPL'")
    assert not checks.evaluate("advice_by_sector").passed


def test_what_is_committed_while_one_is_made_leaves_it_out_of_date(advised: Engine) -> None:
    with advised.connect() as writer:
        writer.execute(text("UPDATE computed_sessions SET changed_at = now()"))  # begun before, committed after
        refresh("advice_by_sector")
        writer.commit()
    assert "advice_by_sector" in outdated_now()


def test_who_reads_one_is_not_waited_for_and_does_not_wait(advised: Engine) -> None:
    refresh("advice_by_sector")
    with advised.connect() as reader:
        before = reader.execute(text("SELECT count(*), max(as_of) FROM advice_by_sector")).one()
        execute(advised, "UPDATE recommendations SET is_active = false")
        assert refresh("advice_by_sector").rows == 0
        assert before[0] == 2
        reader.rollback()
        assert reader.scalar(text("SELECT count(*) FROM advice_by_sector")) == 0


def test_one_that_was_never_filled_is_filled(advised: Engine) -> None:
    """So is a view after its definition was restored without its rows."""
    execute(advised, "REFRESH MATERIALIZED VIEW advice_by_sector WITH NO DATA")
    assert refresh("advice_by_sector").rows == 2


def test_the_writer_refreshes_summaries_alone_and_a_reader_none(
    advised: Engine, log_in: Callable[[Role], psycopg.Connection]
) -> None:
    reader = log_in("reader")
    assert reader.execute("SELECT count(*) FROM advice_by_sector").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("SELECT refresh_summary('advice_by_sector')")
    writer = log_in("writer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="instruments is no summary"):
        writer.execute("SELECT refresh_summary('instruments')")
    with pytest.raises(ValueError, match="there is no summary 'users': choose from advice_by_sector"):
        refreshing.extent(advised.connect(), "users")


def test_tables_are_partitioned_and_summaries_refreshed_as_before(advised: Engine) -> None:
    partitioning.partition()
    assert refresh("coverage_by_month") == Extent(4, NEWEST)
    partitioning.unpartition()
    assert refresh("coverage_by_month") == Extent(4, NEWEST)


def test_a_dump_restores_them(advised: Engine, admin: Admin, tmp_path: Path) -> None:
    for name in SUMMARIES:
        refresh(name)
    name, path = admin.create(), tmp_path / "platform.dump"
    address = advised.url
    with dumps.snapshot(address) as snapshot:
        path.write_bytes(b"".join(snapshot.dump()))
    dumps.restore(address.set(database=name), path)
    with psycopg.connect(
        make_url(admin.address(name)).set(drivername="postgresql").render_as_string(False)
    ) as restored:
        assert restored.execute("SELECT count(*) FROM coverage_by_month").fetchone() == (4,)
        assert restored.execute("SELECT count(*) FROM recommendation_words").fetchone() == (4,)
        restored.execute("UPDATE instruments SET name = 'Pear' WHERE symbol = 'AAPL'")
        assert restored.execute("SELECT count(*) FROM summaries WHERE sources = summary_sources()").fetchone() == (
            3,
        )
    admin.drop(name)


def test_the_job_refreshes_and_checks_them(advised: Engine) -> None:
    result = defs.resolve_job_def("summaries").execute_in_process()
    assert result.success
    assert all(found.passed for found in result.get_asset_check_evaluations())
    assert outdated_now() == []


def test_the_sensor_asks_once_for_what_is_out_of_date_when_nothing_is_computed(advised: Engine) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance)
        running = instance.create_run_for_job(
            defs.resolve_job_def("market_session"), status=dg.DagsterRunStatus.STARTED
        )
        waits = refresh_outdated(context)
        assert isinstance(waits, dg.SkipReason)
        assert "left until run" in str(waits.skip_message)
        instance.report_run_canceled(running)
        asked = refresh_outdated(context)
        assert isinstance(asked, dg.RunRequest)
        assert [key.to_user_string() for key in asked.asset_selection or ()] == list(SUMMARIES)
        for name in SUMMARIES:
            refresh(name)
        assert isinstance(refresh_outdated(context), dg.SkipReason)
