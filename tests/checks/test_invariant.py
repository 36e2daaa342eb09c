"""What invariants rely on: one snapshot, and unique indexes as the models declare them, whatever their names."""

import pytest
from sqlalchemy import Engine, text
from worlds.platform import execute

from boursomatic_assets.checks import invariant
from boursomatic_assets.checks.findings.counting import check_unique_index

CURRENT, ONE_ACTIVE = "uq_recommendations_current", "uq_model_versions_active"
COLUMNS = "instrument_id, profile, as_of"
CURRENT_ROWS = "WHERE superseded_at IS NULL"

DIFFERENT_INDEXES = {
    "on other columns": (CURRENT, f"UNIQUE INDEX {{}} ON recommendations ({COLUMNS}, id) {CURRENT_ROWS}"),
    "on columns in another order": (
        CURRENT,
        f"UNIQUE INDEX {{}} ON recommendations (as_of, profile, id) {CURRENT_ROWS}",
    ),
    "on another table": (CURRENT, "UNIQUE INDEX {} ON features (instrument_id, ts)"),
    "on fewer rows": (CURRENT, f"UNIQUE INDEX {{}} ON recommendations ({COLUMNS}) {CURRENT_ROWS} AND is_active"),
    "on all rows": (CURRENT, f"UNIQUE INDEX {{}} ON recommendations ({COLUMNS})"),
    "not unique": (CURRENT, f"INDEX {{}} ON recommendations ({COLUMNS}) {CURRENT_ROWS}"),
    "on an expression": (
        CURRENT,
        f"UNIQUE INDEX {{}} ON recommendations ({COLUMNS}, (label || '')) {CURRENT_ROWS}",
    ),
    "on the inactive": (ONE_ACTIVE, "UNIQUE INDEX {} ON model_versions (is_active) WHERE NOT is_active"),
    "on some rows of what is unique in all": (
        "idx_features_instrument_ts",
        "UNIQUE INDEX {} ON features (instrument_id, ts) WHERE ts > '2024-01-01'",
    ),
}
DECLARED = (
    CURRENT,
    ONE_ACTIVE,
    "idx_features_instrument_ts",
    "idx_price_bars_instrument_ts_interval",
    "uq_instruments_symbol_exchange",
    "uq_model_versions_version",
    "uq_users_email",
    "pk_track_record",
)


def index_errors(engine: Engine, index: str) -> int:
    with engine.connect() as connection:
        return check_unique_index(connection, index).errors


@pytest.mark.parametrize("index", DECLARED)
def test_an_index_as_the_models_declare_it_is_in_force(migrated: Engine, index: str) -> None:
    assert index_errors(migrated, index) == 0


@pytest.mark.parametrize(("index", "definition"), DIFFERENT_INDEXES.values(), ids=list(DIFFERENT_INDEXES))
def test_a_different_index_of_the_same_name_is_an_error(migrated: Engine, index: str, definition: str) -> None:
    execute(migrated, f"DROP INDEX {index}", f"CREATE {definition.format(index)}")
    assert index_errors(migrated, index) == 1


def test_an_index_whose_build_failed_is_an_error(migrated: Engine) -> None:
    execute(
        migrated,
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{CURRENT}'::regclass",
    )
    assert index_errors(migrated, CURRENT) == 1


def test_an_undeclared_index_is_named(migrated: Engine) -> None:
    with pytest.raises(ValueError, match="no model declares 'uq_nothing'"):
        index_errors(migrated, "uq_nothing")


def test_a_check_reads_one_snapshot_of_the_tables(migrated: Engine) -> None:
    listed = text("SELECT count(*) FROM instruments")
    with invariant.open_snapshot() as connection:
        before = connection.scalar(listed)
        execute(migrated, "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'A', 'NYSE')")
        assert connection.scalar(listed) == before == 0
