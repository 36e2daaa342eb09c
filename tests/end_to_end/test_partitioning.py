"""Optional partitioned tables: partitioning and unpartitioning lose nothing, and the platform works on them."""

import datetime as dt
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import load_python_file
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from worlds import catalogue
from worlds.frames import bars, insert_instruments, query_rows, slice_of

from boursomatic_assets import database
from boursomatic_assets.checks.invariant import open_snapshot
from boursomatic_assets.cli.main import main
from boursomatic_assets.database import DatabaseError, database_url, dumps, migrate, partitioning
from boursomatic_assets.tables import merging, revisions
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.merging import MergeCounts
from boursomatic_assets.tables.reading import read_slice, read_table
from boursomatic_assets.tables.summaries import refreshing

pytestmark = pytest.mark.plain

TABLES = ("price_bars", "features")
MONDAY, TUESDAY = "2024-06-10", "2024-06-11"

ROW_PARTITIONS = "SELECT tableoid::regclass::text, ts FROM price_bars ORDER BY ts"
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{}'::regclass ORDER BY 1"
COLUMNS = """
    SELECT table_name, column_name,
        concat_ws(' ', data_type, character_maximum_length, is_nullable, column_default)
    FROM information_schema.columns WHERE table_schema = 'public'
"""
CANCEL_WAITING = """
    SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'
"""
PRIVILEGES = """
    SELECT attname, grantee::regrole::text, privilege_type, is_grantable FROM (
        SELECT '' AS attname, (aclexplode(coalesce(relacl, acldefault('r', relowner)))).*
            FROM pg_class WHERE oid = 'price_bars'::regclass
        UNION ALL SELECT attname, (aclexplode(attacl)).* FROM pg_attribute WHERE attrelid = 'price_bars'::regclass
    ) AS granted ORDER BY 1, 2, 3
"""


def execute(engine: Engine, *statements: str) -> None:
    """Run statements, each a transaction."""
    for statement in statements:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)


def contents(engine: Engine) -> dict[str, list[Any]]:
    """Every row of the two tables, with ids and times of creation."""
    return {table: query_rows(engine, f"SELECT t.*::text FROM {table} t ORDER BY id") for table in TABLES}


def this_year() -> int:
    return dt.datetime.now(dt.UTC).year


def fingerprint(engine: Engine) -> set[tuple[object, ...]]:
    with engine.connect() as connection:
        return catalogue.fingerprint(connection)


def write(engine: Engine, date: str, **changed: Any) -> MergeCounts:
    """Write a session of two bars, and check that it is read back."""
    part, frame = slice_of("US", date[:10]), bars("ACME BOLT", date, **changed).sort("instrument_id")
    with engine.begin() as connection:
        merge = merging.replace(connection, GRAINS["price_bars"], part, frame)
    assert read_slice(GRAINS["price_bars"], part).drop("market").equals(frame)
    return merge


def insert(engine: Engine, ts: str, table: str = "price_bars") -> None:
    """Insert a row by SQL, with any time."""
    more = {"price_bars": ("o, h, l, c, v, interval", "1, 1, 1, 1, 1, 'daily'"), "features": ("rsi_14", "50")}
    names, values = more[table]
    execute(
        engine,
        f"INSERT INTO {table} (id, instrument_id, ts, {names})"
        f" SELECT gen_random_uuid(), id, '{ts}', {values} FROM instruments WHERE symbol = 'ACME'",
    )


@pytest.fixture
def with_bars(migrated: Engine) -> Engine:
    """A few rows of three years, in plain tables."""
    insert_instruments(migrated)
    for ts in ("2022-12-31 23:59:59.999999", "2023-01-01", "2024-06-10"):
        for table in TABLES:
            insert(migrated, ts, table)
    return migrated


@pytest.fixture
def partitioned(with_bars: Engine) -> Engine:
    partitioning.partition()
    return with_bars


@pytest.fixture
def reading_role(with_bars: Engine) -> Iterator[str]:
    """A role with some privileges on bars, and with a default privilege on later tables."""
    role = f'"{with_bars.url.database}_reader"'
    execute(
        with_bars,
        f"CREATE ROLE {role}",
        f"GRANT SELECT ON price_bars TO {role} WITH GRANT OPTION; GRANT UPDATE (c) ON price_bars TO {role}",
        f"ALTER DEFAULT PRIVILEGES GRANT DELETE ON TABLES TO {role}",
        "REVOKE INSERT ON price_bars FROM CURRENT_USER",
    )
    yield role
    execute(with_bars, f"DROP OWNED BY {role}; DROP ROLE {role}")


