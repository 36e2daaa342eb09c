"""Migrations: no row is lost, concurrent runs do not disturb each other, and new ones are generated."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from pytest_alembic.tests import (  # noqa: F401 - the four tests run here
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from worlds import catalogue, specification

from boursomatic_assets.database import DatabaseError, database_url, migrate

CHECKOUT = migrate.CONFIG.parent
HOLD = "SELECT pg_advisory_lock(hashtext('alembic_version'))"
RELEASE = "SELECT pg_advisory_unlock(hashtext('alembic_version'))"

# Rows that the first revision took and that the extensions' rules collide with, beside ordinary ones.
ROWS_OF_0001 = """
INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), 'ada@example.com', 'hash');
INSERT INTO user_settings (id, user_id) SELECT gen_random_uuid(), id FROM users;
INSERT INTO instruments (id, symbol, exchange, created_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'AAPL', 'NASDAQ', '2024-01-02'),
    ('a0000000-0000-0000-0000-000000000002', 'AAPL', 'NASDAQ', '2024-01-01'),
    ('a0000000-0000-0000-0000-000000000003', 'MC', 'EURONEXT', '2024-01-01');
INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)
    SELECT gen_random_uuid(), id, '2024-01-05', 10, 12, 9, 11, 0, 'daily' FROM instruments;
INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)
    SELECT gen_random_uuid(), id, '2024-01-05 09:15', 10, 12, 9, 'NaN', 0, '15m' FROM instruments;
INSERT INTO features (id, instrument_id, ts) SELECT gen_random_uuid(), id, '2024-01-05' FROM instruments;
INSERT INTO model_versions (id, version, params_hash, metrics_json, trained_at) VALUES
    ('b0000000-0000-0000-0000-000000000001', 'v1', '0', '{}', '2024-01-01'),
    ('b0000000-0000-0000-0000-000000000002', 'v2', '0', '{}', '2024-01-01'),
    ('b0000000-0000-0000-0000-000000000003', 'v3', '0', '{}', '2024-01-01 00:00:00.000001'),
    ('b0000000-0000-0000-0000-000000000004', 'v4', '0', '{}', '2024-02-01');
