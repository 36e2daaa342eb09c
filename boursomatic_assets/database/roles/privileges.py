"""Privileges: what each role may do with each table.

What belongs here: the matrix, of which a test holds the database to every cell. A table without a row is no
table of the platform: a new one needs its row here.
Kept elsewhere: the statements that grant it (`grants.py`).

A privilege is the initial of SELECT, INSERT, UPDATE, DELETE, or TRUNCATE; in parentheses the only columns.
"""

from typing import Final, NamedTuple

from boursomatic_assets.vocabulary import Role

Row = dict[Role, str]
"""The privileges of each role; a role that it does not name has none."""

READ_ONLY: Final[Row] = {"writer": "S", "reader": "S"}
APPENDED: Final[Row] = {"writer": "S I", "reader": "S"}
KEPT: Final[Row] = {"writer": "S I U D", "reader": "S"}

PRIVILEGES: Final[dict[str, Row]] = {
    "alembic_version": {"writer": "S", "app": "S", "account_admin": "S", "reader": "S"},
    # market data
    "instruments": {"writer": "S I U", "reader": "S"},
    "instrument_aliases": {"writer": "S", "reader": "S"},  # `instruments merge` is the owner's
    "price_bars": KEPT,
    "price_bar_revisions": APPENDED,
    "features": KEPT,
    # models and recommendations
    "model_versions": {"writer": "S I U(is_active)", "reader": "S"},
    "model_decisions": APPENDED,
    "recommendations": {"writer": "S I U(is_active,superseded_at)", "reader": "S"},
    "recommendation_words": READ_ONLY,  # triggers with the owner's rights write it
    "recommendation_expiries": APPENDED,
    "track_record": KEPT,
    # provenance
    "rejected_bars": KEPT,
    "delivered_sessions": KEPT,
    "delivered_files": APPENDED,
    "computed_sessions": KEPT,
    # the archive
    "archive_files": {"writer": "S I U(superseded_at) D", "reader": "S"},
    # runs that go on
    "run_claims": KEPT,
    # alerts
    "alerts": {"writer": "S I U(sent_at,failures,retry_at,error)", "reader": "S"},
    # audit
    "audit_entries": READ_ONLY,
    "audit_heads": READ_ONLY,
    "audit_log": {"account_admin": "S"},
    # accounts
    "users": {
        "app": "S U(password_hash)",
        "account_admin": "S I U",
    },
    "user_settings": {
        "app": "S I U(risk_consent_accepted,risk_consent_accepted_at,preferred_profile)",
        "account_admin": "S I U",
    },
    "login_attempts": {"account_admin": "S D"},
    # summaries: `refresh_summary` writes the table and the materialised views
    "summaries": READ_ONLY,
    "advice_by_sector": READ_ONLY,
    "track_record_by_month": READ_ONLY,
    "coverage_by_month": READ_ONLY,
    # a view with the rights of whoever asks
    "current_advice": READ_ONLY,
    # views with the owner's rights
    "account_counts": {"writer": "S", "account_admin": "S", "reader": "S"},
    "user_recommendations": {"app": "S"},
}

_SELF = "nullif(current_setting('app.user_id', true), '')::uuid"

POLICIES: Final = {
    "users": (f"id = {_SELF}", f"id = {_SELF} AND NOT is_deleted"),
    "user_settings": 2
    * (f"user_id = {_SELF} AND EXISTS (SELECT FROM users u WHERE u.id = user_id AND NOT u.is_deleted)",),
}
"""The rows of one account that `app` sees, and those that it may write; `account_admin` sees and writes all.

Of an account that is deleted only the row remains to be seen, so that an application can say so."""

EXECUTABLE: Final[dict[str, tuple[Role, ...]]] = {
    "analyze_table(regclass, boolean)": ("writer",),
    "refresh_summary(text)": ("writer",),
    "account_for_login(text)": ("app",),
    "begin_login_attempt(text, text)": ("app",),
    "login_succeeded(text, text)": ("app",),
}
"""The functions with the owner's rights, and who may call them."""

_WORDS = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE", "T": "TRUNCATE"}


class Privilege(NamedTuple):
    """One privilege: `SELECT`, `INSERT`, ...; and its columns, or none if it is for all of them."""

    word: str
    columns: tuple[str, ...] = ()


def privileges_of(table: str, role: Role) -> tuple[Privilege, ...]:
    """What a role may do with a table or a view."""
    cell = PRIVILEGES[table].get(role, "")
    found = []
    for part in cell.split():
        initial, _, columns = part.partition("(")
        found.append(Privilege(_WORDS[initial], tuple(columns.rstrip(")").split(",")) if columns else ()))
    return tuple(found)
