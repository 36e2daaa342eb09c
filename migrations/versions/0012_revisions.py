"""A due date may be trained again, when the history that it should have known has changed.

- `model_versions.revision`: what was published refers to a version, so a retrained one is a row of its own. The
  due date alone is unique no more, but together with the revision.
- `model_versions.history_digest`, `history_read_at`: what a version learned from, to be compared with what is
  stored, and since when it may have changed.

What is there already is revision 1, without a digest: whether its history changed is judged by times alone. The
chain of `model_versions` covers the new columns of rows to come.

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

LOSES = {
    "revisions of model versions": "SELECT count(*) FROM model_versions WHERE revision > 1",
    "digests of what model versions learned from": (
        "SELECT count(*) FROM model_versions WHERE coalesce(history_digest, history_read_at::text) IS NOT NULL"
    ),
    "entries of the chains of digests": "SELECT count(*) FROM audit_entries",
}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""

FORMER = ("id", "version", "trained_at", "params_hash", "metrics_json", "model_path", "created_at", "as_of")
ADDED = ("revision", "history_digest", "history_read_at")

# The functions are changed where they are, since other migrations change other parts of them.
RENEW = """
DO $$
DECLARE definition text;
BEGIN
    FOR definition IN SELECT pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname IN ('chain_model_versions', 'restart_audit_chains')
    LOOP
        EXECUTE replace(replace(definition, '{old}', '{new}'), '{old_row}', '{new_row}');
    END LOOP;
END $$
"""

# Of several revisions the newest keeps its due date.
SPREAD = """
UPDATE model_versions v SET as_of = v.as_of - (newest.revision - v.revision) * interval '1 microsecond'
FROM (SELECT as_of, max(revision) AS revision FROM model_versions GROUP BY as_of) newest
WHERE newest.as_of = v.as_of AND newest.revision > v.revision
"""


def upgrade() -> None:
    """Add the columns, and let a due date have several revisions."""
    op.add_column(
        "model_versions", sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column("model_versions", sa.Column("history_digest", sa.String(64)))
    op.add_column("model_versions", sa.Column("history_read_at", sa.DateTime()))
    op.create_check_constraint(op.f("ck_model_versions_revision"), "model_versions", "revision > 0")
    op.drop_index("ix_model_versions_as_of", "model_versions")
    op.create_index("ix_model_versions_as_of", "model_versions", ["as_of"])
    op.create_unique_constraint(op.f("uq_model_versions_as_of_revision"), "model_versions", ["as_of", "revision"])
    _cover(FORMER, (*FORMER, *ADDED))


def downgrade() -> None:
    """Drop the columns; older revisions get due dates of their own, microseconds before the newest's.

    The chains begin anew, with the rows as they are then.
    """
    _cover((*FORMER, *ADDED), FORMER)
    op.drop_constraint(op.f("uq_model_versions_as_of_revision"), "model_versions")
    op.execute(SPREAD)
    op.drop_index("ix_model_versions_as_of", "model_versions")
    op.create_index("ix_model_versions_as_of", "model_versions", ["as_of"], unique=True)
    op.drop_constraint(op.f("ck_model_versions_revision"), "model_versions")
    for column in ADDED:
        op.drop_column("model_versions", column)
    op.execute("SELECT restart_audit_chains()")


def _cover(old: tuple[str, ...], new: tuple[str, ...]) -> None:
    """Let the chain and the trigger that refuses changes cover other columns."""
    texts = {"old": ", ".join(old), "new": ", ".join(new)}
    rows = {f"{name}_row": ", ".join(f"r.{column}" for column in columns.split(", "))
            for name, columns in texts.items()}  # fmt: skip
    op.execute(RENEW.format(**texts, **rows))
    op.execute("DROP TRIGGER never_changed ON model_versions")
    op.execute(
        f"CREATE TRIGGER never_changed BEFORE DELETE OR TRUNCATE OR UPDATE OF {texts['new']} ON model_versions"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
