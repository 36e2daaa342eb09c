"""What a user sees: recommendations of the preferred profile, with consent, of an account that is not deleted."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from worlds.accounts import ADA, PASSWORD, make_hashes_cheap, query

from boursomatic_assets.accounts import acting_as, keeping, preferences
from boursomatic_assets.database import migrate

COLUMNS = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'user_recommendations'::regclass"
SEEN = "SELECT DISTINCT profile FROM user_recommendations"


@pytest.fixture
def ada(filled: Engine, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """An account on the small platform that accepts the risks."""
    make_hashes_cheap(monkeypatch)
    account = keeping.create(ADA, PASSWORD)
    with acting_as(account.id) as connection:
        preferences.accept_risks(connection, account.id)
    return account.id


def seen_by(account_id: UUID) -> list[str]:
    with acting_as(account_id) as connection:
        return list(connection.scalars(text(SEEN)))


def test_an_account_sees_the_active_recommendations_of_its_profile(filled: Engine, ada: UUID) -> None:
    active = (
        "SELECT r.id, symbol, exchange, label, stop_loss, version FROM recommendations r"
        " JOIN instruments i ON i.id = r.instrument_id JOIN model_versions m ON m.id = r.model_version_id"
        " WHERE r.is_active AND profile = 'conservative' ORDER BY r.id"
    )
    with acting_as(ada) as connection:
        preferences.choose_profile(connection, ada, "conservative")
        shown = connection.execute(
            text("SELECT id, symbol, exchange, label, stop_loss, version FROM user_recommendations ORDER BY id")
        )
        assert [tuple(row) for row in shown] == query(filled, active) != []
    query(filled, "UPDATE recommendations SET is_active = false WHERE profile = 'conservative'")
    assert seen_by(ada) == []


def test_it_is_seen_whether_a_hold_is_a_view(filled: Engine, ada: UUID) -> None:
    seen = text("SELECT DISTINCT view FROM user_recommendations ORDER BY view")
    active = "SELECT DISTINCT view FROM recommendations WHERE is_active AND profile = 'moderate' ORDER BY view"
    with acting_as(ada) as connection:
        assert [tuple(row) for row in connection.execute(seen)] == query(filled, active) != []


def test_its_readers_stay_on_the_way_down_and_up(migrated: Engine) -> None:
    readers = (
        "SELECT DISTINCT grantee::regrole::text FROM pg_class, aclexplode(relacl)"
        " WHERE relname = 'user_recommendations' ORDER BY 1"
    )
    before = query(migrated, readers)
    assert any("app" in name for (name,) in before)
    migrate.downgrade("0012")
    assert query(migrated, readers) == before
    assert "view" not in [name for (name,) in query(migrated, COLUMNS)]
    migrate.upgrade()
    assert query(migrated, readers) == before
    assert "view" in [name for (name,) in query(migrated, COLUMNS)]


def test_nothing_is_seen_without_consent_profile_or_account(filled: Engine, ada: UUID) -> None:
    assert seen_by(ada) == ["moderate"]
    for change, back in (
        ("user_settings SET risk_consent_accepted = false", "user_settings SET risk_consent_accepted = true"),
        ("user_settings SET preferred_profile = NULL", "user_settings SET preferred_profile = 'moderate'"),
        ("users SET is_deleted = true", "users SET is_deleted = false"),
    ):
        query(filled, f"UPDATE {change}")
        assert seen_by(ada) == []
        query(filled, f"UPDATE {back}")
        assert seen_by(ada) == ["moderate"]
    assert seen_by(uuid4()) == []
    assert query(filled, SEEN) == []


def test_whom_a_transaction_serves_is_forgotten_at_its_end(filled: Engine, ada: UUID) -> None:
    assert seen_by(ada) == ["moderate"]
    for _ in range(3):
        assert query(filled, "SELECT nullif(current_setting('app.user_id', true), '')") == [(None,)]
        assert query(filled, SEEN) == []


def test_the_view_has_its_owners_rights_behind_a_barrier(filled: Engine) -> None:
    options = "SELECT reloptions::text FROM pg_class WHERE relname = 'user_recommendations'"
    assert query(filled, options) == [("{security_barrier=true}",)]
