"""The page of the metrics as Prometheus sees it: over HTTP, read by its own parser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from boursomatic_assets.metrics.reading import Readings
from boursomatic_assets.metrics.server import MetricsServer, Read
from worlds.ui import ask

Labels = dict[str, str]


class Scrape:
    """What a page said."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.families: dict[str, Metric] = {one.name: one for one in text_string_to_metric_families(page)}
        self.series = [
            (one.name, one.labels, one.value) for family in self.families.values() for one in family.samples
        ]

    def value(self, name: str, **labels: str) -> float:
        """The value of the one series with these labels."""
        (found,) = (value for one, own, value in self.series if (one, own) == (f"boursomatic_{name}", labels))
        return float(found)

    def values(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values of a metric by those of its labels."""
        return {
            tuple(own[label] for label in labels): value
            for one, own, value in self.series
            if one == f"boursomatic_{name}"
        }


@contextmanager
def served(read: Read | None = None) -> Iterator[int]:
    """A server of the page on loopback; its port."""
    server = MetricsServer("127.0.0.1", 0, read or Readings().read)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def scrape(port: int) -> Scrape:
    """Ask for the page."""
    status, page = ask(port, path="/metrics")
    assert status == 200, page
    return Scrape(page)
