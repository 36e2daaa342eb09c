"""Commands about accounts: what they do and print, where passwords come from, and what an account is shown."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine
from worlds.accounts import ADA, PASSWORD, query
from worlds.commands import boursomatic, error_line
from worlds.platform import INSTRUMENTS

from boursomatic_assets.accounts import keeping
from boursomatic_assets.cli.main import main

ANOTHER_PASSWORD = "battery staple horse"


def users(*words: str, line: str | bytes = "") -> Result:
    """Run `boursomatic users` with a line of standard input."""
    return CliRunner().invoke(main, ["users", *words], input=line)


def shown(email: str = ADA) -> dict[str, object]:
    found: dict[str, object] = json.loads(users("show", email, "--json").stdout)
    return found


def test_an_account_from_its_creation_to_its_erasure(migrated: Engine, cheap: None) -> None:
    created = users("create", "Ada@Example.com", "--admin", line=f"{PASSWORD}\n")
    assert created.exit_code == 0 and created.stdout.split()[0] == ADA
    account_id = created.stdout.split()[1]
    logged_in = users("login", ADA, "--source", "192.0.2.7", line=f"{PASSWORD}\r\n")
    assert (logged_in.exit_code, logged_in.stdout.strip()) == (0, account_id)
    assert users("passwd", ADA, line=ANOTHER_PASSWORD).exit_code == 0
    assert users("login", ADA, line=PASSWORD).exit_code == 1
    assert users("settings", ADA, "--profile", "aggressive").exit_code == 0
    assert "aggressive" in users("settings", ADA).stdout
    assert users("consent", ADA).exit_code == 0
    assert shown() | {"created_at": "", "consent_at": ""} == {
        **{"email": ADA, "id": account_id, "state": "active", "admin": True, "created_at": ""},
        **{"profile": "aggressive", "consent": True, "consent_at": ""},
    }
    assert shown()["consent_at"]
    assert users("consent", ADA, "--withdraw").exit_code == 0
    assert (shown()["consent"], shown()["consent_at"]) == (False, None)
    for command, state in (("deactivate", "deactivated"), ("restore", "active"), ("deactivate", "deactivated")):
        assert users(command, ADA).stdout.split() == [ADA, account_id, state]
    released = users("release", ADA).stdout.split()
    assert released[1:] == [account_id, "released"]
    assert users("erase", released[0]).stdout.split()[1:] == [account_id, "erased"]
    assert [(row["id"], row["state"]) for row in json.loads(users("list", "--json").stdout)] == [
        (account_id, "erased")
    ]


def test_accounts_are_listed_with_their_state_and_never_with_a_hash(ada: UUID) -> None:
    assert "no accounts" not in users("list").stdout
    for output in (users("list").stdout, users("list", "--json").stdout, users("show", ADA).stdout):
        assert ADA in output and str(ada) in output and "active" in output
        assert "argon2" not in output
    assert users("list").stdout.splitlines()[0].split() == ["email", "id", "state", "admin", "created_at"]


def test_without_accounts_the_list_is_empty(migrated: Engine) -> None:
    assert "`boursomatic users create EMAIL` makes one" in users("list").stdout
    assert json.loads(users("list", "--json").stdout) == []


REFUSED = {
    "a taken address": (("create", "ADA@example.com"), PASSWORD, "has an account already"),
    "no address": (("create", "ada"), PASSWORD, "write NAME@DOMAIN"),
    "a short password": (("create", "bob@example.com"), "short", "fewer than 8 characters"),
    "no password": (("create", "bob@example.com"), "", "no password came"),
    "no text": (("create", "bob@example.com"), b"\xff\xfe secret\n", "no text in UTF-8"),
    "a NUL": (("create", "bob@example.com"), "secret\0secret", "a NUL"),
    "a wrong password": (("login", ADA), "wrong password", "the e-mail address or the password is wrong"),
    "an unknown address": (("login", "bob@example.com"), PASSWORD, "the e-mail address or the password is wrong"),
    "an unknown account": (("consent", "bob@example.com"), "", "there is no account of bob@example.com"),
    "an active account": (("erase", ADA), "", "deactivate it first"),
    "the last line only": (("login", ADA), f"\n{PASSWORD}\n", "the password is wrong"),
}


@pytest.mark.parametrize(("words", "line", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_said_in_a_sentence_with_exit_code_1(
    ada: UUID, words: tuple[str, ...], line: str | bytes, why: str
) -> None:
    result = users(*words, line=line)
    assert result.exit_code == 1
    assert why in error_line(result)
    assert "secret" not in result.output


def test_an_account_that_waits_says_for_how_long(ada: UUID) -> None:
    for _ in range(5):
        users("login", ADA, line="wrong password")
    assert "wait 30 s, then" in error_line(users("login", ADA, line=PASSWORD)).replace("29", "30")


@pytest.mark.parametrize(
    "words",
    [
        ("settings", ADA, "--profile", "reckless"),
        ("create", ADA, "--password", PASSWORD),
        ("login", ADA, PASSWORD),
    ],
)
def test_a_password_as_an_argument_and_an_unknown_profile_are_wrong_calls(
    ada: UUID, words: tuple[str, ...]
) -> None:
    assert users(*words).exit_code == 2


@pytest.mark.slow
def test_at_a_terminal_a_password_is_asked_for_twice_and_never_shown(migrated: Engine, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    program = [sys.executable, "-c", "from boursomatic_assets.cli import main; main()", "users", "create", ADA]
    process = subprocess.Popen(
        program, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=os.environ
    )
    os.close(theirs)
    screen = answer(ours, PASSWORD, 2)
    assert process.wait(timeout=60) == 0
    assert "assword: " in screen and "confirmation" in screen
    assert PASSWORD not in screen
    assert [email for (email,) in query(migrated, "SELECT email FROM users")] == [ADA]


def answer(terminal: int, line: str, prompts: int) -> str:
    """Type a line at each of some prompts, and return all that the terminal showed."""
    screen = ""
    try:
        while chunk := os.read(terminal, 1_024).decode():
            screen += chunk
            if prompts and chunk.endswith(": "):
                os.write(terminal, f"{line}\n".encode())
                prompts -= 1
    except OSError:  # the program has ended, and its side is closed
        pass
    os.close(terminal)
    return screen


# --- recommendations


@pytest.fixture
def reader(filled: Engine, cheap: None) -> str:
    """The address of an account on the small platform that prefers the conservative profile."""
    keeping.create(ADA, PASSWORD)
    users("settings", ADA, "--profile", "conservative")
    return ADA


def test_an_account_is_shown_its_profile_once_it_accepts_the_risks(reader: str) -> None:
    words = ("recommendations", "--user", reader)
    assert "has not accepted the risk disclosure" in error_line(boursomatic(*words))
    users("consent", reader)
    found = json.loads(boursomatic(*words, "--json").stdout)
    assert found == json.loads(boursomatic("recommendations", "--profile", "conservative", "--json").stdout)
    assert len(found) == 2 * INSTRUMENTS
    of_us = json.loads(boursomatic(*words, "--market", "US", "--json").stdout)
    assert len(of_us) == INSTRUMENTS
    symbol = of_us[0]["symbol"]
    assert [row["symbol"] for row in json.loads(boursomatic(*words, "--symbol", symbol, "--json").stdout)] == [
        symbol
    ]
    assert boursomatic(*words, "--all").stdout.count("conservative") == 2 * INSTRUMENTS
    assert "there are no such recommendations" in error_line(boursomatic(*words, "--symbol", "NONE"))
    users("consent", reader, "--withdraw")
    assert "has not accepted the risk disclosure" in error_line(boursomatic(*words))


def test_an_account_that_is_deactivated_unknown_or_without_profile_is_shown_none(
    filled: Engine, reader: str
) -> None:
    users("consent", reader)
    words = ("recommendations", "--user", reader)
    query(filled, "UPDATE user_settings SET preferred_profile = NULL")
    assert "prefers no profile" in error_line(boursomatic(*words))
    users("deactivate", reader)
    assert "is deactivated" in error_line(boursomatic(*words))
    assert "there is no such account" in error_line(boursomatic("recommendations", "--user", "bob@example.com"))
    assert "NAME@DOMAIN" in error_line(boursomatic("recommendations", "--user", "bob"))


@pytest.mark.parametrize("option", [("--profile", "moderate"), ("--date", "2024-01-10")])
def test_a_profile_or_a_date_beside_an_account_is_a_wrong_call(option: tuple[str, str]) -> None:
    assert boursomatic("recommendations", "--user", ADA, *option).exit_code == 2
