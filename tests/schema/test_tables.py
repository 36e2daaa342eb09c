"""The newest schema is the specification with its extensions, and it rejects invalid rows."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import Connection, Engine, UniqueConstraint, insert, text
from sqlalchemy import Table as SqlTable
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel
from worlds import catalogue, specification
from worlds.rows import FRIDAY, MODELS, one_of_each

from boursomatic_assets.schema import Feature, Instrument, ModelVersion, Table

TABLES = Table.metadata.sorted_tables

BAD_VALUES = [
    ("user_settings", "preferred_profile = 'reckless'", "ck_user_settings_preferred_profile"),
    ("login_attempts", "kind = 'door'", "ck_login_attempts_kind"),
    ("login_attempts", "failures = -1", "ck_login_attempts_failures"),
    ("audit_entries", "table_name = 'users'", "ck_audit_entries_table_name"),
    ("audit_entries", "kind = 'deleted'", "ck_audit_entries_kind"),
    ("audit_entries", "digest = NULL", "ck_audit_entries_sealed"),
    ("instruments", "market_cap_bucket = 'giant'", "ck_instruments_market_cap_bucket"),
    ("instruments", "pe_bucket = 'absurd'", "ck_instruments_pe_bucket"),
    *(
        ("price_bars", f"{price} = {bad}", f"ck_price_bars_{price}")
        for price in "ohlc"
        for bad in ("0", "-1", "'NaN'", "'Infinity'", "'-Infinity'")
    ),
    *(("price_bars", f"v = {bad}", "ck_price_bars_v") for bad in ("-1", "'NaN'", "'Infinity'")),
    ("price_bars", "h = 10.5", "ck_price_bars_high_is_highest"),
    ("price_bars", "l = 10.5", "ck_price_bars_low_is_lowest"),
    *(
        ("price_bars", f"interval = '{bad}'", "ck_price_bars_interval")
        for bad in ("", "hourly", "0m", "m", "15", "15 m", "15M", "1h\n", "daily1")
    ),
    ("recommendations", "profile = 'reckless'", "ck_recommendations_profile"),
    ("recommendations", "label = 'buy'", "ck_recommendations_label"),
    *(
        ("recommendations", f"confidence = {bad}", "ck_recommendations_confidence")
        for bad in ("-0.01", "1.01", "'NaN'")
    ),
    *(
        ("recommendations", f"{price} = {bad}", f"ck_recommendations_{price}")
        for price in ("stop_loss", "take_profit")
        for bad in ("0", "'NaN'", "'Infinity'")
    ),
    ("recommendations", "view = 'perhaps'", "ck_recommendations_view"),
    ("recommendations", "horizon_days = 0", "ck_recommendations_horizon_days"),
    ("recommendations", "superseded_at = now()", "ck_recommendations_superseded_is_inactive"),
    ("delivered_sessions", "merged = 1", "ck_delivered_sessions_accounted"),
    ("model_decisions", "kind = 'liked'", "ck_model_decisions_kind"),
    ("model_decisions", "kind = 'withdrawn'", "ck_model_decisions_speaker"),
    ("model_decisions", "speaker_id = NULL", "ck_model_decisions_speaker"),
    ("recommendation_expiries", "reason = 'bored'", "ck_recommendation_expiries_reason"),
    ("alerts", "kind = 'shout'", "ck_alerts_kind"),
    ("alerts", "failures = -1", "ck_alerts_failures"),
    ("archive_files", "last_session = first_session - interval '1 day'", "ck_archive_files_range"),
    ("archive_files", "size = 0", "ck_archive_files_counts"),
    ("run_claims", "epoch = -1", "ck_run_claims_epoch"),
    ("track_record", "view = 'perhaps'", "ck_track_record_view"),
    ("model_versions", "revision = 0", "ck_model_versions_revision"),
    ("track_record", "profile = 'reckless'", "ck_track_record_profile"),
    ("track_record", "label = 'buy'", "ck_track_record_label"),
    ("track_record", "outcome = 'buy'", "ck_track_record_outcome"),
    ("track_record", "first_touched = 'floor'", "ck_track_record_first_touched"),
    ("track_record", "unscored = 'lost'", "ck_track_record_unscored"),
    ("track_record", "touched_on = NULL", "ck_track_record_touched_on"),
]


@pytest.fixture
def filled(migrated: Engine) -> Iterator[Connection]:
    """A connection to a database with one good row in every table."""
    with Session(migrated) as session:
        for row in one_of_each():
            session.add(row)
            session.flush()
        session.commit()
    with migrated.connect() as connection:
        yield connection


def refused_by(connection: Connection, statement: str) -> str | None:
    """Return the name of the constraint that refuses a statement."""
    with pytest.raises(IntegrityError) as refusal:
        connection.execute(text(statement))
    assert isinstance(refusal.value.orig, psycopg.Error)
    return refusal.value.orig.diag.constraint_name


def keep_only_check(connection: Connection, table: str, check: str) -> None:
    """Drop all other checks of a table, so that only this one can raise the error."""
    for other in {name for of, _, name in BAD_VALUES if of == table} - {check}:
        connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {other}"))


@pytest.mark.plain
def test_every_column_is_the_specifications_or_a_named_extension(migrated: Engine) -> None:
    expected = specification.columns(specification.TABLES) | specification.columns(specification.EXTENSIONS)
    with migrated.connect() as connection:
        assert catalogue.columns(connection) == expected


@pytest.mark.plain
def test_every_index_is_the_specifications_or_a_named_extension(migrated: Engine) -> None:
    base, added = specification.indexes(specification.TABLES), specification.indexes(specification.EXTENSIONS)
    expected = {table: base.get(table, set()) | added.get(table, set()) for table in base | added}
    with migrated.connect() as connection:
        assert catalogue.indexes(connection) == {table: lines for table, lines in expected.items() if lines}


@pytest.mark.plain
def test_the_migrated_database_is_the_models_to_the_last_detail(migrated: Engine) -> None:
    with migrated.begin() as connection:
        by_migrations = catalogue.fingerprint(connection)
        connection.execute(text("DROP VIEW current_advice, user_recommendations, account_counts"))
        connection.execute(
            text("DROP MATERIALIZED VIEW advice_by_sector, track_record_by_month, coverage_by_month")
        )
        Table.metadata.drop_all(connection)
        Table.metadata.create_all(connection)
        assert by_migrations == catalogue.fingerprint(connection)
        assert len(by_migrations) > 150


def test_every_invalid_value_is_rejected(filled: Connection, subtests: pytest.Subtests) -> None:
    for table, change, check in BAD_VALUES:
        with subtests.test(f"{table}: {change}"), filled.begin_nested() as attempt:
            keep_only_check(filled, table, check)
            assert refused_by(filled, f"UPDATE {table} SET {change}") == check
            attempt.rollback()


def test_every_check_has_an_invalid_value_in_these_tests(migrated: Engine) -> None:
    checks = "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
    with migrated.connect() as connection:
        assert set(connection.scalars(text(checks))) == {check for _, _, check in BAD_VALUES}


def test_values_that_may_be_missing_may_be_null(filled: Connection) -> None:
    filled.execute(text("UPDATE user_settings SET preferred_profile = NULL"))
    filled.execute(text("UPDATE instruments SET market_cap_bucket = NULL, pe_bucket = NULL"))
    filled.execute(text("UPDATE recommendations SET stop_loss = NULL, take_profit = NULL, horizon_days = NULL"))


def test_only_one_model_version_is_ever_active(filled: Connection) -> None:
    second = """
        INSERT INTO model_versions (id, version, params_hash, metrics_json, is_active, as_of)
        VALUES (gen_random_uuid(), '2024-02', '0', '{}', true, '2024-02-01')
    """
    assert refused_by(filled, second) == "uq_model_versions_active"


def test_a_due_date_has_one_model_version_of_each_revision(filled: Connection) -> None:
    again = """
        INSERT INTO model_versions (id, version, params_hash, metrics_json, as_of, revision)
        SELECT gen_random_uuid(), 'again ' || {0}, '0', '{{}}', min(as_of), {0} FROM model_versions
    """
    filled.execute(text(again.format(2)))
    assert refused_by(filled, again.format("1")) == "uq_model_versions_as_of_revision"


def test_the_gate_decides_once_about_a_version_and_persons_as_often_as_they_want(filled: Connection) -> None:
    again = """
        INSERT INTO model_decisions (id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by)
        SELECT gen_random_uuid(), id, now(), '{}', id, 'again', '{{}}', '{}' FROM model_versions
    """
    for _ in range(2):
        filled.execute(text(again.format("forced", "ann")))
    assert refused_by(filled, again.format("promoted", "gate")) == "uq_model_decisions_gate"


def test_one_recommendation_of_a_session_is_current_and_any_number_are_kept(filled: Connection) -> None:
    again = """
        INSERT INTO recommendations
            (id, instrument_id, model_version_id, profile, label, confidence, features_snapshot, as_of)
        SELECT gen_random_uuid(), instrument_id, model_version_id, profile, 'SELL', 1, '{}', as_of
        FROM recommendations LIMIT 1
    """
    replace = "UPDATE recommendations SET is_active = false, superseded_at = now() WHERE superseded_at IS NULL"
    for _ in range(3):
        filled.execute(text(replace))
        filled.execute(text(again))
    assert filled.scalar(text("SELECT count(*) FROM recommendations")) == 4
    assert refused_by(filled, again) == "uq_recommendations_current"


def test_an_instrument_is_one_symbol_on_one_exchange(filled: Connection) -> None:
    again = "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'AAPL', 'NASDAQ')"
    assert refused_by(filled, again) == "uq_instruments_symbol_exchange"


def test_the_database_fills_in_times_in_utc(filled: Connection) -> None:
    created = filled.scalars(text("SELECT created_at FROM features")).one()
    assert abs(created - datetime.now(UTC).replace(tzinfo=None)).total_seconds() < 60


def test_missing_json_is_null_and_refused_where_it_is_required(migrated: Engine) -> None:
    apple = Instrument(symbol="AAPL", exchange="NASDAQ")
    with Session(migrated) as session:
        session.add(apple)
        session.flush()
        session.execute(insert(Feature).values(instrument_id=apple.id, ts=FRIDAY, additional_features=None))
        assert session.scalar(text("SELECT additional_features IS NULL FROM features")) is True
        unmeasured = insert(ModelVersion).values(version="v1", params_hash="0", metrics_json=None, as_of=FRIDAY)
        with pytest.raises(IntegrityError, match="metrics_json"):
            session.execute(unmeasured)


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_the_key_of_a_table_is_unique_in_the_database(table: SqlTable) -> None:
    keys = [index.columns.keys() for index in table.indexes if index.unique]
    keys += [rule.columns.keys() for rule in table.constraints if isinstance(rule, UniqueConstraint)]
    keys += [table.primary_key.columns.keys()]
    assert list(table.info["key"]) in keys


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__tablename__)
def test_every_table_and_column_has_a_description(model: type[SQLModel]) -> None:
    assert model.__doc__ and model.__doc__.strip()
    assert all(field.description for field in model.model_fields.values())


def test_no_table_is_left_out_of_these_tests() -> None:
    assert {model.__tablename__ for model in MODELS} == {table.name for table in TABLES}


@pytest.mark.slow
def test_the_models_need_neither_a_driver_nor_an_orchestrator() -> None:
    loaded = "import sys, boursomatic_assets.schema; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert {"dagster", "psycopg", "psycopg2", "polars"}.isdisjoint(output.split())
