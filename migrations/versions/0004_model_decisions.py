"""Who decided that a model version speaks, from when, and why.

`model_decisions`: the gate's decision about each version, and each that a person made.

What is there already: what `metrics_json` says of a version's promotion becomes the gate's decision, effective on
its due date and decided when it was trained. Of a version without such a word, the active one was promoted and any
other was not.

A downgrade keeps the decisions, those of persons too, under the key `kept` of `metrics_json`, and an upgrade takes
them from there. The code of before reads `promoted` beside it.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BY_GATE = "decided_by = 'gate'"
CARRY_OVER = """
WITH told AS (
    SELECT *, metrics_json::jsonb AS metrics, coalesce((metrics_json->>'promoted')::boolean, is_active) AS promoted
    FROM model_versions
)
INSERT INTO model_decisions
    (id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by, decided_at)
SELECT gen_random_uuid(), id, as_of, CASE WHEN promoted THEN 'promoted' ELSE 'refused' END,
    (SELECT p.id FROM told p WHERE p.promoted AND p.as_of <= t.as_of ORDER BY p.as_of DESC LIMIT 1),
    coalesce(metrics->>'reason', 'No reason was stored with this version.'),
    jsonb_build_object(
        'versions', jsonb_build_object('challenger', version, 'champion', metrics->'champion_before'),
        'challenger', jsonb_build_object(
            'log_loss', metrics->'log_loss', 'log_loss_no_skill', metrics->'log_loss_no_skill',
            'valid_sessions', metrics->'valid_sessions'
        )
    ),
    'gate', trained_at
FROM told t WHERE NOT coalesce(metrics ? 'kept', false)
"""
TAKE_BACK = """
WITH kept AS (
    SELECT v.id AS version_id, d.* FROM model_versions v,
        jsonb_to_recordset(v.metrics_json::jsonb#>'{kept,decisions}') AS d(
            id uuid, effective_at timestamp, kind text, speaker_id uuid, reason text, numbers text,
            decided_by text, decided_at timestamp
        )
)
INSERT INTO model_decisions
    (id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by, decided_at)
SELECT id, version_id, effective_at, kind, speaker_id, reason, numbers::json, decided_by, decided_at FROM kept
WHERE speaker_id IS NULL OR speaker_id IN (SELECT id FROM model_versions)
"""
"""The decisions that a downgrade kept; a version that was deleted meanwhile speaks no more."""

SAME_VERSIONS = "NOT EXISTS (SELECT FROM model_versions WHERE NOT metrics_json::jsonb ? 'kept')"
DEACTIVATE = f"UPDATE model_versions SET is_active = false WHERE is_active AND {SAME_VERSIONS}"  # nosec B608
ACTIVATE = f"""
UPDATE model_versions SET is_active = true
WHERE (metrics_json::jsonb#>>'{{kept,is_active}}')::boolean AND {SAME_VERSIONS}
"""  # nosec B608
"""What was active is so again, unless the code of before has trained another version."""

RESTORE_METRICS = """
UPDATE model_versions SET metrics_json = (metrics_json::jsonb#>>'{kept,metrics}')::json
WHERE metrics_json::jsonb ? 'kept'
"""
GIVE_BACK = f"""
UPDATE model_versions v SET metrics_json = (
    coalesce(v.metrics_json::jsonb, '{{}}') || coalesce((
        SELECT jsonb_build_object('promoted', d.kind = 'promoted', 'reason', d.reason) FROM model_decisions d
        WHERE d.version_id = v.id AND d.{BY_GATE} AND NOT coalesce(v.metrics_json::jsonb ? 'promoted', false)
    ), '{{}}') || jsonb_build_object('kept', jsonb_build_object(
        'metrics', v.metrics_json::text, 'is_active', v.is_active, 'decisions', coalesce((
            SELECT jsonb_agg(to_jsonb(d) || jsonb_build_object('numbers', d.numbers::text))
            FROM model_decisions d WHERE d.version_id = v.id
        ), '[]')
    ))
)::json
"""  # nosec B608
"""JSON is kept as its text: the type jsonb would order its keys anew."""

NEWEST_PROMOTED = "(SELECT max(as_of) FROM model_versions WHERE (metrics_json->>'promoted')::boolean)"


def upgrade() -> None:
    """Add the table, with the decisions that are known."""
    op.create_table(
        "model_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("effective_at", sa.DateTime(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("speaker_id", sa.Uuid()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("decided_by", sa.String(255), nullable=False),
        sa.Column("decided_at", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_decisions")),
        *(
            sa.ForeignKeyConstraint([column], ["model_versions.id"], name=op.f(f"fk_model_decisions_{column}"))
            for column in ("version_id", "speaker_id")
        ),
        sa.CheckConstraint(
            "kind IN ('promoted', 'refused', 'withdrawn', 'forced', 'rolled back')",
            name=op.f("ck_model_decisions_kind"),
        ),
        sa.CheckConstraint(
            "CASE kind WHEN 'refused' THEN true WHEN 'withdrawn' THEN speaker_id IS NULL"
            " ELSE speaker_id IS NOT NULL END",
            name=op.f("ck_model_decisions_speaker"),
        ),
    )
    op.create_index(
        "uq_model_decisions_gate",
        "model_decisions",
        ["version_id"],
        unique=True,
        postgresql_where=sa.text(BY_GATE),
    )
    for statement in (CARRY_OVER, TAKE_BACK, DEACTIVATE, ACTIVATE, RESTORE_METRICS):
        op.execute(statement)


def downgrade() -> None:
    """Drop the table: the gate's words go back into `metrics_json`, where all decisions are kept too."""
    op.execute(GIVE_BACK)
    op.execute("UPDATE model_versions SET is_active = false WHERE is_active")
    op.execute(f"UPDATE model_versions SET is_active = true WHERE as_of = {NEWEST_PROMOTED}")
    op.drop_table("model_decisions")
