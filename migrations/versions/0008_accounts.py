"""Accounts: one per address without regard to case, limits on log-in, consent with its time, and what a user sees.

- `uq_users_lower_email`: addresses that differ in case alone must be one account, for SQL by hand too.
- `login_attempts`: attempts must be limited across processes; only the functions below write it.
- `account_for_login`, `begin_login_attempt`, `login_succeeded`: an application that may read no account but the
  one that it serves must be able to log one in. They run with the owner's rights, and PUBLIC may not execute them.
- triggers of `user_settings`: the database keeps `updated_at`, and the time of consent with its flag.
- `user_recommendations`: an application shows a user the recommendations of the profile that the user prefers, and
  none without consent.

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

LOSES = {"accounts and addresses with failed log-ins": "SELECT count(*) FROM login_attempts"}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""

REFUSE_DUPLICATES = """
DO $$
DECLARE
    ids text;
BEGIN
    SELECT string_agg(id::text, ', ' ORDER BY created_at) INTO ids FROM public.users u
    WHERE (SELECT count(*) FROM public.users o WHERE lower(o.email) = lower(u.email)) > 1;
    IF ids IS NOT NULL THEN
        RAISE EXCEPTION 'accounts have e-mail addresses that differ in case alone; change all but one: %', ids;
    END IF;
END $$
"""

CONSENT_TIMES = """
UPDATE public.user_settings
SET risk_consent_accepted_at = CASE WHEN risk_consent_accepted THEN updated_at END
WHERE risk_consent_accepted <> (risk_consent_accepted_at IS NOT NULL)
"""

# The owner's rights are used with no name that a caller could shadow: every name has its schema, and temporary
# objects are searched last.
AS_OWNER = "SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"

KEEP_SETTINGS = """
CREATE FUNCTION public.keep_user_settings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    moment CONSTANT timestamp := clock_timestamp() AT TIME ZONE 'UTC';
BEGIN
    IF NOT NEW.risk_consent_accepted THEN
        NEW.risk_consent_accepted_at := NULL;
    ELSIF TG_OP = 'UPDATE' AND OLD.risk_consent_accepted THEN
        NEW.risk_consent_accepted_at := coalesce(NEW.risk_consent_accepted_at, OLD.risk_consent_accepted_at);
    ELSE
        NEW.risk_consent_accepted_at := coalesce(NEW.risk_consent_accepted_at, moment);
    END IF;
    IF TG_OP = 'UPDATE' THEN
        NEW.updated_at := OLD.updated_at;
        IF NEW IS DISTINCT FROM OLD THEN
            NEW.updated_at := moment;
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_user_settings BEFORE INSERT OR UPDATE ON public.user_settings
FOR EACH ROW EXECUTE FUNCTION public.keep_user_settings();
"""

ACCOUNT_FOR_LOGIN = f"""
CREATE FUNCTION public.account_for_login(address text)
RETURNS TABLE (id uuid, password_hash text, is_deleted boolean)
LANGUAGE sql STABLE {AS_OWNER} AS $$
    SELECT u.id, u.password_hash::text, u.is_deleted FROM public.users u WHERE lower(u.email) = lower(address)
$$
"""

# An attempt counts as failed from its beginning, so that those that run beside it know of it; a success takes that
# back. The rows are locked in one order, the account's before the source's, so no two attempts wait for each
# other. The attempt after the free ones makes its account or source wait 30 s, each later one twice as long,
# 15 min at most. An account's failures are forgotten after a day without any, a source's after 15 min.
BEGIN_LOGIN_ATTEMPT = f"""
CREATE FUNCTION public.login_wait(account text, source text) RETURNS integer
LANGUAGE sql {AS_OWNER} AS $$
    SELECT coalesce(ceil(extract(epoch FROM max(waits_until) - (clock_timestamp() AT TIME ZONE 'UTC'))), 0)::int
    FROM public.login_attempts
    WHERE (kind, subject) IN (('account', account), ('source', source))
        AND waits_until > clock_timestamp() AT TIME ZONE 'UTC'
$$;
CREATE FUNCTION public.begin_login_attempt(account text, source text) RETURNS integer
LANGUAGE plpgsql {AS_OWNER} AS $$
DECLARE
    moment timestamp;
    wait integer := public.login_wait(account, source);
