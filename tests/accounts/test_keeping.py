"""Keeping accounts: one per address, soft deletion, the release of an address, and the right to be forgotten."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from worlds.accounts import ADA, PASSWORD, query

from boursomatic_assets.accounts import (
    Account,
    AccountError,
    EmailError,
    LoginError,
    administration,
    authenticate,
    keeping,
    preferences,
)
from boursomatic_assets.accounts.directory import every_account, find
from boursomatic_assets.accounts.emails import normalised

ANOTHER_PASSWORD = "battery staple horse"
ONE_ADDRESS = ["ada@b\u00fccher.de", "ADA@BU\u0308CHER.DE", "Ada@xn--bcher-kva.de"]
WHAT_IS_DONE_TO_ONE: list[Callable[[str], Account]] = [
    keeping.deactivate,
    keeping.restore,
    keeping.release,
    keeping.erase,
]


def test_an_account_starts_with_the_default_settings_and_no_consent(migrated: Engine, ada: UUID) -> None:
    assert find(ADA) == every_account()[0]
    with administration() as connection:
        assert preferences.read(connection, ada) == preferences.NOTHING_CHOSEN
    assert query(migrated, "SELECT email, is_admin, is_deleted FROM users") == [(ADA, False, False)]
    assert query(migrated, "SELECT user_id, preferred_profile FROM user_settings") == [(ada, "moderate")]
    assert keeping.create("root@example.com", PASSWORD, is_admin=True).is_admin


@pytest.mark.parametrize("second", ONE_ADDRESS)
def test_two_spellings_of_an_address_are_one_account(migrated: Engine, cheap: None, second: str) -> None:
    keeping.create(ONE_ADDRESS[0], PASSWORD)
    with pytest.raises(AccountError, match="has an account already"):
        keeping.create(second, PASSWORD)
    assert find(second).email == "ada@xn--bcher-kva.de"


def test_of_ten_creations_of_an_address_at_once_one_succeeds(migrated: Engine, cheap: None) -> None:
    def create(number: int) -> bool:
        try:
            keeping.create(ADA.upper() if number % 2 else ADA, PASSWORD)
        except AccountError:
            return False
        return True

    with ThreadPoolExecutor(10) as threads:
        assert sum(threads.map(create, range(10))) == 1
    assert query(migrated, "SELECT count(*) FROM users") == [(1,)]


def test_sql_by_hand_cannot_make_a_second_account_of_an_address(migrated: Engine, ada: UUID) -> None:
    again = "INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), 'Ada@example.COM', '!')"
    with pytest.raises(IntegrityError, match="uq_users_lower_email"):
        query(migrated, again)


def test_a_deactivated_account_keeps_its_row_and_address_until_it_is_restored(migrated: Engine, ada: UUID) -> None:
    for _ in range(2):
        assert keeping.deactivate(ADA).state == "deactivated"
    assert query(migrated, "SELECT id, email, is_deleted FROM users") == [(ada, ADA, True)]
    with pytest.raises(AccountError, match="restore that one, or release its address"):
        keeping.create(ADA, PASSWORD)
    assert keeping.restore(ADA).state == "active"
    assert authenticate(ADA, PASSWORD) == ada


def test_a_released_address_is_free_for_another_account(ada: UUID) -> None:
    keeping.deactivate(ADA)
    released = keeping.release(ADA)
    other = keeping.create(ADA, ANOTHER_PASSWORD)
    assert (released.id, released.state) == (ada, "released")
    assert authenticate(ADA, ANOTHER_PASSWORD) == other.id != ada
    assert keeping.release(released.email) == released
    for password in (PASSWORD, ANOTHER_PASSWORD):
        with pytest.raises(LoginError):
            authenticate(released.email, password)


def test_what_is_erased_is_gone_but_for_the_row_and_its_id(migrated: Engine, ada: UUID) -> None:
    with administration() as connection:
        preferences.choose_profile(connection, ada, "aggressive")
        preferences.accept_risks(connection, ada)
    [(old_hash,)] = query(migrated, "SELECT password_hash FROM users")
    with pytest.raises(LoginError):
        authenticate(ADA, "wrong password")
    keeping.deactivate(ADA)
    erased = keeping.erase(ADA)
    assert (erased.id, erased.state) == (ada, "erased")
    rows = [*query(migrated, "SELECT * FROM users"), *query(migrated, "SELECT * FROM user_settings")]
    assert all(word not in str(rows) for word in (ADA, "ada@", str(old_hash), "aggressive"))
    assert query(migrated, "SELECT risk_consent_accepted_at FROM user_settings") == [(None,)]
    assert query(migrated, "SELECT count(*) FROM login_attempts") == [(0,)]
    assert keeping.erase(erased.email) == erased
    keeping.create(ADA, PASSWORD)


@pytest.mark.parametrize("end", [keeping.release, keeping.erase])
def test_what_is_final_is_refused_to_an_active_account_and_cannot_be_undone(
    migrated: Engine, ada: UUID, end: Callable[[str], Account]
) -> None:
    with pytest.raises(AccountError, match="deactivate it first"):
        end(ADA)
    assert authenticate(ADA, PASSWORD) == ada
    keeping.deactivate(ADA)
    ended = end(ADA)
    with pytest.raises(AccountError, match="which is final"):
        keeping.restore(ended.email)
    with pytest.raises(AccountError, match="only an active one"):
        keeping.set_password(ended.email, PASSWORD)


def test_a_new_password_ends_the_old_one_and_the_wait(ada: UUID) -> None:
    for _ in range(6):
        with pytest.raises(LoginError):
            authenticate(ADA, "wrong password")
    keeping.set_password(ADA, ANOTHER_PASSWORD)
    assert authenticate(ADA, ANOTHER_PASSWORD) == ada
    with pytest.raises(LoginError):
        authenticate(ADA, PASSWORD)


@pytest.mark.parametrize("act", [*WHAT_IS_DONE_TO_ONE, find])
def test_an_unknown_account_is_named(ada: UUID, act: Callable[[str], Account]) -> None:
    with pytest.raises(AccountError, match=r"there is no account of bob@example\.com"):
        act("Bob@example.com")


def test_an_address_that_marks_released_accounts_is_nobodys(ada: UUID) -> None:
    with pytest.raises(AccountError, match=r"no address ends with \.invalid"):
        keeping.create(f"{ada}@erased.invalid", PASSWORD)


PIECES = ["'", '"', ";", "--", "\0", "\\", "%s", ":email", "ada", "DROP TABLE users", "\u0430", "\u200b", "@", "."]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(local=st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=300))
@example(local="o'brien")
@example(local="%s%(x)s{}")
@example(local="';DROP TABLE users;--")
def test_an_address_is_stored_in_its_one_form_or_refused_and_never_executed(
    migrated: Engine, cheap: None, local: str
) -> None:
    email = f"{local}@example.com"
    before = query(migrated, "SELECT count(*) FROM users")[0][0]
    try:
        made = keeping.create(email, PASSWORD)
    except EmailError:
        assert query(migrated, "SELECT count(*) FROM users") == [(before,)]
        with pytest.raises(LoginError):
            authenticate(email, PASSWORD)
    except AccountError:
        assert find(email).email == normalised(email)
    else:
        assert query(migrated, "SELECT email FROM users WHERE id = :id", id=made.id) == [(normalised(email),)]
        assert authenticate(email, PASSWORD) == made.id


@pytest.fixture
def alike(migrated: Engine) -> Engine:
    """A database of the revision before, with two accounts of one address."""
    from boursomatic_assets.database import migrate

    migrate.downgrade("0007")
    for email in (ADA, ADA.upper()):
        statement = "INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), :email, '!')"
        query(migrated, statement, email=email)
    return migrated


def test_a_migration_names_the_accounts_that_differ_in_case_alone(alike: Engine) -> None:
    from boursomatic_assets.database import DatabaseError, migrate

    with pytest.raises(DatabaseError, match="differ in case alone") as refusal:
        migrate.upgrade()
    for (account_id,) in query(alike, "SELECT id FROM users"):
        assert str(account_id) in str(refusal.value)
    query(alike, "UPDATE users SET email = 'bob@example.com' WHERE email <> :kept", kept=ADA)
    migrate.upgrade()
