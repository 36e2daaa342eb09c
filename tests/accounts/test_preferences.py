"""Preferences: a profile, consent with its time, and what the database keeps of them whoever writes."""

from uuid import UUID

import pytest
from sqlalchemy import Engine
from worlds.accounts import query

from boursomatic_assets.accounts import acting_as, preferences

SETTINGS = "SELECT risk_consent_accepted_at, updated_at FROM user_settings"


def test_an_account_chooses_its_profile(ada: UUID) -> None:
    with acting_as(ada) as connection:
        assert preferences.choose_profile(connection, ada, "conservative").profile == "conservative"
        with pytest.raises(ValueError, match=r"'reckless': choose one of conservative, moderate, aggressive"):
            preferences.choose_profile(connection, ada, "reckless")
    with acting_as(ada) as connection:
        assert preferences.read(connection, ada).profile == "conservative"


def test_consent_has_the_time_at_which_it_was_first_given_and_can_be_withdrawn(ada: UUID) -> None:
    with acting_as(ada) as connection:
        given = preferences.accept_risks(connection, ada)
        again = preferences.accept_risks(connection, ada)
        assert given.consent and given.consent_at == again.consent_at
        assert preferences.withdraw_consent(connection, ada) == preferences.NOTHING_CHOSEN
        renewed = preferences.accept_risks(connection, ada)
    assert given.consent_at and renewed.consent_at and renewed.consent_at > given.consent_at


def test_an_account_without_a_row_of_settings_has_the_defaults_and_can_change_them(
    migrated: Engine, ada: UUID
) -> None:
    query(migrated, "DELETE FROM user_settings")
    with acting_as(ada) as connection:
        assert preferences.read(connection, ada) == preferences.NOTHING_CHOSEN
        assert preferences.accept_risks(connection, ada).consent
    assert query(migrated, "SELECT preferred_profile FROM user_settings") == [("moderate",)]


# --- SQL by hand


def test_the_flag_alone_brings_its_time_and_takes_it_along(migrated: Engine, ada: UUID) -> None:
    query(migrated, "UPDATE user_settings SET risk_consent_accepted = true")
    assert query(migrated, "SELECT now() - risk_consent_accepted_at < interval '1 min' FROM user_settings") == [
        (True,)
    ]
    before = query(migrated, SETTINGS)
    query(migrated, "UPDATE user_settings SET risk_consent_accepted_at = NULL")
    assert query(migrated, SETTINGS) == before
    query(migrated, "UPDATE user_settings SET risk_consent_accepted = false")
    assert query(migrated, "SELECT risk_consent_accepted_at FROM user_settings") == [(None,)]
    query(migrated, "UPDATE user_settings SET risk_consent_accepted_at = now()")
    assert query(migrated, "SELECT risk_consent_accepted_at FROM user_settings") == [(None,)]


def test_an_inserted_row_gets_the_time_of_consent_or_keeps_the_one_that_it_brings(
    migrated: Engine, ada: UUID
) -> None:
    insert = (
        "INSERT INTO user_settings (id, user_id, risk_consent_accepted, risk_consent_accepted_at)"
        " SELECT gen_random_uuid(), id, :accepted, CAST(:at AS timestamp) FROM users"
        " RETURNING risk_consent_accepted_at::date::text"
    )
    for accepted, at, kept in ((True, "2024-01-05", "2024-01-05"), (False, "2024-01-05", None)):
        query(migrated, "DELETE FROM user_settings")
        assert query(migrated, insert, accepted=accepted, at=at) == [(kept,)]
    query(migrated, "DELETE FROM user_settings")
    assert query(migrated, insert, accepted=True, at=None)[0][0] is not None


def test_the_time_of_an_update_moves_with_a_change_and_only_then(migrated: Engine, ada: UUID) -> None:
    [(_, before)] = query(migrated, SETTINGS)
    query(migrated, "UPDATE user_settings SET preferred_profile = 'moderate', updated_at = '2000-01-01'")
    assert query(migrated, SETTINGS) == [(None, before)]
    query(migrated, "UPDATE user_settings SET preferred_profile = 'aggressive'")
    [(_, after)] = query(migrated, SETTINGS)
    assert after > before  # type: ignore[operator]
