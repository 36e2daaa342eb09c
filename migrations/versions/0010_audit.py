"""An audit that proves: chains of digests, rows that never change, and a log of who did what.

- `audit_entries`, `audit_heads`: each statement that writes recommendations, model versions or decisions adds the
  digests of its rows to a chain; a row that is altered, removed or added by hand is found.
- `audit_log`: who changed accounts, roles, or the active model.
- triggers that refuse changes of what was published, for every role but the owner.
- `delivered_files` becomes a log: a row for each change of what is said of a file, and none is ever changed.

Rows that are there already enter the chains, by month. A later migration that adds a column to one of these tables
makes its trigger again with the new list of columns: entries name the columns that they cover, so older ones
stay valid.

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-29
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

from boursomatic_assets.database.roles import grants

revision = "0010"
down_revision = "0009"

LOSES = {
    "entries of the chains of digests": "SELECT count(*) FROM audit_entries",
    "entries of the audit log": "SELECT count(*) FROM audit_log",
    "former results of delivered files": (
        "SELECT count(*) FROM delivered_files f WHERE gone OR EXISTS (SELECT FROM delivered_files n"
        " WHERE n.source = f.source AND n.file = f.file AND n.read_at > f.read_at)"
    ),
}
"""What an upgrade does not find again after a downgrade: the chains begin anew, with the rows of then."""

US = "i.exchange IN ('NYSE', 'NASDAQ', 'NYSEMKT', 'US')"
MARKET = f"CASE WHEN {US} THEN 'US' ELSE coalesce(i.exchange, 'unknown') END"
INSTRUMENT = "LEFT JOIN instruments i ON i.id = r.instrument_id"

CHAINS = {
    "recommendations": (
        "id, instrument_id, model_version_id, profile, label, confidence, expected_return_pct, horizon_days,"
        " stop_loss, take_profit, justification, features_snapshot, generated_at, as_of",
        "as_of",
    ),
    "model_versions": (
        "id, version, trained_at, params_hash, metrics_json, model_path, created_at, as_of",
        "as_of",
    ),
    "model_decisions": (
        "id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by, decided_at",
        "decided_at",
    ),
}
"""For each chained table the columns that its digests cover, and the time of a row."""

NEVER_CHANGED = ("model_decisions", "price_bar_revisions", "delivered_files", "audit_log", "audit_entries")

OWNERS_RIGHTS = """LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET client_encoding = 'UTF8'"""
"""A row's canonical form is PostgreSQL's binary one, which depends on no setting of a session but the encoding."""

CONTENT = """
CREATE FUNCTION audit_content(
    table_name text, market text, kind text, columns text[], row_ids uuid[], times timestamp[], digests bytea[]
) RETURNS bytea LANGUAGE sql STABLE SET search_path = pg_catalog SET client_encoding = 'UTF8'
AS $$ SELECT sha256(record_send(ROW(table_name, market, kind, columns, row_ids, times, digests))) $$
"""

ADD_ENTRIES = """
INSERT INTO audit_entries (id, table_name, market, kind, columns, row_ids, times, digests, content)
SELECT gen_random_uuid(), {table}, market, {kind}, covered, ids, times, digests,
    audit_content({table}, market, {kind}, covered, ids, times, digests)
FROM (
    SELECT market, string_to_array({columns}, ', ') AS covered,
        array_agg(id) AS ids, array_agg(time) AS times, array_agg(digest) AS digests
    FROM (
        SELECT r.id, {market} AS market, r.{time} AS time,
            sha256(record_send(ROW({covered}))) AS digest
        FROM {rows}
    ) digested GROUP BY {grouping}
) entries
"""
"""Inserts the entries of some rows; of the parts in braces those of the table are literals of this file."""

SEAL = f"""
CREATE FUNCTION seal_audit_entry() RETURNS trigger {OWNERS_RIGHTS} AS $$
DECLARE
    entry record;
    head record;
