"""Losses: an upgrade finds everything again after a downgrade, or the downgrade says first what would be lost."""

from itertools import pairwise

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from worlds.platform import execute

from boursomatic_assets.database import DatabaseError, migrate

# Less of what the small platform has much of, and what it lacks, so that every migration has something to lose.
PREPARED = (
    "DELETE FROM track_record WHERE as_of < '2024-01-15'",
    "DELETE FROM recommendations WHERE as_of < '2024-01-15'",
    "DELETE FROM features WHERE ts < '2024-01-15'",
    "DELETE FROM price_bars WHERE ts < '2024-01-15'",
    "INSERT INTO alerts (id, channel, subject, kind, content)"
    " VALUES (gen_random_uuid(), 'mail', 'x', 'event', '{}')",
    "INSERT INTO archive_files (id, asset, market, first_session, last_session, name, size, row_count, months)"
    " VALUES (gen_random_uuid(), 'price_bars_15m', 'US', '2024-01-05', '2024-01-05', 'x', 1, 1, '[]')",
    "INSERT INTO run_claims (id, run_id, host, pid) VALUES (gen_random_uuid(), 'x', 'here', 1)",
    "INSERT INTO login_attempts (id, kind, subject, failures) VALUES (gen_random_uuid(), 'source', 'x', 1)",
    "UPDATE price_bars SET updated_at = clock_timestamp(), file_id = 1, line = 2 WHERE ts = '2024-02-01'",
    "UPDATE delivered_files SET file_id = 1, digest = repeat('a', 64)",
    "INSERT INTO rejected_bars (id, market, source, raw, reason)"
    " VALUES (gen_random_uuid(), 'US', 'files', '{}', 'too late')",
    "INSERT INTO instrument_aliases (id, symbol, exchange, instrument_id)"
    " SELECT gen_random_uuid(), 'FORMER', exchange, id FROM instruments LIMIT 1",
    "INSERT INTO price_bar_revisions"
    " (id, instrument_id, ts, interval, o, h, l, c, v, known_from, known_until, file_id, line)"
    " SELECT gen_random_uuid(), instrument_id, ts, interval, o, h, l, c, v, created_at, clock_timestamp(), 1, 2"
    " FROM price_bars LIMIT 1",
    "INSERT INTO recommendation_expiries (id, recommendation_id, session, reason)"
    " SELECT gen_random_uuid(), id, as_of, 'horizon' FROM recommendations LIMIT 1",
    "UPDATE recommendations SET is_active = false, superseded_at = clock_timestamp()"
    " WHERE id = (SELECT id FROM recommendations ORDER BY as_of DESC, id LIMIT 1)",
    "UPDATE model_decisions SET kind = 'withdrawn', speaker_id = NULL"
    " WHERE id = (SELECT id FROM model_decisions ORDER BY effective_at DESC, id LIMIT 1)",
    "INSERT INTO model_decisions (id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by)"
    " SELECT gen_random_uuid(), id, as_of + i * interval '1 day', kind, id, 'he knows',"
    " '{\"b\": 1.0, \"a\": [2]}', 'ann'"
    " FROM model_versions, (VALUES (1, 'forced'), (2, 'rolled back')) AS d(i, kind)",
    "SELECT refresh_summary(name) FROM summaries",
    "UPDATE model_versions SET is_active = false",
    "UPDATE model_versions SET is_active = true WHERE id = (SELECT id FROM model_versions ORDER BY as_of LIMIT 1)",
    "INSERT INTO model_versions (id, version, params_hash, metrics_json, as_of, revision)"
    " SELECT gen_random_uuid(), version || '.r2', params_hash, metrics_json, as_of, 2 FROM model_versions"
    " ORDER BY as_of LIMIT 1",
)

CHAINS = {"audit_entries", "audit_heads"}
LOST = {
    "0023": {"archive_files.months"},
    "0018": {"archive_files"},
    "0017": {"run_claims"},
    "0015": {"alerts"},
    "0014": {
        "price_bars.file_id",
        "price_bars.line",
        "price_bar_revisions.file_id",
        "price_bar_revisions.line",
        "delivered_files.file_id",
        "delivered_files.digest",
    },
    "0013": {
        *CHAINS,
        "recommendations.view",
        "track_record.view",
        "track_record.relative_return_pct",
        "model_decisions.kind",
    },
    "0012": {
        *CHAINS,
        "model_versions.as_of",
        "model_versions.revision",
        "model_versions.history_digest",
        "model_versions.history_read_at",
    },
    "0011": {"recommendation_expiries"},
    "0010": {*CHAINS, "audit_log"},
    "0008": {"login_attempts"},
    "0007": {"price_bars.created_at", "price_bars.updated_at"},
    "0006": {"delivered_files", "instrument_aliases"},
    "0005": {"track_record"},
    "0003": {"price_bar_revisions", "delivered_sessions", "computed_sessions"},
    "0002": {"rejected_bars", "recommendations.superseded_at", "model_versions.as_of"},
}
"""By revision, the tables and columns that are not the same again after a downgrade below it and an upgrade."""


def test_each_downgrade_says_what_an_upgrade_would_not_find_again(filled: Engine) -> None:
    execute(filled, *PREPARED)
    scripts = ScriptDirectory.from_config(Config(migrate.CONFIG)).walk_revisions()
    for revision, below in pairwise(script.revision for script in scripts):
        before, refusal = contents(filled), refused(below)
        if refusal:
            assert migrate.current_revision(filled) == revision
            assert refusal.startswith(f"cannot downgrade to {below}: this loses for good ")
            assert refusal.endswith(": make a backup, and set BOURSOMATIC_YES=1 to go ahead")
        migrate.downgrade(below, lose=True)
        migrate.upgrade(revision)
        assert differing(before, contents(filled)) == LOST.get(revision, set()), revision
        assert bool(refusal) == (revision in LOST), revision
        migrate.downgrade(below, lose=True)


def refused(revision: str) -> str:
    """Why a downgrade to a revision is refused; nothing if it is not."""
    try:
        migrate.downgrade(revision)
    except DatabaseError as error:
        return str(error)
    return ""


def contents(engine: Engine) -> dict[tuple[str, str], str]:
    """A digest of each column of each table."""
    found = {}
    with engine.connect() as connection:
        tables = inspect(connection)
        for table in sorted({*tables.get_table_names()} - {"alembic_version"}):
            columns = [column["name"] for column in tables.get_columns(table)]
            digests = ", ".join(f"md5(string_agg(concat(id, {name}::text), '|' ORDER BY id))" for name in columns)
            row = connection.execute(text(f"SELECT {digests} FROM {table}")).one()
            found |= {(table, column): digest for column, digest in zip(columns, row, strict=True)}
    return found


def differing(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> set[str]:
    """The columns that are not the same; a table alone if its rows are others."""
    assert before.keys() == after.keys()
    columns = {key for key in before if before[key] != after[key]}
    tables = {table for table, column in columns if column == "id"}
    return tables | {f"{table}.{column}" for table, column in columns if table not in tables}
