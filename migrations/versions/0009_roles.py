"""Roles, and row-level security of accounts.

- roles `writer`, `app`, `account_admin`, `reader`: assets must not read a password hash, nor change what was
  published. Where the owner may not create roles, `boursomatic db grant --sql` prints the statements.
- policies on `users` and `user_settings`: an application sees the row of one account only, by `app.user_id`.
- `account_counts`: the nightly checks see how many accounts there are, and how many are doubled, and nothing else.
- `analyze_table`: PostgreSQL skips the ANALYZE of a role that does not own the table.

Roles belong to the server, so a downgrade leaves them, without any privilege on what it drops.

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-29
"""

from alembic import context, op

from boursomatic_assets.database.roles import grants

revision = "0009"
down_revision = "0008"

ACCOUNTS = ("users", "user_settings")

COUNTS = """
CREATE VIEW account_counts WITH (security_barrier) AS
SELECT 'users' AS table_name, count(*) AS rows, count(*) - count(DISTINCT lower(email)) AS repeated FROM users
UNION ALL
SELECT 'user_settings', count(*), count(*) - count(DISTINCT user_id) FROM user_settings
"""

ANALYZE = """
CREATE FUNCTION analyze_table(name regclass, skip_locked boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_class c WHERE c.oid = name AND c.relkind IN ('r', 'p')
            AND c.relnamespace = 'public'::regnamespace AND pg_has_role(c.relowner, 'USAGE')
    ) THEN
        RAISE EXCEPTION '% is no table of the platform', name USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('ANALYZE %s %s', CASE WHEN skip_locked THEN '(SKIP_LOCKED)' ELSE '' END, name);
END $$
"""


def upgrade() -> None:
    """Make roles, functions, policies and grants."""
    op.execute(COUNTS)
    op.execute(ANALYZE)
    for table in ACCOUNTS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        # For views and functions with the owner's rights, and for migrations.
        op.execute(f"CREATE POLICY owner_rows ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
    if not context.is_offline_mode():  # a printed migration ends with all grants, see `migrations/env.py`
        grants.apply(op.get_bind())


def downgrade() -> None:
    """Drop policies, the function and the view; the roles stay."""
    for table in ACCOUNTS:
        for policy in ("app_rows", "account_admin_rows", "owner_rows"):
            op.execute(f"DROP POLICY IF EXISTS {policy} ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
    op.execute("DROP FUNCTION analyze_table(regclass, boolean)")
    op.execute("DROP VIEW account_counts")
