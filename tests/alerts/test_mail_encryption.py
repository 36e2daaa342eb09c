"""Mail over TLS: a password goes to a server that is trusted alone, with STARTTLS as with implicit TLS."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine
from worlds.commands import SECRET
from worlds.inbox import Inbox, certified, mail_server

from boursomatic_assets.alerts import outbox
from boursomatic_assets.alerts.channels import AlertError, configured
from boursomatic_assets.alerts.message import Message

NOON = dt.datetime(2024, 6, 13, 12)
LATE = Message("freshness|US", "problem", "US is 1 session behind")

both_ways = pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "smtps"])


@contextmanager
def server(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str = "IP:127.0.0.1",
    *,
    implicit: bool,
    trusted: bool = True,
) -> Iterator[Inbox]:
    """An encrypted mail server, set with a password; this process may trust its certificate."""
    context, certificate = certified(folder, name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(context, implicit=implicit) as inbox:
        monkeypatch.setenv("BOURSOMATIC_ALERT_SMTP", inbox.address.replace("//", f"//ada:{SECRET}@"))
        monkeypatch.setenv("BOURSOMATIC_ALERT_TO", "ada@example.com")
        yield inbox


@both_ways
def test_a_trusted_server_gets_the_password_encrypted_and_then_the_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, implicit: bool
) -> None:
    with server(tmp_path, monkeypatch, implicit=implicit) as inbox:
        configured()["mail"](LATE)
    assert inbox.logins == [(f"\0ada\0{SECRET}", True)]
    assert [mail["Subject"] for mail in inbox.mails] == ["[boursomatic] PROBLEM: US is 1 session behind"]


@both_ways
def test_a_server_that_is_not_trusted_gets_nothing_and_the_alert_waits(
    migrated: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, implicit: bool
) -> None:
    with server(tmp_path, monkeypatch, implicit=implicit, trusted=False) as inbox:
        outbox.raise_messages(["mail"], [LATE], {}, NOON)
        (problem,) = outbox.send_pending(configured(), NOON)
        assert problem == (
            "mail: the mail server's certificate is not trusted, so nothing is sent: use the name that it is for,"
            " or name the file of its authority in SSL_CERT_FILE"
        )
        assert (inbox.logins, inbox.mails) == ([], [])
        with migrated.connect() as connection:
            row = connection.exec_driver_sql("SELECT error, sent_at FROM alerts").one()
        assert tuple(row) == (problem.removeprefix("mail: "), None)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert outbox.send_pending(configured(), NOON + dt.timedelta(minutes=1)) == []
        assert len(inbox.mails) == 1


@both_ways
def test_a_certificate_for_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, implicit: bool
) -> None:
    with (
        server(tmp_path, monkeypatch, "DNS:mail.example.com", implicit=implicit) as inbox,
        pytest.raises(AlertError, match="the mail server's certificate is for another name, so nothing is sent"),
    ):
        configured()["mail"](LATE)
    assert (inbox.logins, inbox.mails) == ([], [])


def test_a_password_that_smtp_cannot_take_is_an_error_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(tmp_path, monkeypatch, implicit=True) as inbox:
        monkeypatch.setenv("BOURSOMATIC_ALERT_SMTP", inbox.address.replace("//", "//ada:gehe%C3%ADm@"))
        with pytest.raises(
            AlertError, match=r"^the mail server's user or password has letters that are not ASCII$"
        ):
            configured()["mail"](LATE)
    assert inbox.mails == []


def test_encryption_that_the_server_does_not_speak_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as inbox:
        address = inbox.address.replace("smtp://", f"smtps://ada:{SECRET}@")
        monkeypatch.setenv("BOURSOMATIC_ALERT_SMTP", address)
        monkeypatch.setenv("BOURSOMATIC_ALERT_TO", "ada@example.com")
        with pytest.raises(
            AlertError, match=r"^the mail server does not take it \(no encrypted connection can be made\)$"
        ):
            configured()["mail"](LATE)
    assert (inbox.logins, inbox.mails) == ([], [])
