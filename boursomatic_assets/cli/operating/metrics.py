"""`boursomatic metrics`: the figures of the platform for Prometheus.

What belongs here: the command, and whether `boursomatic dev` starts it. Kept elsewhere: the figures and their page
(`metrics/`), how it is started there (`services.py`).

It is a process of its own: Dagster's daemon has no place for a server, and the code that it runs ends.
"""

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from boursomatic_assets.cli.common import one_line_errors, require_free

if TYPE_CHECKING:
    from boursomatic_assets.metrics.server import MetricsServer


@click.command()
@click.option("--once", is_flag=True, help="Print the page instead; exit code 1 if a figure cannot be read.")
@one_line_errors
def metrics(once: bool) -> None:
    """Serve the figures of the platform to Prometheus, at the address of BOURSOMATIC_METRICS."""
    from boursomatic_assets import settings

    settings.require_valid()
    if once:
        _print_page()
        return
    address = settings.metrics_address()
    if address is None:
        raise ValueError("BOURSOMATIC_METRICS is not set: set it to an address such as 127.0.0.1:9464")
    require_free_metrics()
    _serve_until_stopped(_listen(*address))


def _print_page() -> None:
    from prometheus_client.exposition import generate_latest

    from boursomatic_assets.metrics.descriptions import UP
    from boursomatic_assets.metrics.reading import Readings
    from boursomatic_assets.metrics.server import Page

    found = Readings().read()
    click.echo(generate_latest(Page(found)).decode(), nl=False)
    up = next(metric for metric in found if metric.name == UP.full_name)
    sys.exit(0 if up.samples[0].value else 1)


def _listen(host: str, port: int) -> "MetricsServer":
    """Open the server, and say who reaches it.

    Raises:
        RuntimeError: The address is none of this machine.
    """
    from boursomatic_assets.metrics.reading import Readings
    from boursomatic_assets.metrics.server import MetricsServer

    readings = Readings()
    try:
        server = MetricsServer(host, port, readings.read)
    except OSError as error:
        raise RuntimeError(
            f"{host}:{port} cannot be listened at ({error.strerror}): set BOURSOMATIC_METRICS to an address of"
            " this machine"
        ) from None
    if not server.is_private:
        click.echo(
            f"warning: whoever reaches port {port} of {host} may read the metrics, without a password and"
            " unencrypted; let a firewall admit Prometheus alone",
            err=True,
        )
    click.echo(f"metrics: http://{f'[{host}]' if ':' in host else host}:{port}/metrics", err=True)
    return server


def _serve_until_stopped(server: "MetricsServer") -> None:
    """Serve until a signal comes."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop.wait()
    server.shutdown()
    server.server_close()


def require_free_metrics() -> None:
    """Refuse to start if another program listens where the metrics are to be served.

    Raises:
        RuntimeError: The port is taken.
    """
    from boursomatic_assets import settings

    if address := settings.metrics_address():
        require_free(*address, "`boursomatic metrics`", "let BOURSOMATIC_METRICS name another port")


def services_beside_dev() -> list[tuple[str, list[str | Path]]]:
    """The command as a further service of `boursomatic dev`, if the setting is set."""
    from boursomatic_assets import settings

    if settings.metrics_address():
        return [("metrics", [Path(sys.executable).with_name("boursomatic"), "metrics"])]
    return []
