"""Servers on this machine that take alerts: one for webhooks, one for mail; both keep what came."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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
def mail_server() -> Iterator[Inbox]:
    """A server that takes mail, without encryption."""
    inbox = Inbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 ready")
            for line in self.rfile:
                word = line.decode().strip().partition(" ")[0].upper()
                if word == "DATA":
                    self.say("354 go on")
                    self.take()
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("451 later" if word == "MAIL" and inbox.refuses else "250 fine")

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
        inbox.address = f"smtp://127.0.0.1:{port}"
        yield inbox


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
