"""The log-in: who gets in, what the others are answered, and how attempts are limited."""

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import Engine
from worlds.accounts import ADA, PASSWORD, query

from boursomatic_assets.accounts import LoginError, TooManyAttemptsError, authenticate, keeping, passwords

WRONG = "wrong password"
SOURCE = "192.0.2.7"
FREE, FREE_OF_A_SOURCE = 4, 10


def answer(email: str, password: str = WRONG, source: str | None = None) -> str | int:
    """What a log-in is answered: the id as text, a refusal's message, or the seconds to wait."""
    try:
        return str(authenticate(email, password, source))
    except TooManyAttemptsError as error:
        return error.seconds
    except LoginError as error:
        return str(error)


def fail(email: str = ADA, times: int = 1, source: str | None = None) -> None:
    """Fail to log in, without having to wait."""
    for _ in range(times):
        assert isinstance(answer(email, source=source), str)


def let_time_pass(engine: Engine, interval: str) -> None:
    """Move what the database remembers of attempts into the past."""
    query(
        engine,
        "UPDATE login_attempts SET failed_at = failed_at - CAST(:by AS interval),"
        " waits_until = waits_until - CAST(:by AS interval)",
        by=interval,
    )


def at_once(attempts: int, attempt: Callable[[], str | int]) -> Counter[str | int]:
    """The answers of as many attempts that begin together, each in a thread."""
    barrier = threading.Barrier(attempts)

    def begin(_: int) -> str | int:
        barrier.wait()
        return attempt()

    with ThreadPoolExecutor(attempts) as threads:
        return Counter(threads.map(begin, range(attempts)))


# --- who gets in


@pytest.mark.parametrize("spelling", [ADA, "ADA@Example.com", " Ada@EXAMPLE.COM. "])
def test_an_account_logs_in_with_its_password_under_each_spelling_of_its_address(ada: UUID, spelling: str) -> None:
    assert authenticate(spelling, PASSWORD) == ada


def test_an_account_that_sql_made_by_hand_logs_in(migrated: Engine, cheap: None) -> None:
    query(
        migrated,
        "INSERT INTO users (id, email, password_hash, is_admin, is_deleted)"
        " VALUES (gen_random_uuid(), 'Test@Example.com', :hash, false, false)",
        hash=passwords.hashed(PASSWORD),
    )
    assert str(authenticate("test@example.com", PASSWORD)) == str(query(migrated, "SELECT id FROM users")[0][0])


@pytest.mark.parametrize(
    "email", ["nobody@example.com", "no address", "", "a\0b@example.com", "\ud800@example.com"]
)
def test_an_unknown_address_is_answered_as_a_wrong_password_is(ada: UUID, email: str) -> None:
    assert answer(email) == answer(ADA) == "the e-mail address or the password is wrong"


def test_the_log_in_of_a_deactivated_account_stops_at_once_with_the_same_answer(ada: UUID) -> None:
    keeping.deactivate(ADA)
    assert answer(ADA, PASSWORD) == answer(ADA, WRONG) == answer("nobody@example.com")