# --- partitioning and unpartitioning


def test_every_row_is_kept_and_stored_in_the_partition_of_its_year(with_bars: Engine) -> None:
    before = contents(with_bars)
    partitioning.partition()
    assert contents(with_bars) == before
    assert [place for place, _ in query_rows(with_bars, ROW_PARTITIONS)] == [
        f"partitions.price_bars_{year}" for year in (2022, 2023, 2024)
    ]
    partitioning.unpartition()
    assert contents(with_bars) == before


@pytest.mark.calendar
def test_there_is_a_partition_for_each_year_until_the_next_and_one_for_the_rest(with_bars: Engine) -> None:
    before = this_year()
    partitioning.partition()
    for table in TABLES:
        either = [  # midnight of New Year may have passed
            [*(f"partitions.{table}_{year}" for year in range(2022, now + 2)), f"partitions.{table}_default"]
            for now in (before, this_year())
        ]
        assert [name for (name,) in query_rows(with_bars, PARTITIONS.format(table))] in either


def test_only_the_key_differs_from_the_schema_of_the_models(with_bars: Engine) -> None:
    def schema() -> set[tuple[str, ...]]:
        with with_bars.connect() as connection:
            known = catalogue.fingerprint(connection) | set(map(tuple, connection.execute(text(COLUMNS))))
        return {tuple(str(part).replace(" ON ONLY ", " ON ") for part in row) for row in known if len(row) < 5}

    plain = schema()
    partitioning.partition()
    assert {name for _, name, *_ in schema() ^ plain} == {"pk_price_bars", "pk_features"}
    assert ("price_bars", "pk_price_bars", "True", "PRIMARY KEY (id, ts)") in schema()


def test_unpartitioning_restores_the_original_schema(with_bars: Engine) -> None:
    before = fingerprint(with_bars)
    partitioning.partition()
    partitioning.unpartition()
    assert fingerprint(with_bars) == before
    assert query_rows(with_bars, "SELECT to_regnamespace('partitions')") == [(None,)]


def test_partitioning_and_unpartitioning_are_idempotent(with_bars: Engine) -> None:
    oids = "SELECT oid FROM pg_class WHERE relname LIKE 'price_bars%' OR relname LIKE 'features%' ORDER BY 1"
    partitioning.partition()
    once = query_rows(with_bars, oids)
    partitioning.partition()
    assert query_rows(with_bars, oids) == once
    partitioning.unpartition()
    once = query_rows(with_bars, oids)
    partitioning.unpartition()
    assert query_rows(with_bars, oids) == once


def test_privileges_are_kept(with_bars: Engine, reading_role: str) -> None:
    before = query_rows(with_bars, PRIVILEGES)
    partitioning.partition()
    assert query_rows(with_bars, PRIVILEGES) == before
    partitioning.unpartition()
    assert query_rows(with_bars, PRIVILEGES) == before


def test_the_owner_stays_the_owner_of_every_part(with_bars: Engine, reading_role: str) -> None:
    execute(with_bars, *(f"ALTER TABLE {table} OWNER TO {reading_role}" for table in TABLES))
    partitioning.partition()
    owners = "SELECT pg_get_userbyid(relowner) FROM pg_class, pg_partition_tree('price_bars') WHERE oid = relid"
    assert set(query_rows(with_bars, owners)) == {(reading_role.strip('"'),)}


def test_triggers_and_comments_are_kept(with_bars: Engine) -> None:
    execute(
        with_bars,
        "COMMENT ON TABLE price_bars IS 'bars: all'; COMMENT ON COLUMN price_bars.c IS 'Close'",
        "CREATE FUNCTION louder() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v = 99; RETURN NEW; END'",
        "CREATE TRIGGER louder BEFORE INSERT ON price_bars FOR EACH ROW EXECUTE FUNCTION louder()",
    )
    before = contents(with_bars)
    comment = "SELECT obj_description('price_bars'::regclass, 'pg_class')"
    for switch in (partitioning.partition, partitioning.unpartition):
        switch()
        assert contents(with_bars) == before
        assert query_rows(with_bars, comment) == [("bars: all",)]
    insert(with_bars, "2024-06-11")
    assert query_rows(with_bars, "SELECT v FROM price_bars ORDER BY ts DESC LIMIT 1") == [(99.0,)]


