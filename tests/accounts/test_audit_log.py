"""The log of the audit: who did what to which account, whether by command or by hand, and no personal data."""

from uuid import UUID

import pytest
from sqlalchemy import Engine, text

CHANGES = {
    "UPDATE users SET is_deleted = true": "deactivated",
    "UPDATE users SET is_admin = true": "made an administrator",
    "UPDATE users SET email = 'b@example.com'": "e-mail address changed",
    "UPDATE users SET password_hash = '$argon2id$other'": "password hash changed",
    "UPDATE user_settings SET risk_consent_accepted = true": "consent given",
    "UPDATE user_settings SET preferred_profile = 'aggressive'": "profile changed to aggressive",
    "DELETE FROM user_settings": "settings deleted",
}


def logged(engine: Engine) -> list[tuple[str, object]]:
    with engine.connect() as connection:
        return [(row.action, row.subject_id) for row in connection.execute(text(
            "SELECT action, subject_id FROM audit_log ORDER BY happened_at"
        ))]  # fmt: skip


@pytest.mark.parametrize("statement", CHANGES)
def test_a_change_by_hand_is_logged_with_the_id_of_the_account(
    migrated: Engine, ada: UUID, statement: str
) -> None:
    before = len(logged(migrated))
    with migrated.begin() as connection:
        connection.execute(text(statement))
    assert logged(migrated)[before:] == [(CHANGES[statement], ada)]


def test_nothing_personal_is_in_the_log(migrated: Engine, ada: UUID) -> None:
    with migrated.connect() as connection:
        everything = str(connection.execute(text("SELECT * FROM audit_log")).all())
    assert "created" in everything
    assert "ada" not in everything
    assert "argon2" not in everything
