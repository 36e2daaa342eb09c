"""What a HOLD means, and outcomes beside those of the market's session.

- `recommendations.view`: whether the label is an opinion. A HOLD for want of evidence is none, and a HOLD because
  other instruments came first is another thing; both must not be scored as if a middling return were expected.
  Null in rows of before. It is covered by the chains of digests, like the other columns.
- `user_recommendations.view`: applications show it too.
- `track_record.view`, `track_record.relative_return_pct`: the same of a scored row, and its return less the mean
  of its market's session, which is what the labels are about.
- `model_decisions.kind`: `retrained`, the champion's own recipe with newer data.

Revision ID: 0013
Revises: 0012
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

LOSES = {
    "views of recommendations": "SELECT count(*) FROM recommendations WHERE view IS NOT NULL",
    "views and relative returns of scores": (
        "SELECT count(*) FROM track_record WHERE coalesce(view, relative_return_pct::text) IS NOT NULL"
    ),
    "decisions that a version was retrained": "SELECT count(*) FROM model_decisions WHERE kind = 'retrained'",
    "entries of the chains of digests": "SELECT count(*) FROM audit_entries",
}
"""What an upgrade does not find again after a downgrade: a retrained version is called promoted."""

VIEWS = "view IN ('given', 'capped', 'none')"
KINDS = ("promoted", "retrained", "refused", "withdrawn", "forced", "rolled back")
COVERED = ("generated_at, as_of", "generated_at, as_of, view")
"""The end of the list of columns that the chains cover, before and after."""


SEEN_BY_USERS = """
CREATE OR REPLACE VIEW public.user_recommendations WITH (security_barrier) AS
SELECT
    r.id, r.instrument_id, i.symbol, i.exchange, r.profile, r.label, r.confidence, r.expected_return_pct,
    r.horizon_days, r.stop_loss, r.take_profit, r.justification, r.generated_at, r.as_of, m.version{}
FROM public.users u
JOIN public.user_settings s ON s.user_id = u.id
JOIN public.recommendations r ON r.profile = s.preferred_profile
JOIN public.instruments i ON i.id = r.instrument_id
JOIN public.model_versions m ON m.id = r.model_version_id
WHERE u.id = nullif(current_setting('app.user_id', true), '')::uuid
    AND NOT u.is_deleted AND s.risk_consent_accepted AND r.is_active
"""
READERS = """
SELECT DISTINCT grantee::regrole::text FROM pg_class, aclexplode(relacl)
WHERE oid = 'public.user_recommendations'::regclass AND privilege_type = 'SELECT' AND grantee NOT IN (relowner, 0)
"""


def upgrade() -> None:
    """Add the columns, and cover the one that says what was advised."""
    for table in ("recommendations", "track_record"):
        op.add_column(table, sa.Column("view", sa.String(10)))
        op.create_check_constraint(op.f(f"ck_{table}_view"), table, VIEWS)
    op.add_column("track_record", sa.Column("relative_return_pct", sa.Float()))
    op.execute(SEEN_BY_USERS.format(", r.view"))
    _cover(*COVERED)
    _allow(KINDS)


def downgrade() -> None:
    """Drop the columns; versions that were retrained are called promoted."""
    _cover(*reversed(COVERED))
    op.execute("UPDATE model_decisions SET kind = 'promoted' WHERE kind = 'retrained'")
    _allow(tuple(kind for kind in KINDS if kind != "retrained"))
    op.drop_column("track_record", "relative_return_pct")
    _show_users_no_views()
    for table in ("track_record", "recommendations"):
        op.drop_column(table, "view")
    op.execute("SELECT restart_audit_chains()")  # the entries of before cover what is gone


def _show_users_no_views() -> None:
    """Make the view without its last column, for the same readers."""
    readers = op.get_bind().execute(sa.text(READERS)).scalars().all()
    op.execute("DROP VIEW public.user_recommendations")
    op.execute(SEEN_BY_USERS.format(""))
    for reader in readers:
        op.execute(f"GRANT SELECT ON public.user_recommendations TO {reader}")


def _allow(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_model_decisions_kind"), "model_decisions")
    values = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("ck_model_decisions_kind"), "model_decisions", f"kind IN ({values})")


def _cover(former: str, columns: str) -> None:
    """Make the functions and the trigger of the chain again, with another list of columns."""
    aliased = [", ".join(f"r.{column}" for column in names.split(", ")) for names in (former, columns)]
    # The column leaves the trigger before it leaves the table.
    op.execute(
        f"""
DO $do$
DECLARE
    made text;
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['chain_recommendations', 'restart_audit_chains'] LOOP
        made := pg_get_functiondef((name || '()')::regprocedure);
        EXECUTE replace(replace(made, '{aliased[0]})', '{aliased[1]})'), '{former}''', '{columns}''');
    END LOOP;
    SELECT pg_get_triggerdef(oid) INTO made FROM pg_trigger
        WHERE tgname = 'never_changed' AND tgrelid = 'recommendations'::regclass;
    DROP TRIGGER never_changed ON recommendations;
    EXECUTE replace(made, '{former} ON', '{columns} ON');
END $do$
"""
    )