INSERT INTO recommendations (
    id, instrument_id, model_version_id, profile, confidence, features_snapshot,
    label, generated_at, is_active
)
SELECT made.id, instruments.id, model_versions.id, 'moderate', 1, '{}', made.label, made.at, made.is_active
FROM instruments, model_versions, (VALUES
    ('c0000000-0000-0000-0000-000000000001'::uuid, 'BUY', '2024-01-05 17:00'::timestamp, true),
    ('c0000000-0000-0000-0000-000000000002', 'SELL', '2024-01-05 17:00', true),
    ('c0000000-0000-0000-0000-000000000003', 'HOLD', '2024-01-05 17:00', false),
    ('c0000000-0000-0000-0000-000000000004', 'HOLD', '2024-01-04 17:00', false)
) AS made (id, label, at, is_active) WHERE symbol = 'MC' AND version = 'v1';
"""


@pytest.fixture
def alembic_config() -> Config:
    return Config(migrate.CONFIG)


@pytest.fixture
def alembic_engine(database: Engine) -> Engine:
    return database


@pytest.fixture
def with_rows_of_0001(database: Engine) -> Engine:
    migrate.upgrade("0001")
    with database.begin() as connection:
        connection.exec_driver_sql(ROWS_OF_0001)
    return database


@pytest.fixture
def scratch(tmp_path: Path) -> Config:
    """Alembic with a folder for new migrations outside of the checkout."""
    config = Config(migrate.CONFIG)
    config.set_main_option("version_locations", f"%(here)s/migrations/versions{os.pathsep}{tmp_path}")
    return config


def query(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


# --- what the migrations make


def test_the_first_migration_is_exactly_the_specification(database: Engine) -> None:
    migrate.upgrade("0001")
    with database.connect() as connection:
        assert catalogue.columns(connection) == specification.columns(specification.TABLES)
        assert catalogue.indexes(connection) == specification.indexes(specification.TABLES)


def test_no_row_is_lost_on_the_way_up_and_down_and_up(with_rows_of_0001: Engine) -> None:
    before = migrate.row_counts(with_rows_of_0001)
    migrate.upgrade()
    after = migrate.row_counts(with_rows_of_0001)
    added = {
        "price_bar_revisions": 0,
        "delivered_sessions": 0,
        "computed_sessions": 6,
        "model_decisions": 4,
        "recommendation_expiries": 0,
        "track_record": 0,
        "delivered_files": 0,
        "instrument_aliases": 0,
        "login_attempts": 0,
        "audit_entries": 6,
        "audit_heads": 3,
        "audit_log": 0,
        "alerts": 0,
        "run_claims": 0,
        "archive_files": 0,
    }
    assert after == {**before, "price_bars": 3, "rejected_bars": 3, **added}
    migrate.downgrade("0001", lose=True)
    assert migrate.row_counts(with_rows_of_0001) == {**before, "price_bars": 3}
    migrate.upgrade()
    assert migrate.row_counts(with_rows_of_0001) == {**before, "price_bars": 3, "rejected_bars": 0, **added}
    migrate.downgrade("base")
    assert migrate.row_counts(with_rows_of_0001) == {}


def test_of_several_recommendations_of_a_moment_the_last_active_one_is_current(with_rows_of_0001: Engine) -> None:
    migrate.upgrade()
    standing = "SELECT label, is_active, as_of = generated_at FROM recommendations WHERE superseded_at IS NULL"
    assert query(with_rows_of_0001, f"{standing} ORDER BY as_of") == [
        ("HOLD", False, True),
        ("SELL", True, True),
    ]


def test_model_versions_trained_at_one_moment_get_dates_of_their_own(with_rows_of_0001: Engine) -> None:
    migrate.upgrade()
    moved = "SELECT version, extract(microseconds FROM as_of - trained_at)::int FROM model_versions"
    assert query(with_rows_of_0001, f"{moved} ORDER BY as_of") == [("v1", 0), ("v2", 1), ("v3", 1), ("v4", 0)]


# What the revision before the decisions knew of promotions: in the metrics, or not at all.
VERSIONS_OF_0003 = """
INSERT INTO model_versions (id, version, params_hash, metrics_json, trained_at, as_of, is_active) VALUES
    (gen_random_uuid(), 'v1', '0', '{"promoted": false, "reason": "too weak"}', '2024-01-10', '2024-01-02', false),
    (gen_random_uuid(), 'v2', '0', '{"promoted": true, "reason": "the first", "log_loss": 1.05}',
        '2024-02-10', '2024-02-01', false),
    (gen_random_uuid(), 'v3', '0', '{"promoted": false, "reason": "worse", "champion_before": "v2"}',
        '2024-03-10', '2024-03-01', false),
    (gen_random_uuid(), 'v4', '0', '{}', '2024-04-10', '2024-04-02', true)
"""
DECISIONS = """
SELECT v.version, d.kind, s.version, d.reason, d.decided_by,
    d.effective_at = v.as_of AND d.decided_at = v.trained_at
FROM model_decisions d JOIN model_versions v ON v.id = d.version_id
    LEFT JOIN model_versions s ON s.id = d.speaker_id
