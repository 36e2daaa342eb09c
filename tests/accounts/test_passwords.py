"""Passwords: which are accepted, how they are hashed, and hashes that cannot be read."""

import statistics
import time

import pytest
from passlib.hash import argon2

from boursomatic_assets.accounts import passwords
from boursomatic_assets.accounts.passwords import PasswordError

GOOD = "correct horse battery"
COMPOSED, DECOMPOSED = "\u00e9t\u00e9 \u00e0 la plage", "e\u0301te\u0301 a\u0300 la plage"


def test_a_hash_is_argon2id_of_64_mib_three_passes_and_four_lanes() -> None:
    assert passwords.hashed(GOOD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_password_fits_its_own_hash_alone(cheap: None) -> None:
    stored = passwords.hashed(GOOD)
    assert passwords.fits(GOOD, stored)
    assert not passwords.fits(GOOD.upper(), stored)
    assert passwords.hashed(GOOD) != stored


def test_two_spellings_of_a_letter_are_one_password(cheap: None) -> None:
    assert passwords.fits(DECOMPOSED, passwords.hashed(COMPOSED))


@pytest.mark.parametrize("length", [8, 128, passwords.LONGEST])
def test_a_password_may_have_8_to_1024_characters_each_of_which_counts(cheap: None, length: int) -> None:
    password = "\U0001f511" * length
    stored = passwords.hashed(password)
    assert passwords.fits(password, stored)
    assert not passwords.fits(password[:-1], stored)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("seven77", "fewer than 8 characters"),
        ("e\u0301" * 7, "fewer than 8 characters"),
        ("a" * (passwords.LONGEST + 1), "more than 1024 characters"),
        ("\u0958" * passwords.LONGEST, "more than 1024 characters"),  # NFC makes two of each
        ("correct\0horse", "a NUL"),
        ("correct\udcffhorse", "no text"),
    ],
    ids=["short", "short in NFC", "long", "long in NFC", "NUL", "no text"],
)
def test_other_passwords_are_refused_without_showing_them(cheap: None, password: str, why: str) -> None:
    with pytest.raises(PasswordError, match=why) as refusal:
        passwords.hashed(password)
    assert password not in str(refusal.value)
    assert len(str(refusal.value)) < 120


@pytest.mark.parametrize(
    "stored", ["!", "", "$2b$12$abc", "$argon2id$v=19$m=65536,t=3,p=4$...", "$argon2id$v=19$x"]
)
def test_no_password_fits_what_is_no_hash_and_the_log_does_not_show_it(
    cheap: None, stored: str, absorbed_errors: list[str]
) -> None:
    assert not passwords.fits(GOOD, stored)
    assert len(absorbed_errors) == 1
    assert "until the password is set anew" in absorbed_errors[0]
    assert "$" not in absorbed_errors[0]


@pytest.mark.parametrize("password", ["a\0b", "\udcff", "a" * 5_000, ""])
def test_what_cannot_be_a_password_fits_nothing(cheap: None, password: str) -> None:
    assert not passwords.fits(password, passwords.hashed(GOOD))
    assert not passwords.fits(password, None)


@pytest.mark.slow
def test_no_hash_takes_the_time_of_a_hash() -> None:
    stored = passwords.hashed(GOOD)
    cases = {"wrong": stored, "none": None}
    took: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(5):
        for case, known in cases.items():
            start = time.perf_counter()
            assert not passwords.fits("another password", known)
            took[case].append(time.perf_counter() - start)
    ratio = statistics.median(took["none"]) / statistics.median(took["wrong"])
    assert 0.5 < ratio < 2


def test_a_hash_is_made_anew_when_parameters_rise_and_never_when_they_fall(
    cheap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = passwords.hashed(GOOD)
    assert passwords.hashed_anew(GOOD, stored) is None
    for name, value in (("MEMORY_KIB", 2 * passwords.MEMORY_KIB), ("PASSES", 2)):
        with monkeypatch.context() as raised:
            raised.setattr(passwords, name, value)
            renewed = passwords.hashed_anew(GOOD, stored)
            assert renewed and passwords.fits(GOOD, renewed)
        assert passwords.hashed_anew(GOOD, renewed) is None
    of_another_kind = argon2.using(type="I", memory_cost=64, rounds=2).hash(GOOD)
    assert passwords.hashed_anew(GOOD, of_another_kind)
