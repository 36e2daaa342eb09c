"""The seven tables of the specification.

With them: the specification's "valid values" as CHECKs (a null passes where the column takes nulls), a
confidence between 0 and 1, and at most one active model version.

Revision ID: 0001
Revises: nothing
Create Date: 2026-11-23
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None

TABLES = (
    "users",
    "user_settings",
    "instruments",
    "price_bars",
    "features",
    "model_versions",
    "recommendations",
)
PROFILES = "'conservative', 'moderate', 'aggressive'"

# _now() as a TIMESTAMP is the session's local time, so SQL by hand must find UTC too. Only the database's
# owner may set that; for anybody else the connections of this code set it for themselves. Two sessions that
# alter one database at once fail, hence the lock, which `database.create_databases` takes too.
USE_UTC = """
DO $$ BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('boursomatic set to utc'));
    EXECUTE format('ALTER DATABASE %I SET timezone = ''UTC''', current_database());
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'the time zone of database % stays as it is: only its owner may set it', current_database();
END $$
"""


def upgrade() -> None:
    """Create the tables, and set the database to UTC where the role may do so."""
    op.execute(USE_UTC)
    _create_users()
    _create_user_settings()
    _create_instruments()
    _create_price_bars()
    _create_features()
    _create_model_versions()
    _create_recommendations()


def downgrade() -> None:
    """Drop the tables with all their rows; the database keeps its time zone."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_users() -> None:
    _create(
        "users",
        _required("email", sa.String(255)),
        _required("password_hash", sa.String(255)),
        _flag("is_admin", "false"),
        _flag("is_deleted", "false"),
        _now("created_at"),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        indexed=("email", "is_deleted"),
    )


def _create_user_settings() -> None:
    _create(
        "user_settings",
        _required("user_id", sa.Uuid()),
        _flag("risk_consent_accepted", "false"),
        sa.Column("risk_consent_accepted_at", sa.DateTime()),
        sa.Column("preferred_profile", sa.String(50), server_default="moderate"),
        _now("created_at"),
        _now("updated_at"),
        _references("user_settings", "user_id", "users"),
        sa.UniqueConstraint("user_id", name=op.f("uq_user_settings_user_id")),
        _one_of("user_settings", "preferred_profile", PROFILES),
        indexed=("user_id",),
    )


def _create_instruments() -> None:
    _create(
        "instruments",
        _required("symbol", sa.String(50)),
        _required("exchange", sa.String(50)),
        sa.Column("name", sa.String(255)),
        sa.Column("sector", sa.String(100)),
        sa.Column("market_cap_bucket", sa.String(50)),
        sa.Column("pe_bucket", sa.String(50)),
        _flag("is_active", "true"),
        _now("created_at"),
        _now("updated_at"),
        _one_of("instruments", "market_cap_bucket", "'small', 'mid', 'large'"),
        _one_of("instruments", "pe_bucket", "'low', 'medium', 'high'"),
        indexed=("symbol", "exchange", "is_active"),
    )


def _create_price_bars() -> None:
    _create(
        "price_bars",
        _required("instrument_id", sa.Uuid()),
        _required("ts", sa.DateTime()),
        *(_required(column, sa.Float()) for column in "ohlcv"),
        _required("interval", sa.String(10)),
        _now("created_at"),
        _references("price_bars", "instrument_id", "instruments"),
        indexed=("instrument_id", "ts", "interval"),
    )
    op.create_index(
        "idx_price_bars_instrument_ts_interval",
        "price_bars",
        ["instrument_id", "ts", "interval"],
        unique=True,
    )


def _create_features() -> None:
    numbers = (
        "ret_1d", "ret_5d", "ret_20d", "rsi_14", "momentum_5d", "vol_20d", "atr_14", "volume_zscore"
    )  # fmt: skip
    _create(
        "features",
        _required("instrument_id", sa.Uuid()),
        _required("ts", sa.DateTime()),
        *(sa.Column(number, sa.Float()) for number in numbers),
        sa.Column("additional_features", sa.JSON()),
        _now("created_at"),
        _references("features", "instrument_id", "instruments"),
        indexed=("instrument_id", "ts"),
    )
    op.create_index("idx_features_instrument_ts", "features", ["instrument_id", "ts"], unique=True)


def _create_model_versions() -> None:
    _create(
        "model_versions",
        _required("version", sa.String(100)),
        _now("trained_at"),
        _required("params_hash", sa.String(64)),
        _required("metrics_json", sa.JSON()),
        sa.Column("model_path", sa.String(500)),
        _flag("is_active", "false"),
        _now("created_at"),
        sa.UniqueConstraint("version", name=op.f("uq_model_versions_version")),
        indexed=("version", "is_active"),
    )
    op.create_index(
        "uq_model_versions_active",
        "model_versions",
        ["is_active"],
        unique=True,
        postgresql_where=sa.text("is_active"),
    )


def _create_recommendations() -> None:
    table = "recommendations"
    _create(
        table,
        _required("instrument_id", sa.Uuid()),
        _required("model_version_id", sa.Uuid()),
        _required("profile", sa.String(50)),
        _required("label", sa.String(10)),
        _required("confidence", sa.Float()),
        sa.Column("expected_return_pct", sa.Float()),
        sa.Column("horizon_days", sa.Integer()),
        sa.Column("stop_loss", sa.Float()),
        sa.Column("take_profit", sa.Float()),
        sa.Column("justification", sa.Text()),
        _required("features_snapshot", sa.JSON()),
        _now("generated_at"),
        _flag("is_active", "true"),
        _references(table, "instrument_id", "instruments"),
        _references(table, "model_version_id", "model_versions"),
        _one_of(table, "profile", PROFILES),
        _one_of(table, "label", "'BUY', 'HOLD', 'SELL'"),
        sa.CheckConstraint("confidence >= 0 AND confidence <= 1", name=op.f("ck_recommendations_confidence")),
        indexed=("instrument_id", "model_version_id", "profile", "label", "generated_at", "is_active"),
    )
    op.create_index("idx_recommendations_active_generated", table, ["is_active", "generated_at"])
    op.create_index("idx_recommendations_instrument_profile", table, ["instrument_id", "profile", "generated_at"])


def _create(table: str, *parts: SchemaItem, indexed: Sequence[str]) -> None:
    key = sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}"))
    op.create_table(table, _required("id", sa.Uuid()), *parts, key)
    for column in indexed:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _required(name: str, kind: TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _flag(name: str, default: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.text(default), nullable=False)


def _now(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(), server_default=sa.func.now(), nullable=False)


def _references(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def _one_of(table: str, column: str, values: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({values})", name=op.f(f"ck_{table}_{column}"))