ORDER BY d.effective_at
"""


@pytest.fixture
def with_versions_of_0003(database: Engine) -> Engine:
    migrate.upgrade("0003")
    with database.begin() as connection:
        connection.exec_driver_sql(VERSIONS_OF_0003)
    return database


def test_promotions_in_the_metrics_become_decisions(with_versions_of_0003: Engine) -> None:
    migrate.upgrade()
    assert query(with_versions_of_0003, DECISIONS) == [
        ("v1", "refused", None, "too weak", "gate", True),
        ("v2", "promoted", "v2", "the first", "gate", True),
        ("v3", "refused", "v2", "worse", "gate", True),
        ("v4", "promoted", "v4", "No reason was stored with this version.", "gate", True),
    ]
    numbers = "SELECT numbers->'versions'->>'champion', numbers->'challenger'->>'log_loss' FROM model_decisions"
    assert query(with_versions_of_0003, f"{numbers} ORDER BY effective_at") == [
        (None, None), (None, "1.05"), ("v2", None), (None, None)
    ]  # fmt: skip


def test_decisions_go_back_into_the_metrics_and_the_newest_promoted_version_is_active(
    with_versions_of_0003: Engine,
) -> None:
    migrate.upgrade()
    with with_versions_of_0003.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE model_versions SET is_active = false; UPDATE model_versions SET is_active = version = 'v2';"
            "INSERT INTO model_decisions"
            " (id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by)"
            " SELECT gen_random_uuid(), id, '2024-05-01', 'forced', id, 'trusted', '{}', 'ann'"
            " FROM model_versions WHERE version = 'v2'"
        )
    migrate.downgrade("0003", lose=True)
    told = "SELECT version, metrics_json->>'promoted', metrics_json->>'reason', is_active FROM model_versions"
    assert query(with_versions_of_0003, f"{told} ORDER BY as_of") == [
        ("v1", "false", "too weak", False),
        ("v2", "true", "the first", False),
        ("v3", "false", "worse", False),
        ("v4", "true", "No reason was stored with this version.", True),
    ]
    migrate.upgrade()
    assert len(query(with_versions_of_0003, DECISIONS)) == 5, "that of a person is found again"
    active = query(with_versions_of_0003, "SELECT version FROM model_versions WHERE is_active")
    assert active == [("v2",)]


BARS_OF_0007 = """
INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval, created_at, updated_at)
SELECT gen_random_uuid(), id, '2024-01-08', 10, 12, 9, 11, 0, made.interval, '2024-01-09', made.updated_at
FROM instruments, (
    VALUES ('daily', NULL), ('15m', '2024-01-10'::timestamp), ('1h', '2024-01-11'), ('weekly', NULL)
) AS made (interval, updated_at) WHERE symbol = 'MC'
"""
BARS = "SELECT interval, created_at::date::text, {} FROM price_bars WHERE ts = '2024-01-08' ORDER BY 1"


def test_what_is_known_of_a_bar_stays_so_on_the_way_down_and_up(with_rows_of_0001: Engine) -> None:
    """Below 0007 a change moves `created_at`, and bars of other intervals wait among the rejected rows."""
    migrate.upgrade()
    with with_rows_of_0001.begin() as connection:
        connection.exec_driver_sql(BARS_OF_0007)
    migrate.downgrade("0006", lose=True)
    assert query(with_rows_of_0001, BARS.format("c")) == [
        ("15m", "2024-01-10", 11.0),
        ("daily", "2024-01-09", 11.0),
    ]
    waiting = "SELECT interval, market, session::text, source FROM rejected_bars WHERE source = 'migration 0007'"
    assert query(with_rows_of_0001, f"{waiting} ORDER BY 1") == [
        ("1h", "EURONEXT", "2024-01-08 00:00:00", "migration 0007"),
        ("weekly", "EURONEXT", "2024-01-08 00:00:00", "migration 0007"),
    ]
    migrate.upgrade()
    assert query(with_rows_of_0001, BARS.format("updated_at::date::text")) == [
        ("15m", "2024-01-10", None),
        ("1h", "2024-01-09", "2024-01-11"),
        ("daily", "2024-01-09", None),
        ("weekly", "2024-01-09", None),
    ]
    assert query(with_rows_of_0001, waiting) == []


@pytest.mark.parametrize(("before_it", "adding"), [("0006", "0007"), ("0013", "0014")])
def test_the_columns_of_a_large_table_are_added_without_writing_it_again(
    database: Engine, before_it: str, adding: str
) -> None:
    migrate.upgrade(before_it)
    files = "SELECT pg_relation_filenode('price_bars'), pg_relation_filenode('features')"
    before = query(database, files)
    migrate.upgrade(adding)
    assert query(database, files) == before


def test_bars_stay_without_the_lines_that_they_came_from(with_rows_of_0001: Engine) -> None:
    migrate.upgrade()
    with with_rows_of_0001.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE price_bars SET file_id = 5, line = 7; INSERT INTO price_bar_revisions (id, instrument_id, ts,"
            " interval, o, h, l, c, v, known_from, known_until, file_id, line) SELECT id, instrument_id, ts,"
            " interval, o, h, l, c, v, created_at, now() + interval '1 s', 5, 6 FROM price_bars;"
            "INSERT INTO delivered_files (id, source, file, lines, header, blank, comments, footer, delivered,"
            " passed_over, digest, file_id) VALUES (gen_random_uuid(), 'files', 'a.csv', 1, 0, 0, 0, 0, 1, false,"
            " 'ab', 5)"
        )
    before = migrate.row_counts(with_rows_of_0001)
    with pytest.raises(DatabaseError, match="this loses for good 6 lines that bars came from, 1 digests"):
        migrate.downgrade("0013")
    migrate.downgrade("0013", lose=True)
    migrate.upgrade()
    assert migrate.row_counts(with_rows_of_0001) == before
    for table in ("price_bars", "price_bar_revisions"):
        assert query(with_rows_of_0001, f"SELECT DISTINCT file_id, line, c FROM {table}") == [(None, None, 11.0)]
    assert query(with_rows_of_0001, "SELECT file, digest, file_id FROM delivered_files") == [("a.csv", None, None)]


def test_of_two_instruments_of_a_name_the_older_one_keeps_it(with_rows_of_0001: Engine) -> None:
    migrate.upgrade()
    assert query(
        with_rows_of_0001, "SELECT symbol, is_active, created_at::date::text FROM instruments ORDER BY 1"
    ) == [
        ("AAPL", True, "2024-01-01"),
        ("AAPL#a0000000-0000-0000-0000-000000000001", False, "2024-01-02"),
        ("MC", True, "2024-01-01"),
    ]


def test_an_invalid_bar_of_an_older_revision_is_moved_to_the_rejected_rows(with_rows_of_0001: Engine) -> None:
    migrate.upgrade()
    found = "SELECT market, session::text, raw->>'c', raw->>'interval' FROM rejected_bars ORDER BY market"
    assert query(with_rows_of_0001, found) == [
        ("EURONEXT", "2024-01-05 00:00:00", "NaN", "15m"),
        ("US", "2024-01-05 00:00:00", "NaN", "15m"),
        ("US", "2024-01-05 00:00:00", "NaN", "15m"),
    ]


def test_a_migration_that_fails_leaves_the_database_as_it_was(with_rows_of_0001: Engine) -> None:
    with with_rows_of_0001.begin() as connection:
        connection.execute(text("UPDATE recommendations SET horizon_days = 0"))
        before = catalogue.fingerprint(connection)
    with pytest.raises(DatabaseError, match=r"ck_recommendations_horizon_days.*the database is at 0001"):
        migrate.upgrade()
    with with_rows_of_0001.connect() as connection:
        assert catalogue.fingerprint(connection) == before


def test_a_migration_that_fails_leaves_those_before_it(database: Engine, scratch: Config, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        f'from alembic import op\nrevision, down_revision = "bad", "{migrate.head_revision()}"\n\n'
        'def upgrade() -> None:\n    op.execute("DROP TABLE features; SELECT 1 / 0")\n'
    )
    with pytest.raises(DBAPIError, match="division by zero"):
        command.upgrade(scratch, "head")
    assert migrate.current_revision(database) == migrate.head_revision()
    assert "features" in migrate.row_counts(database)


def test_sql_by_hand_finds_the_database_in_utc(database: Engine) -> None:
    by_hand = create_engine(database_url())
    with by_hand.begin() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE \"{database.url.database}\" SET timezone = 'Europe/Paris'")
    by_hand.dispose()
    command.upgrade(Config(migrate.CONFIG), "head")
    assert query(by_hand, "SHOW timezone") == [("UTC",)]
    by_hand.dispose()


@pytest.fixture
def guest(database: Engine) -> Iterator[Connection]:
    """A connection as a role that may make tables in the database but does not own it."""
    role = f'"{database.url.database}_guest"'
    with database.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}; SET ROLE {role}")
        connection.commit()
        yield connection
        connection.rollback()
        connection.exec_driver_sql(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
        connection.commit()


def test_a_role_that_does_not_own_the_database_can_still_migrate(database: Engine, guest: Connection) -> None:
    """It may not make extensions, and is told so; an administrator makes them."""
    config = Config(migrate.CONFIG)
    config.attributes["connection"] = guest
    with pytest.raises(
        CommandError, match="have an administrator run `CREATE EXTENSION unaccent` in this database"
    ):
        command.upgrade(config, "head")
    guest.rollback()
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE EXTENSION unaccent; CREATE EXTENSION pg_trgm")
    command.upgrade(config, "head")
    owners = text("SELECT DISTINCT tableowner = current_user FROM pg_tables WHERE schemaname = 'public'")
    assert guest.scalars(owners).all() == [True]


# --- runs beside each other


def test_two_upgrades_at_once_both_succeed(database: Engine) -> None:
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(HOLD))
        upgrades = [
            subprocess.Popen([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=CHECKOUT) for _ in range(2)
        ]
        wait_for_sessions(connection, 2)
        assert catalogue.fingerprint(connection) == set()
        connection.execute(text(RELEASE))
        assert [upgrade.wait(timeout=60) for upgrade in upgrades] == [0, 0]
    assert migrate.current_revision(database) == migrate.head_revision()


def wait_for_sessions(connection: Connection, number: int) -> None:
    """Return once that many sessions are asking for the lock."""
    asking = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'"
    )
    deadline = time.monotonic() + 60
    while connection.scalar(asking) != number:
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- new migrations


def generate(config: Config, folder: Path, message: str, autogenerate: bool = True) -> Path:
    command.revision(config, message, autogenerate=autogenerate, version_path=str(folder))
    [made] = folder.glob("*.py")
    settings = CHECKOUT / "pyproject.toml"
    for action in ("format", "check"):
        tidy = [sys.executable, "-m", "ruff", action, "--no-cache", "--config", settings, made]
        ran = subprocess.run(tidy, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + made.read_text()
    return made


def test_a_migrated_database_needs_no_new_migration(migrated: Engine, scratch: Config, tmp_path: Path) -> None:
    made = generate(scratch, tmp_path, "Nothing")
    assert "op." not in made.read_text() and made.read_text().count("    pass\n") == 2


def test_a_migration_to_be_written_by_hand_is_a_tidy_file_that_runs(
    migrated: Engine, scratch: Config, tmp_path: Path
) -> None:
    generate(scratch, tmp_path, "By hand.", autogenerate=False)
    command.upgrade(scratch, "head")
    command.downgrade(scratch, "-1")
    assert migrate.current_revision(migrated) == migrate.head_revision()


def test_a_generated_migration_brings_the_database_to_the_models(
    migrated: Engine, scratch: Config, tmp_path: Path
) -> None:
    with migrated.begin() as connection:
        wanted = catalogue.fingerprint(connection)
        connection.exec_driver_sql(
            "DROP TABLE rejected_bars; ALTER TABLE features DROP COLUMN additional_features;"
            "ALTER TABLE price_bars DROP CONSTRAINT ck_price_bars_v; DROP INDEX uq_recommendations_current"
        )
    generate(scratch, tmp_path, "Bring it back")
    command.upgrade(scratch, "head")
    with migrated.connect() as connection:
        assert catalogue.fingerprint(connection) == wanted


def test_revisions_of_a_due_date_keep_their_order_on_the_way_down(database: Engine) -> None:
    migrate.upgrade()
    with database.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO model_versions (id, version, params_hash, metrics_json, as_of, revision)"
            " SELECT gen_random_uuid(), 'v' || n, '0', '{}', '2024-01-02 08:00', n FROM generate_series(1, 3) n"
        )
    covered = "SELECT DISTINCT columns[9:] FROM audit_entries WHERE table_name = 'model_versions'"
    assert query(database, covered) == [(["revision", "history_digest", "history_read_at"],)]
    migrate.downgrade("0010", lose=True)
    moved = "SELECT version, extract(microseconds FROM as_of - '2024-01-02 08:00')::int FROM model_versions"
    assert query(database, f"{moved} ORDER BY as_of") == [("v1", -2), ("v2", -1), ("v3", 0)]
    assert query(database, covered) == [([],)]