BEGIN
    -- The first of a transaction's entries seals all of them, so that heads are locked in one order.
    FOR entry IN
        SELECT e.id, e.table_name, e.market, e.content FROM audit_entries e
        WHERE e.number IS NULL AND e.transaction = NEW.transaction ORDER BY e.table_name, e.market, e.created_at
    LOOP
        INSERT INTO audit_heads (id, table_name, market, number, digest)
            VALUES (gen_random_uuid(), entry.table_name, entry.market, 0, '') ON CONFLICT DO NOTHING;
        SELECT h.id, h.number + 1 AS number, h.digest INTO head FROM audit_heads h
            WHERE h.table_name = entry.table_name AND h.market = entry.market FOR UPDATE;
        head.digest := sha256(head.digest || entry.content || convert_to(head.number::text, 'UTF8'));
        UPDATE audit_entries SET number = head.number, digest = head.digest WHERE id = entry.id;
        UPDATE audit_heads SET number = head.number, digest = head.digest, changed_at = clock_timestamp()
            WHERE id = head.id;
    END LOOP;
    RETURN NULL;
END $$
"""

REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RAISE EXCEPTION '% of % is refused: its rows are never changed', lower(TG_OP), TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$
"""

LOG = f"""
CREATE FUNCTION log_change() RETURNS trigger {OWNERS_RIGHTS} AS $$
DECLARE
    acted_for text := nullif(current_setting('app.user_id', true), '');
    actions text[] := '{{}}';
    subject uuid;
BEGIN
    IF TG_TABLE_NAME = 'users' THEN
        subject := coalesce(NEW.id, OLD.id);
        actions := CASE TG_OP WHEN 'INSERT' THEN ARRAY['created'] WHEN 'DELETE' THEN ARRAY['deleted'] ELSE
            array_remove(ARRAY[
                CASE WHEN NEW.is_deleted AND NOT OLD.is_deleted THEN 'deactivated' END,
                CASE WHEN OLD.is_deleted AND NOT NEW.is_deleted THEN 'restored' END,
                CASE WHEN NEW.is_admin AND NOT OLD.is_admin THEN 'made an administrator' END,
                CASE WHEN OLD.is_admin AND NOT NEW.is_admin THEN 'no administrator any more' END,
                CASE WHEN NEW.email <> OLD.email THEN 'e-mail address changed' END,
                CASE WHEN NEW.password_hash <> OLD.password_hash THEN 'password hash changed' END
            ], NULL) END;
    ELSIF TG_TABLE_NAME = 'user_settings' THEN
        subject := coalesce(NEW.user_id, OLD.user_id);
        actions := CASE TG_OP WHEN 'DELETE' THEN ARRAY['settings deleted'] ELSE array_remove(ARRAY[
            CASE WHEN TG_OP = 'INSERT' THEN 'settings created' END,
            CASE WHEN NEW.risk_consent_accepted AND (TG_OP = 'INSERT' OR NOT OLD.risk_consent_accepted)
                THEN 'consent given' END,
            CASE WHEN TG_OP = 'UPDATE' AND OLD.risk_consent_accepted AND NOT NEW.risk_consent_accepted
                THEN 'consent withdrawn' END,
            CASE WHEN TG_OP = 'UPDATE' AND NEW.preferred_profile IS DISTINCT FROM OLD.preferred_profile
                THEN 'profile changed to ' || coalesce(NEW.preferred_profile, 'none') END
        ], NULL) END;
    ELSE
        subject := NEW.id;
        actions := ARRAY[CASE WHEN NEW.is_active THEN 'activated' ELSE 'no longer active' END];
    END IF;
    INSERT INTO audit_log (id, actor, subject, subject_id, action)
    SELECT gen_random_uuid(), left(concat_ws(' for ', session_user, acted_for), 255), TG_TABLE_NAME, subject,
        action
    FROM unnest(actions) action;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Add tables and triggers, and put the rows that are there into the chains."""
    _create_tables()
    _make_files_a_log()
    for function in (CONTENT, SEAL, REFUSE, LOG):
        op.execute(function)
    for owners in ("seal_audit_entry()", "log_change()"):
        op.execute(f"REVOKE ALL ON FUNCTION {owners} FROM PUBLIC")
    op.execute(
        "CREATE CONSTRAINT TRIGGER seal AFTER INSERT ON audit_entries DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION seal_audit_entry()"
    )
    for table in CHAINS:
        for statement in _triggers(table):
            op.execute(statement)
    op.execute(_restart())
    op.execute("REVOKE ALL ON FUNCTION restart_audit_chains() FROM PUBLIC")
    op.execute("SELECT restart_audit_chains()")
    for table in NEVER_CHANGED:
        op.execute(
            f"CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for table in ("recommendations", "model_versions"):
        op.execute(
            f"CREATE TRIGGER never_changed BEFORE DELETE OR TRUNCATE OR UPDATE OF {CHAINS[table][0]} ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for table in ("users", "user_settings"):
        op.execute(
            f"CREATE TRIGGER logged AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION log_change()"
        )
    op.execute(
        "CREATE TRIGGER logged AFTER UPDATE OF is_active ON model_versions FOR EACH ROW"
        " WHEN (OLD.is_active <> NEW.is_active) EXECUTE FUNCTION log_change()"
    )
    if not context.is_offline_mode():  # a printed migration ends with all grants, see `migrations/env.py`
        grants.apply(op.get_bind())


def _create_tables() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("table_name", sa.String(50), nullable=False),
        sa.Column("market", sa.String(50), nullable=False),
        sa.Column("number", sa.BigInteger()),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("columns", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("row_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("times", postgresql.ARRAY(sa.DateTime()), nullable=False),
        sa.Column("digests", postgresql.ARRAY(sa.LargeBinary()), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary()),
        sa.Column(
            "transaction",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id())::text::bigint"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint(
            "table_name", "market", "number", name=op.f("uq_audit_entries_table_name_market_number")
        ),
        sa.CheckConstraint(
            "table_name IN ('recommendations', 'model_versions', 'model_decisions')",
            name=op.f("ck_audit_entries_table_name"),
        ),
        sa.CheckConstraint("kind IN ('inserted', 'superseded')", name=op.f("ck_audit_entries_kind")),
        sa.CheckConstraint("(number IS NULL) = (digest IS NULL)", name=op.f("ck_audit_entries_sealed")),
    )
    op.create_index(
        "ix_audit_entries_unsealed", "audit_entries", ["transaction"], postgresql_where=sa.text("number IS NULL")
    )
    for column in ("row_ids", "times", "digests"):  # digests do not compress, and to try costs time
        op.execute(f"ALTER TABLE audit_entries ALTER {column} SET STORAGE EXTERNAL")
    op.create_table(
        "audit_heads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("table_name", sa.String(50), nullable=False),
        sa.Column("market", sa.String(50), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_heads")),
        sa.UniqueConstraint("table_name", "market", name=op.f("uq_audit_heads_table_name_market")),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("happened_at", sa.DateTime(), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(50), nullable=False),
        sa.Column("subject_id", sa.Uuid()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_happened_at"), "audit_log", ["happened_at"])
    op.create_index("ix_audit_log_subject", "audit_log", ["subject", "subject_id"])


def _make_files_a_log() -> None:
    op.drop_constraint("uq_delivered_files_source_file", "delivered_files")
    op.add_column("delivered_files", sa.Column("gone", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.alter_column("delivered_files", "read_at", server_default=sa.func.clock_timestamp())
    op.create_unique_constraint(
        "uq_delivered_files_source_file_read_at", "delivered_files", ["source", "file", "read_at"]
    )


def _parts(table: str, kind: str) -> dict[str, str]:
    """The parts of ADD_ENTRIES of a table, for rows that were inserted or superseded."""
    columns, time = CHAINS[table] if kind == "inserted" else ("id, superseded_at", "superseded_at")
    return {
        "table": f"'{table}'",
        "kind": f"'{kind}'",
        "columns": f"'{columns}'",
        "time": time,
        "covered": ", ".join(f"r.{column}" for column in columns.split(", ")),
        "market": MARKET if table == "recommendations" else "'all'",
    }


def _triggers(table: str) -> Iterator[str]:
    """The statements by which rows to come enter the chains."""
    join = INSTRUMENT if table == "recommendations" else ""
    inserted = _parts(table, "inserted")
    yield from _trigger(f"chain_{table}", table, "INSERT", "NEW TABLE AS fresh", inserted, f"fresh r {join}")
    if table == "recommendations":
        changed = f"fresh r JOIN old o USING (id) {join} WHERE r.superseded_at IS DISTINCT FROM o.superseded_at"
        both, superseded = "OLD TABLE AS old NEW TABLE AS fresh", _parts(table, "superseded")
        yield from _trigger(f"chain_superseded_{table}", table, "UPDATE", both, superseded, changed)


def _trigger(name: str, table: str, event: str, seen: str, parts: dict[str, str], rows: str) -> Iterator[str]:
    insert = ADD_ENTRIES.format(**parts, rows=rows, grouping="market")
    yield f"CREATE FUNCTION {name}() RETURNS trigger {OWNERS_RIGHTS} AS $$ BEGIN {insert}; RETURN NULL; END $$"
    yield f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC"
    yield (
        f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {seen}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )


def _restart() -> str:
    """The function that begins all chains anew, with the rows that are there; it is the owner's alone."""
    by_month = "market, date_trunc('month', time) ORDER BY date_trunc('month', time)"
    superseded = f"recommendations r {INSTRUMENT} WHERE r.superseded_at IS NOT NULL"
    inserts = [
        ADD_ENTRIES.format(
            **_parts(table, "inserted"),
            rows=f"{table} r {INSTRUMENT if table == 'recommendations' else ''}",
            grouping=by_month,
        )
        for table in CHAINS
    ]
    inserts.append(
        ADD_ENTRIES.format(**_parts("recommendations", "superseded"), rows=superseded, grouping=by_month)
    )
    return (
        "CREATE FUNCTION restart_audit_chains() RETURNS void LANGUAGE plpgsql"
        " SET search_path = pg_catalog, public, pg_temp SET client_encoding = 'UTF8' AS $$ BEGIN"
        f" DELETE FROM audit_entries; DELETE FROM audit_heads; {';'.join(inserts)}; END $$"
    )


def downgrade() -> None:
    """Drop triggers, chains and the log; what they say is lost, the rows that they are about stay."""
    for table in ("users", "user_settings", "model_versions"):
        op.execute(f"DROP TRIGGER logged ON {table}")
    for table in (*NEVER_CHANGED, "recommendations", "model_versions"):
        op.execute(f"DROP TRIGGER never_changed ON {table}")
    for table in CHAINS:
        op.execute(f"DROP FUNCTION chain_{table}() CASCADE")
    op.execute("DROP FUNCTION chain_superseded_recommendations() CASCADE")
    for table in ("audit_log", "audit_heads", "audit_entries"):
        op.drop_table(table)
    for function in ("restart_audit_chains", "seal_audit_entry", "refuse_change", "log_change", "audit_content"):
        op.execute(f"DROP FUNCTION {function}")
    _keep_newest_files()


def _keep_newest_files() -> None:
    """Make `delivered_files` a state again: the newest row of each file that is there."""
    op.execute(
        "DELETE FROM delivered_files f WHERE gone OR EXISTS (SELECT FROM delivered_files n"
        " WHERE n.source = f.source AND n.file = f.file AND n.read_at > f.read_at)"
    )
    op.drop_constraint("uq_delivered_files_source_file_read_at", "delivered_files")
    op.alter_column("delivered_files", "read_at", server_default=sa.func.now())
    op.drop_column("delivered_files", "gone")
    op.create_unique_constraint("uq_delivered_files_source_file", "delivered_files", ["source", "file"])
