"""Channels: a message arrives as it is to be read, and a failure says why without any secret."""

import datetime as dt
import errno
import json
import smtplib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine
from worlds.commands import SECRET, boursomatic, error_line
from worlds.inbox import Inbox, mail_server, webhook

from boursomatic_assets import settings
from boursomatic_assets.alerts import channels, outbox
from boursomatic_assets.alerts.channels import AlertError, configured
from boursomatic_assets.alerts.message import Message
from boursomatic_assets.alerts.unreachable import why
from boursomatic_assets.automation.alerts import tell

LATE = Message(
    subject="freshness|US",
    kind="problem",
    title="US is 2 sessions behind",
    market="US",
    sessions=("2024-06-11", "2024-06-12"),
    rule="freshness",
    rows=1234,
    detail="a < b & c",
    link="https://dagster.example.com/assets/x",
)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with webhook() as inbox:
        monkeypatch.setenv("BOURSOMATIC_ALERT_WEBHOOK", inbox.address + SECRET)
        yield inbox


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    with mail_server() as inbox:
        monkeypatch.setenv("BOURSOMATIC_ALERT_SMTP", inbox.address)
        monkeypatch.setenv("BOURSOMATIC_ALERT_TO", "ada@example.com, bob@example.com")
        yield inbox


def test_a_webhook_takes_all_facts_as_json(hook: Inbox) -> None:
    configured()["webhook"](LATE)
    (body,) = hook.taken
    assert Message.from_json({name: value for name, value in body.items() if name != "text"}) == LATE
    assert body["text"].splitlines()[:3] == [
        "PROBLEM: US is 2 sessions behind",
        "market: US",
        "sessions: 2024-06-11, 2024-06-12",
    ]


