"""Servers on this machine that take alerts: one for webhooks, one for mail; both keep what came."""

import json
import shutil
import socketserver
import ssl
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Inbox:
    """What came, and how the server answers.

    Attributes:
        address: Where it is.
        taken: The bodies of a webhook's requests.
        mails: The messages of a mail server.
        status: What a webhook is answered.
        refuses: Whether the mail server takes nothing for now.
    """

    address: str = ""
    taken: list[dict[str, Any]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    status: int = 200
    refuses: bool = False
    logins: list[tuple[str, bool]] = field(default_factory=list)
    """The names and passwords that a mail server was given, each with whether the connection was encrypted."""


@contextmanager
def webhook() -> Iterator[Inbox]:
    """A server that takes what is posted to it."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if inbox.status == 200:
                inbox.taken.append(json.loads(body))
            self.send_response(inbox.status)
            self.send_header("Location", f"{inbox.address}elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        inbox.address = f"http://127.0.0.1:{port}/"
        yield inbox


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None, *, implicit: bool = False) -> Iterator[Inbox]:
    """A server that takes mail: in plain text, with STARTTLS if it has a context, or encrypted from the start."""
    inbox = Inbox()

    class Handler(socketserver.StreamRequestHandler):
        encrypted = False

        def handle(self) -> None:
            if implicit and not self.encrypt():
                return
            self.say("220 ready")
            while line := self.rfile.readline():
                word, _, rest = line.decode().strip().partition(" ")
                if not self.answer(word.upper(), rest):
                    return

        def answer(self, word: str, rest: str) -> bool:
            """Answer a line; whether the connection goes on."""
            if word == "EHLO":
                offers = ["AUTH PLAIN"] if self.encrypted else ["STARTTLS"] if tls else []
                self.say("\r\n".join(["250-here", *(f"250-{offer}" for offer in offers), "250 fine"]))
            elif word == "STARTTLS":
                self.say("220 go on")
                return self.encrypt()
            elif word == "AUTH":
                inbox.logins.append((b64decode(rest.split()[1]).decode(), self.encrypted))
                self.say("235 welcome")
            elif word == "DATA":
                self.say("354 go on")
                self.take()
            elif word == "QUIT":
                self.say("221 bye")
                return False
            else:
                self.say("451 later" if word == "MAIL" and inbox.refuses else "250 fine")
            return True

        def encrypt(self) -> bool:
            """Go on encrypted; False if the client does not trust the certificate."""
            assert tls
            try:
                self.request = tls.wrap_socket(self.request, server_side=True)
            except OSError:
                return False
            self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)
            self.encrypted = True
            return True

        def finish(self) -> None:
            """Close what was opened."""
            super().finish()
            self.request.close()

        def take(self) -> None:
            lines = []
            for line in self.rfile:
                if line == b".\r\n":
                    break
                lines.append(line.decode())
            inbox.mails.append(message_from_string("".join(lines), policy=policy.default))  # type: ignore[arg-type]
            self.say("250 taken")

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        inbox.address = f"{'smtps' if implicit else 'smtp'}://127.0.0.1:{port}"
        yield inbox


def certified(folder: Path, name: str = "IP:127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of its own for a name, and the file of that certificate."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("a certificate is made by openssl, which is not installed")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=mail", "-addext", f"subjectAltName={name}", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
