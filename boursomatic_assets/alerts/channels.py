"""Channels: how a message leaves: a webhook, mail, or a command.

What belongs here: sending, and why it failed, without any secret.
Kept elsewhere: the settings (`settings/alerts.py`), when it is sent again (`outbox.py`).
"""

import http.client
import json
import shlex
import smtplib
import ssl
import subprocess  # nosec B404
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from typing import Final
from urllib.parse import unquote, urlsplit

from boursomatic_assets.alerts.message import Message
from boursomatic_assets.alerts.unreachable import why
from boursomatic_assets.settings import SettingError
from boursomatic_assets.settings import alerts as settings

TIMEOUT_SECONDS, COMMAND_SECONDS = 10, 30

OTHER_NAME = (62, 64)
"""What OpenSSL says of a certificate that is for another host name, or another address."""


class AlertError(RuntimeError):
    """A message could not be sent; the text names the channel and why, and no address."""


Send = Callable[[Message], None]


def configured() -> dict[str, Send]:
    """Return the channels that the settings name, by name.

    Raises:
        SettingError: One of their settings is wrong.
    """
    found: dict[str, Send] = {}
    if settings.alert_webhook():
        found["webhook"] = _post
    if settings.alert_smtp() and not settings.alert_recipients():
        raise SettingError("BOURSOMATIC_ALERT_SMTP is set and BOURSOMATIC_ALERT_TO is not: set who is written to")
    if settings.alert_smtp():
        found["mail"] = _mail
    if settings.alert_command():
        found["command"] = _run
    return found


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A message goes where the settings say, and nowhere else."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


_OPENER: Final = urllib.request.build_opener(_NoRedirects)


def _post(message: Message) -> None:
    forms = {"json": message.as_json, "slack": message.as_slack, "teams": message.as_teams}
    form = settings.alert_format()
    body = forms[form]()
    if form == "json":
        body |= {"text": message.as_text()}
    request = urllib.request.Request(  # noqa: S310 - the settings allow http and https alone
        str(settings.alert_webhook()),
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "boursomatic"},
    )
    try:
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        error.close()
        raise AlertError(f"the webhook answers {error.code}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        _require_trust(reason, "webhook")
        raise AlertError(f"the webhook does not answer ({why(reason)})") from None


def _mail(message: Message) -> None:
    server = urlsplit(str(settings.alert_smtp()))
    mail = EmailMessage()
    mail["Subject"] = f"[boursomatic] {' '.join(message.headline.split())}"
    mail["From"], mail["To"] = settings.alert_sender(), ", ".join(settings.alert_recipients())
    mail.set_content(message.as_text())
    encrypted = server.scheme == "smtps"
    try:
        with _connect(
            str(server.hostname), server.port or (465 if encrypted else 25), encrypted=encrypted
        ) as smtp:
            if not encrypted and smtp.has_extn("starttls"):
                smtp.starttls(context=ssl.create_default_context())
                encrypted = True
            if server.username:
                _log_in(smtp, server.username, server.password or "", encrypted=encrypted)
            smtp.send_message(mail)
    except smtplib.SMTPResponseException as error:
        raise AlertError(f"the mail server answers {error.smtp_code}") from None
    except (OSError, smtplib.SMTPException) as error:
        _require_trust(error, "mail server")
        raise AlertError(f"the mail server does not take it ({why(error)})") from None


def _connect(host: str, port: int, *, encrypted: bool) -> smtplib.SMTP:
    if encrypted:
        context = ssl.create_default_context()
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        smtp = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    smtp.ehlo()
    return smtp


def _log_in(smtp: smtplib.SMTP, user: str, password: str, *, encrypted: bool) -> None:
    if not encrypted:
        raise AlertError("the mail server offers no encryption, so it is told no password: use smtps://")
    try:
        smtp.login(unquote(user), unquote(password))
    except UnicodeError:  # its text would show a letter of the password
        raise AlertError("the mail server's user or password has letters that are not ASCII") from None


def _require_trust(error: object, server: str) -> None:
    """Raise AlertError for a certificate that does not prove who the server is."""
    if isinstance(error, ssl.SSLCertVerificationError):
        wrong = "is for another name" if error.verify_code in OTHER_NAME else "is not trusted"
        raise AlertError(
            f"the {server}'s certificate {wrong}, so nothing is sent: use the name that it is for, or name"
            " the file of its authority in SSL_CERT_FILE"
        ) from None


def _run(message: Message) -> None:
    words = shlex.split(str(settings.alert_command()))
    try:
        done = subprocess.run(  # nosec B603
            words,
            input=json.dumps(message.as_json() | {"text": message.as_text()}).encode(),
            stdout=subprocess.DEVNULL,  # what it says may hold its secrets
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise AlertError(f"the command takes longer than {COMMAND_SECONDS} s") from None
    except OSError as error:
        raise AlertError(f"the command does not start: {error.strerror}") from None
    if done.returncode:
        raise AlertError(f"the command ends with {done.returncode}")