def test_slack_takes_a_text_without_its_special_signs(hook: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_ALERT_FORMAT", "slack")
    configured()["webhook"](LATE)
    (body,) = hook.taken
    assert set(body) == {"text"}
    assert "detail: a &lt; b &amp; c" in body["text"]
    assert "rows: 1,234" in body["text"]


def test_teams_takes_a_card_with_the_facts_and_a_button(hook: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_ALERT_FORMAT", "teams")
    configured()["webhook"](LATE)
    (body,) = hook.taken
    card = body["attachments"][0]["content"]
    assert (body["type"], card["type"]) == ("message", "AdaptiveCard")
    assert card["body"][0]["text"] == "PROBLEM: US is 2 sessions behind"
    assert {"title": "market", "value": "US"} in card["body"][1]["facts"]
    assert card["actions"][0]["url"] == LATE.link


def test_mail_has_the_headline_as_its_subject(post: Inbox) -> None:
    configured()["mail"](LATE)
    (mail,) = post.mails
    assert mail["Subject"] == "[boursomatic] PROBLEM: US is 2 sessions behind"
    assert mail["To"] == "ada@example.com, bob@example.com"
    assert "sessions: 2024-06-11, 2024-06-12" in mail.get_content()


def test_a_title_of_several_lines_adds_no_header_to_a_mail(post: Inbox) -> None:
    configured()["mail"](Message("x", "problem", "bad\r\nBcc: eve@example.com"))
    (mail,) = post.mails
    assert mail["Bcc"] is None
    assert mail["Subject"] == "[boursomatic] PROBLEM: bad Bcc: eve@example.com"


def test_a_command_is_given_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told of it.json"
    program = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    monkeypatch.setenv("BOURSOMATIC_ALERT_COMMAND", f'{sys.executable} -c "{program}" "{told}"')
    configured()["command"](LATE)
    assert json.loads(told.read_text())["title"] == LATE.title


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_does_not_take_it_is_an_error_without_its_address(hook: Inbox, status: int) -> None:
    """A redirect is not followed: the message is for the address of the settings."""
    hook.status = status
    with pytest.raises(AlertError, match=f"^the webhook answers {status}$"):
        configured()["webhook"](LATE)
    assert hook.taken == []


def test_a_webhook_that_is_gone_is_an_error_without_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_ALERT_WEBHOOK", f"http://127.0.0.1:1/{SECRET}")
    with pytest.raises(AlertError, match=r"^the webhook does not answer \(connection refused\)$"):
        configured()["webhook"](LATE)


def test_a_mail_server_that_is_gone_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_ALERT_SMTP", "smtp://127.0.0.1:1")
    monkeypatch.setenv("BOURSOMATIC_ALERT_TO", "ada@example.com")
    with pytest.raises(AlertError, match=r"^the mail server does not take it \(connection refused\)$"):
        configured()["mail"](LATE)


def test_a_server_that_speaks_something_else_is_an_error_in_words(
    post: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail server greets whoever comes, and that is no HTTP."""
    monkeypatch.setenv("BOURSOMATIC_ALERT_WEBHOOK", post.address.replace("smtp", "http"))
    with pytest.raises(AlertError, match=r"^the webhook does not answer \(its answer is not understood\)$"):
        configured()["webhook"](LATE)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, SECRET), "no such host"),
        (TimeoutError("The read operation timed out"), "timed out"),
        (ConnectionResetError(), "connection closed"),
        (smtplib.SMTPServerDisconnected(SECRET), "connection closed"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "network is unreachable"),
        (ValueError(SECRET), "the connection fails"),
    ],
)
def test_no_class_of_a_library_is_named(error: Exception, words: str) -> None:
    assert why(error) == words


def test_a_mail_server_is_told_no_password_without_encryption(
    post: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_ALERT_SMTP", post.address.replace("//", f"//ada:{SECRET}@"))
    with pytest.raises(AlertError, match="offers no encryption, so it is told no password: use smtps://"):
        configured()["mail"](LATE)
    assert post.mails == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (f"{sys.executable} -c 'raise SystemExit(3)'", "^the command ends with 3$"),
        ("/no/such/program --x", "^the command does not start: No such file or directory$"),
    ],
)
def test_a_command_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch, command: str, why: str) -> None:
    monkeypatch.setenv("BOURSOMATIC_ALERT_COMMAND", command)
    with pytest.raises(AlertError, match=why):
        configured()["command"](LATE)


FAILING_COMMANDS = {
    "fails": (
        f'{sys.executable} -c \'print("{SECRET}"); raise SystemExit("{SECRET}")\'',
        "the command ends with 1",
    ),
    "speaks no text": (f"sh -c 'printf \\\\377; exit 3' {SECRET}", "the command ends with 3"),
    "is not there": (f"/no/such/{SECRET} {SECRET}", "the command does not start: No such file or directory"),
    "takes long": (f"sh -c 'exec sleep 60' {SECRET}", "the command takes longer than 0.05 s"),
}


@pytest.mark.parametrize("how", FAILING_COMMANDS)
def test_nothing_of_a_command_that_fails_is_shown_or_kept(
    migrated: Engine,
    dagster_instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    how: str,
) -> None:
    """A whole round of the sensor: its tick, its log, its cursor, and the table of alerts."""
    command, why = FAILING_COMMANDS[how]
    monkeypatch.setenv("BOURSOMATIC_ALERT_COMMAND", command)
    monkeypatch.setattr(channels, "COMMAND_SECONDS", 0.05 if how == "takes long" else 30)
    outbox.raise_messages(["command"], [Message("x", "problem", "bad")], {}, dt.datetime(2024, 6, 13))
    with dg.build_sensor_context(instance=dagster_instance) as context:
        tick = tell(context)
    assert isinstance(tick, dg.SensorResult)
    assert tick.skip_reason == dg.SkipReason(f"0 new messages; command: {why}")
    with migrated.connect() as connection:
        kept = connection.exec_driver_sql("SELECT to_jsonb(a) FROM alerts a").scalars().all()
    assert [row["error"] for row in kept] == [why]
    shown = capfd.readouterr()
    assert SECRET not in f"{tick} {kept} {caplog.text} {shown.out} {shown.err}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BOURSOMATIC_ALERT_WEBHOOK", f"file:///{SECRET}"),
        ("BOURSOMATIC_ALERT_WEBHOOK", f"http://ada:{SECRET}@host/hook"),
        ("BOURSOMATIC_ALERT_SMTP", f"imap://ada:{SECRET}@host"),
        ("BOURSOMATIC_ALERT_SMTP", f"smtp://ada:{SECRET}@x@host"),
        ("BOURSOMATIC_ALERT_COMMAND", f"tell --token '{SECRET}"),
    ],
)
def test_a_wrong_address_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(settings.SettingError, match=f"^{variable} is no ") as raised:
        configured()
    assert SECRET not in str(raised.value)
    assert SECRET not in boursomatic("settings").output


def test_the_command_sends_through_each_channel_and_fails_if_one_does(
    hook: Inbox, post: Inbox, home: Path
) -> None:
    done = boursomatic("alerts", "test")
    assert (done.exit_code, done.stdout.splitlines()) == (0, ["webhook: sent", "mail: sent"])
    post.refuses = True
    failed = boursomatic("alerts", "test")
    assert error_line(failed) == "error: mail: the mail server answers 451"
    assert failed.stdout.splitlines() == ["webhook: sent"]
    assert SECRET not in done.output + failed.output


def test_the_command_says_that_no_channel_is_set(home: Path) -> None:
    assert "no channel is set: set BOURSOMATIC_ALERT_WEBHOOK" in error_line(boursomatic("alerts", "test"))


def test_the_command_names_what_is_missing_of_mail(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_ALERT_SMTP", "smtp://127.0.0.1:1")
    assert error_line(boursomatic("alerts", "test")) == (
        "error: BOURSOMATIC_ALERT_SMTP is set and BOURSOMATIC_ALERT_TO is not: set who is written to"
    )