NOT_CARRIED = {
    "CREATE VIEW closes AS SELECT c FROM price_bars": "the view closes",
    "CREATE MATERIALIZED VIEW years AS SELECT count(*) FROM features": "the view years",
    "CREATE POLICY mine ON price_bars USING (true)": "the policy mine",
    "ALTER TABLE features ENABLE ROW LEVEL SECURITY": "row-level security",
    "CREATE PUBLICATION copies FOR TABLE price_bars": "the publication copies",
    "CREATE TABLE notes (bar uuid CONSTRAINT bar REFERENCES price_bars)": "the foreign key bar of notes",
}


@pytest.mark.parametrize("statement", NOT_CARRIED)
@pytest.mark.filterwarnings("ignore:.*wal_level")
def test_objects_that_would_be_lost_prevent_partitioning(with_bars: Engine, statement: str) -> None:
    execute(with_bars, statement)
    before = fingerprint(with_bars)
    with pytest.raises(RuntimeError, match=f"has {NOT_CARRIED[statement]}, which would be lost"):
        partitioning.partition()
    assert fingerprint(with_bars) == before


def test_an_aborted_change_leaves_everything_unchanged(with_bars: Engine) -> None:
    before = fingerprint(with_bars)
    with with_bars.connect() as busy, ThreadPoolExecutor() as pool:
        busy.execute(text("SELECT FROM features"))
        change = pool.submit(partitioning.partition)
        while not query_rows(with_bars, CANCEL_WAITING):
            assert not change.done()
        with pytest.raises(DatabaseError, match="stay as they are: canceling statement"):
            change.result()
    assert fingerprint(with_bars) == before


def test_duplicate_ids_prevent_unpartitioning(partitioned: Engine) -> None:
    execute(partitioned, "UPDATE price_bars SET id = '00000000-0000-0000-0000-000000000001'")
    with pytest.raises(DatabaseError, match="pk_price_bars"):
        partitioning.unpartition()
    assert len(query_rows(partitioned, ROW_PARTITIONS)) == 3


def test_an_older_schema_raises_an_error(database: Engine) -> None:
    migrate.upgrade("0001")
    with pytest.raises(DatabaseError, match="run `boursomatic db upgrade`"):
        partitioning.partition()


# --- further years


@pytest.mark.calendar
def test_a_row_without_a_partition_goes_to_the_default_until_a_second_run_creates_one(partitioned: Engine) -> None:
    year = this_year()
    for ts in (f"{year + 2}-01-01", f"{year + 3}-12-31 23:00", "2019-05-01"):
        insert(partitioned, ts)
    before = contents(partitioned)
    late = [place for place, _ in query_rows(partitioned, ROW_PARTITIONS)]
    assert late.count("partitions.price_bars_default") == 3
    partitioning.partition()
    assert contents(partitioned) == before
    assert query_rows(partitioned, ROW_PARTITIONS) == [
        (f"partitions.price_bars_{ts.year}", ts) for _, ts in query_rows(partitioned, ROW_PARTITIONS)
    ]
    assert ("partitions.price_bars_2020",) in query_rows(partitioned, PARTITIONS.format("price_bars"))


@pytest.mark.parametrize("ts", ["0001-01-01", "9999-12-31", "infinity", "-infinity"])
def test_an_impossible_year_gets_no_partition(partitioned: Engine, ts: str) -> None:
    insert(partitioned, ts)
    partitioning.partition()
    place = f"SELECT tableoid::regclass::text FROM price_bars WHERE ts = '{ts}'"
    assert query_rows(partitioned, place) == [("partitions.price_bars_default",)]
    assert len(query_rows(partitioned, PARTITIONS.format("price_bars"))) < 75


def test_the_partition_of_a_year_can_be_dropped_or_detached(partitioned: Engine) -> None:
    execute(
        partitioned,
        "DROP TABLE partitions.price_bars_2022",
        "ALTER TABLE price_bars DETACH PARTITION partitions.price_bars_2023",
    )
    assert [place for place, _ in query_rows(partitioned, ROW_PARTITIONS)] == ["partitions.price_bars_2024"]
    partitioning.partition()
    partitioning.unpartition()
    assert query_rows(partitioned, "SELECT count(*) FROM partitions.price_bars_2023") == [(1,)]


# --- the platform on partitioned tables