def test_an_account_that_is_deactivated_while_its_password_is_examined_stays_out(
    ada: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = passwords.fits

    def fits_and_deactivate(password: str, stored: str | None) -> bool:
        keeping.deactivate(ADA)
        return fits(password, stored)

    monkeypatch.setattr(passwords, "fits", fits_and_deactivate)
    assert answer(ADA, PASSWORD) == "the e-mail address or the password is wrong"


def test_a_hash_of_older_parameters_is_replaced_at_log_in(
    migrated: Engine, ada: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = query(migrated, "SELECT password_hash FROM users")
    assert authenticate(ADA, PASSWORD) == ada
    assert query(migrated, "SELECT password_hash FROM users") == before
    monkeypatch.setattr(passwords, "PASSES", 2)
    fail()
    assert query(migrated, "SELECT password_hash FROM users") == before
    assert authenticate(ADA, PASSWORD) == ada
    [(after,)] = query(migrated, "SELECT password_hash FROM users")
    assert ",t=2," in str(after)
    assert authenticate(ADA, PASSWORD) == ada


@pytest.mark.slow
def test_unknown_and_known_addresses_take_the_same_time(migrated: Engine) -> None:
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    keeping.create(ADA, PASSWORD)
    for number in range(5):
        for kind, email in (("known", ADA), ("unknown", f"nobody{number}@example.com")):
            query(migrated, "DELETE FROM login_attempts")
            start = time.perf_counter()
            assert answer(email) == "the e-mail address or the password is wrong"
            took[kind].append(time.perf_counter() - start)
    assert 0.5 < statistics.median(took["unknown"]) / statistics.median(took["known"]) < 2


# --- how attempts are limited


def test_four_wrong_attempts_are_free_and_a_right_one_forgets_them(ada: UUID) -> None:
    for _ in range(3):
        fail(times=FREE)
        assert authenticate(ADA, PASSWORD) == ada


@pytest.mark.parametrize("email", [ADA, "nobody@example.com", "no address"])
def test_after_the_fifth_wrong_attempt_every_password_is_refused_whether_there_is_an_account_or_not(
    ada: UUID, email: str
) -> None:
    fail(email, FREE + 1)
    assert answer(email, PASSWORD) in range(25, 31)
    assert answer(email) in range(25, 31)


def test_waits_double_up_to_a_quarter_of_an_hour_and_end(migrated: Engine, ada: UUID) -> None:
    fail(times=FREE)
    for longest in (30, 60, 120, 240, 480, 900, 900):
        fail()
        assert answer(ADA, PASSWORD) in range(longest - 5, longest + 1)
        let_time_pass(migrated, f"{longest} seconds")
    assert authenticate(ADA, PASSWORD) == ada
    fail(times=FREE)
    assert authenticate(ADA, PASSWORD) == ada


def test_an_attempt_that_is_refused_while_waiting_does_not_lengthen_the_wait(migrated: Engine, ada: UUID) -> None:
    fail(times=FREE + 1)
    before = query(migrated, "SELECT failures, waits_until FROM login_attempts")
    assert isinstance(answer(ADA), int)
    assert query(migrated, "SELECT failures, waits_until FROM login_attempts") == before


def test_failures_are_forgotten_after_a_day(migrated: Engine, ada: UUID) -> None:
    fail(times=FREE)
    let_time_pass(migrated, "25 hours")
    fail(times=FREE)
    assert authenticate(ADA, PASSWORD) == ada


def test_a_source_waits_whichever_accounts_it_tries_and_others_do_not(ada: UUID) -> None:
    for number in range(FREE_OF_A_SOURCE + 1):
        fail(f"user{number}@example.com", source=SOURCE)
    assert answer(ADA, PASSWORD, SOURCE) in range(25, 31)
    assert answer(ADA, PASSWORD, "192.0.2.8") == str(ada)
    assert answer(ADA, PASSWORD) == str(ada)


def test_a_right_log_in_does_not_count_against_its_source_nor_wash_it_clean(migrated: Engine, ada: UUID) -> None:
    for number in range(5):
        fail(f"user{number}@example.com", source=SOURCE)
        assert answer(ADA, PASSWORD, SOURCE) == str(ada)
    assert query(migrated, "SELECT failures FROM login_attempts WHERE kind = 'source'") == [(5,)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:DB8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("kiosk", "desk", False),
    ],
)
def test_a_source_is_an_address_or_a_network_of_ipv6(
    migrated: Engine, cheap: None, one: str, other: str, same: bool
) -> None:
    fail(source=one)
    fail("bob@example.com", source=other)
    failures = query(migrated, "SELECT failures FROM login_attempts WHERE kind = 'source' ORDER BY 1")
    assert failures == ([(2,)] if same else [(1,), (1,)])


def test_of_fifty_wrong_attempts_at_once_five_are_examined(
    migrated: Engine, ada: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined = []
    fits = passwords.fits
    monkeypatch.setattr(passwords, "fits", lambda *words: examined.append(words) or fits(*words))
    answers = at_once(50, lambda: answer(ADA, source=SOURCE))
    assert answers.pop("the e-mail address or the password is wrong") == len(examined) == FREE + 1
    assert sum(answers.values()) == 45 and set(answers) <= set(range(20, 31))
    assert query(migrated, "SELECT kind, failures FROM login_attempts ORDER BY kind") == [
        ("account", FREE + 1),
        ("source", FREE + 1),
    ]


def test_fifty_addresses_at_once_count_against_one_source_exactly(migrated: Engine, cheap: None) -> None:
    numbers = iter(range(50))
    answers = at_once(50, lambda: answer(f"user{next(numbers)}@example.com", source=SOURCE))
    assert answers["the e-mail address or the password is wrong"] == FREE_OF_A_SOURCE + 1
    assert query(migrated, "SELECT failures FROM login_attempts WHERE kind = 'source'") == [
        (FREE_OF_A_SOURCE + 1,)
    ]


def test_old_attempts_are_cleared_and_no_address_can_be_read(migrated: Engine, ada: UUID) -> None:
    for number in range(12):
        fail(f"user{number}@example.com", source=f"192.0.2.{number}")
    let_time_pass(migrated, "2 days")
    for _ in range(3):
        fail()
    rows = query(migrated, "SELECT kind, subject FROM login_attempts")
    assert len(rows) == 1
    assert len(str(rows[0][1])) == 64


def test_the_functions_that_have_the_owners_rights_are_not_for_everybody(migrated: Engine) -> None:
    open_to_all = (
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        " AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))"
    )
    assert query(migrated, open_to_all) == []
    pinned = "SELECT bool_and(proconfig::text LIKE '%search_path=pg_catalog, public, pg_temp%'), count(*) >= 4"
    assert query(migrated, f"{pinned} FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef") == [
        (True, True)
    ]