BEGIN
    IF wait > 0 THEN
        RETURN wait;
    END IF;
    INSERT INTO public.login_attempts AS a (id, kind, subject)
    SELECT gen_random_uuid(), s.kind, s.subject
    FROM (VALUES (1, 'account', account), (2, 'source', source)) AS s (place, kind, subject)
    WHERE s.subject IS NOT NULL ORDER BY s.place
    ON CONFLICT (kind, subject) DO UPDATE SET failures = a.failures;
    wait := public.login_wait(account, source);
    IF wait > 0 THEN
        RETURN wait;
    END IF;
    moment := clock_timestamp() AT TIME ZONE 'UTC';
    UPDATE public.login_attempts a
    SET failures = n.failures, failed_at = moment, waits_until = CASE WHEN n.failures > n.free
        THEN moment + least(interval '30 seconds' * 2 ^ least(n.failures - n.free - 1, 9), interval '15 minutes')
    END
    FROM (
        SELECT o.id, l.free, CASE WHEN o.failed_at < moment - l.memory THEN 1 ELSE o.failures + 1 END AS failures
        FROM public.login_attempts o JOIN (VALUES
            ('account', account, 4, interval '1 day'), ('source', source, 10, interval '15 minutes')
        ) AS l (kind, subject, free, memory) ON (o.kind, o.subject) = (l.kind, l.subject)
    ) n WHERE n.id = a.id;
    DELETE FROM public.login_attempts WHERE id IN (
        SELECT id FROM public.login_attempts WHERE failed_at < moment - interval '1 day'
        ORDER BY failed_at LIMIT 10 FOR UPDATE SKIP LOCKED
    );
    RETURN 0;
END $$
"""

LOGIN_SUCCEEDED = f"""
CREATE FUNCTION public.login_succeeded(account text, source text) RETURNS void
LANGUAGE sql {AS_OWNER} AS $$
    DELETE FROM public.login_attempts WHERE kind = 'account' AND subject = account;
    UPDATE public.login_attempts SET failures = greatest(failures - 1, 0), waits_until = NULL
    WHERE kind = 'source' AND subject = source
$$
"""

FUNCTIONS = (
    "login_succeeded(text, text)",
    "begin_login_attempt(text, text)",
    "login_wait(text, text)",
    "account_for_login(text)",
    "keep_user_settings()",
)

# A view has its owner's rights, so its reader needs none on what it reads; the barrier keeps conditions of the
# reader from being tried on rows of others.
USER_RECOMMENDATIONS = """
CREATE VIEW public.user_recommendations WITH (security_barrier) AS
SELECT
    r.id, r.instrument_id, i.symbol, i.exchange, r.profile, r.label, r.confidence, r.expected_return_pct,
    r.horizon_days, r.stop_loss, r.take_profit, r.justification, r.generated_at, r.as_of, m.version
FROM public.users u
JOIN public.user_settings s ON s.user_id = u.id
JOIN public.recommendations r ON r.profile = s.preferred_profile
JOIN public.instruments i ON i.id = r.instrument_id
JOIN public.model_versions m ON m.id = r.model_version_id
WHERE u.id = nullif(current_setting('app.user_id', true), '')::uuid
    AND NOT u.is_deleted AND s.risk_consent_accepted AND r.is_active
"""


def upgrade() -> None:
    """Add the index, the table, the functions, the trigger and the view; fill in missing times of consent."""
    op.execute(REFUSE_DUPLICATES)
    op.create_index("uq_users_lower_email", "users", [sa.text("lower(email)")], unique=True)
    _create_login_attempts()
    op.execute(CONSENT_TIMES)
    for statement in (KEEP_SETTINGS, ACCOUNT_FOR_LOGIN, BEGIN_LOGIN_ATTEMPT, LOGIN_SUCCEEDED):
        op.execute(sa.text(statement))
    for function in FUNCTIONS:
        op.execute(f"REVOKE EXECUTE ON FUNCTION public.{function} FROM PUBLIC")
    op.execute(USER_RECOMMENDATIONS)


def downgrade() -> None:
    """Drop what was added; accounts, settings and times of consent stay."""
    op.execute("DROP VIEW public.user_recommendations")
    op.execute("DROP TRIGGER keep_user_settings ON public.user_settings")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION public.{function}")
    op.drop_table("login_attempts")
    op.drop_index("uq_users_lower_email", "users")


def _create_login_attempts() -> None:
    op.create_table(
        "login_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_at", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.Column("waits_until", sa.DateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_attempts")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_login_attempts_kind_subject")),
        sa.CheckConstraint("kind IN ('account', 'source')", name=op.f("ck_login_attempts_kind")),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_login_attempts_failures")),
    )
    op.create_index(op.f("ix_login_attempts_failed_at"), "login_attempts", ["failed_at"])