def test_slices_are_inserted_read_corrected_and_left_unchanged(partitioned: Engine) -> None:
    assert write(partitioned, TUESDAY) == MergeCounts(inserted=2)
    versions = "SELECT ctid, xmin, id, created_at FROM price_bars ORDER BY id"
    before = query_rows(partitioned, versions)
    assert write(partitioned, TUESDAY) == MergeCounts(unchanged=2)
    assert query_rows(partitioned, versions) == before
    assert write(partitioned, TUESDAY, close=20.0) == MergeCounts(changed=2)
    assert write(partitioned, MONDAY) == MergeCounts(inserted=1, changed=1)
    assert write(partitioned, "2021-06-10") == MergeCounts(inserted=2)


def test_a_duplicate_bar_cannot_be_inserted(partitioned: Engine) -> None:
    with pytest.raises(IntegrityError, match="instrument_id_ts_interval"):
        insert(partitioned, MONDAY)


def test_a_run_of_all_assets_changes_nothing(filled: Engine) -> None:
    from worlds import platform as platform_of

    before = platform_of.contents(filled)
    partitioning.partition()
    poured = platform_of.contents(filled)
    platform_of.bring_up_to_date(start=platform_of.LAST, markets=("US",))
    assert platform_of.contents(filled) == poured
    assert {table: len(rows) for table, rows in poured.items()} == {t: len(rows) for t, rows in before.items()}
    checked = platform_of.check("one_bar_per_instrument_and_session")
    assert checked.passed and checked.metadata["index_at_work"].value is True


def test_the_commands_work_on_partitioned_tables(partitioned: Engine, dagster_instance: object) -> None:
    def output_of(*words: str) -> str:
        result = CliRunner().invoke(main, list(words))
        assert result.exit_code == 0, result.output
        return result.output

    before = this_year()
    assert output_of("db", "partition").startswith(
        tuple(f"price_bars: partitioned, {year - 2022 + 3} partitions\n" for year in (before, this_year()))
    )
    assert "price_bars" in output_of("status")
    assert "at revision" in output_of("doctor")
    assert output_of("db", "unpartition") == "price_bars: plain\nfeatures: plain\n"


def test_alembic_finds_nothing_to_migrate(partitioned: Engine) -> None:
    command.check(Config(migrate.CONFIG))


def test_downgrade_and_upgrade_work_on_partitioned_tables(partitioned: Engine) -> None:
    before = contents(partitioned)
    migrate.downgrade("0001", lose=True)
    migrate.upgrade()
    assert contents(partitioned) == before
    migrate.downgrade("base")
    migrate.upgrade()
    assert partitioning.status() == "price_bars: plain\nfeatures: plain"
    partitioning.partition()


# --- readers meanwhile: rows of a new table are invisible to a snapshot that is older than it


def slices() -> int:
    return read_slice(GRAINS["features"], slice_of("US", MONDAY)).height


def known_bars() -> int:
    return revisions.read_bars(slice_of("US", MONDAY)).height


def whole_table() -> int:
    return read_table(GRAINS["features"].table).height


def checks() -> int:
    with open_snapshot() as connection:
        return int(
            connection.scalar(text("SELECT count(*) FROM price_bars, (SELECT 1 FROM instruments LIMIT 1)")) or 0
        )


def backup() -> int:
    with dumps.snapshot(database_url("owner")) as snapshot:
        return snapshot.row_counts()["price_bars"]


def summary() -> int:
    refreshing.refresh("coverage_by_month")
    with database.engine().connect() as connection:
        return int(connection.scalar(text("SELECT sum(bars) FROM coverage_by_month")) or 0)


@pytest.mark.parametrize("read", [slices, known_bars, whole_table, checks, backup, summary])
def test_who_reads_while_a_table_is_rebuilt_sees_its_rows(with_bars: Engine, read: Callable[[], int]) -> None:
    rows = read()
    with ThreadPoolExecutor(1) as pool, with_bars.begin() as rebuilding:
        rebuilding.exec_driver_sql(f"LOCK TABLE {', '.join(TABLES)}")
        found = pool.submit(read)
        wait_until_one_waits(with_bars)
        with Operations.context(MigrationContext.configure(rebuilding)):
            load_python_file(str(partitioning.OPTIONAL_MIGRATIONS), "partitioned.py").upgrade()
        rebuilding.commit()
        assert found.result(30) == rows > 0


def wait_until_one_waits(engine: Engine) -> None:
    """Wait until a session waits for a table."""
    of_this = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    query = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND {of_this}"
    until = time.monotonic() + 20
    while query_rows(engine, query) == [(0,)]:
        assert time.monotonic() < until
        time.sleep(0.01)
