"""The page `/metrics`, over HTTP.

What belongs here: who is answered, and what if a reading takes too long.
Kept elsewhere: what the page says (`reading.py`), which address it has (`BOURSOMATIC_METRICS`).
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from boursomatic_assets.metrics import descriptions
from boursomatic_assets.orchestration.web_requests import is_loopback

ANSWER_SECONDS = 8.0
"""When the page answers without figures; Prometheus waits for ten seconds, unless it is set otherwise."""

IDLE_SECONDS = 15
"""How long a client may keep a connection without asking."""

PLAIN = "text/plain; charset=utf-8"

Read = Callable[[], list[Metric]]

logger = logging.getLogger(__name__)


class Page(Collector):
    """What a reading found, as Prometheus' library takes it."""

    def __init__(self, metrics: list[Metric]) -> None:
        self.metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        return iter(self.metrics)


class SharedReading:
    """One reading at a time; whoever asks meanwhile waits for the same one, and nobody for longer than allowed."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._present: Future[list[Metric]] | None = None

    def get(self) -> list[Metric]:
        """The figures; that nothing is up if it takes too long, whatever it waits for."""
        with self._lock:
            present = self._present
            if present is None or present.done():
                present = self._present = Future()
                threading.Thread(target=self._fill, args=(present,), daemon=True).start()
        try:
            return present.result(ANSWER_SECONDS)
        except TimeoutError:
            logger.error("no figures: the databases have not answered for %g s", ANSWER_SECONDS)
            return descriptions.families([descriptions.UP.of(0)])

    def _fill(self, reading: "Future[list[Metric]]") -> None:
        try:
            reading.set_result(self._read())
        except Exception as error:
            reading.set_exception(error)


class MetricsServer(ThreadingHTTPServer):
    """Serves the page at an address until it is shut down."""

    def __init__(self, host: str, port: int, read: Read) -> None:
        """Listen."""
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.reading, self.is_private = SharedReading(read), is_loopback(host)
        super().__init__((host, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer /metrics, and no foreign page that has rebound its name to this machine."""
        if self.server.is_private and not is_loopback(_host(self.headers.get("Host", ""))):
            self._answer(HTTPStatus.FORBIDDEN, PLAIN, b"refused: there is no such host here\n")
        elif self.path.partition("?")[0] != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, PLAIN, b"the page is /metrics\n")
        else:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encode(Page(self.server.reading.get())))

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # the figures are in the databases, for the next who asks
            logger.warning("whoever asked for /metrics was gone before the answer: is its time limit below 10 s?")

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a request every few seconds is no news."""


def _host(header: str) -> str:
    """The host that was asked for, without its port; empty if that cannot be read."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:  # it is no host, and so none of ours
        return ""
