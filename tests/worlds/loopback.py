"""A service of the network on this machine: it answers as it is told, byte for byte."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import polars as pl

from boursomatic_assets.sources import INSTRUMENTS
from boursomatic_assets.sources.network.services import PacedClient

Query = dict[str, str]
"""What was asked: the path, and what stood behind the question mark."""


@dataclass
class Response:
    """An answer; `cut` bytes of its body are announced and not sent."""

    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


@dataclass
class Service:
    """Where a service is, and what it was asked so far."""

    address: str
    queries: list[Query]


@contextmanager
def serve(answer: Callable[[Query], Response]) -> Iterator[Service]:
    """A server on 127.0.0.1 that answers each question so."""
    asked: list[Query] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            question = {"path": parts.path} | dict(parse_qsl(parts.query))
            asked.append(question)
            told = answer(question)
            body = told.body.encode() if isinstance(told.body, str) else told.body
            self.send_response(told.status)
            for name, value in {"Content-Length": str(len(body)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) - told.cut])

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Service(f"http://127.0.0.1:{server.server_port}/", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer_in_turn(*answers: Response) -> Callable[[Query], Response]:
    """One answer after the other; the last one stays."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def instruments_of(**exchanges: str) -> pl.DataFrame:
    """Instruments, each with its exchange; a symbol's dot is written as two underscores."""
    pairs = [{"symbol": name.replace("__", "."), "exchange": exchange} for name, exchange in exchanges.items()]
    return pl.DataFrame(pairs, schema=INSTRUMENTS)


def quick_client() -> PacedClient:
    """A line that waits for nothing longer than a moment."""
    return PacedClient(seconds_between_requests=0, attempts=3, first_wait=0.001)
