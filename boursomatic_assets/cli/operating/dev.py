"""`boursomatic dev`: the UI and its daemon.

What belongs here: the command, and which addresses it refuses. Kept elsewhere: the services that it starts
(`services.py`), which requests the UI answers (`orchestration/web_requests.py`).
"""

import os

import click

from boursomatic_assets.cli.common import limit_waiting, make_dagster_home, one_line_errors, require_free
from boursomatic_assets.cli.operating.metrics import require_free_metrics, services_beside_dev


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the UI is reached at.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI.")
@click.option("--expose", is_flag=True, help="Let others reach the UI, which asks nobody for a password.")
@click.option("--read-only", is_flag=True, help="Answer nothing that changes anything; schedules go on.")
@one_line_errors
def dev(host: str, port: int, expose: bool, read_only: bool) -> None:
    """Open the Dagster UI, with its daemon, on this machine alone.

    It ends with all its services: with exit code 0 if a signal asks for it, and with 1 if one of them ended by
    itself, which it names. Runs that go on do so.
    """
    from boursomatic_assets import settings
    from boursomatic_assets.backups import mark
    from boursomatic_assets.cli.operating import services
    from boursomatic_assets.database import migrate

    settings.require_valid()
    mark.require_none()
    _require_closed_or_exposed(host, port, expose=expose, read_only=read_only)
    require_free(host, port, "`boursomatic dev`", "choose another port with --port")
    require_free_metrics()
    limit_waiting()
    migrate.upgrade()
    folder = make_dagster_home()
    settings.make_paths_absolute()
    os.chdir(folder)  # elsewhere it may find another dagster.yaml, and warn of it
    services.run(host, port, services_beside_dev(), read_only=read_only)


def _require_closed_or_exposed(host: str, port: int, *, expose: bool, read_only: bool) -> None:
    """Refuse an address that others reach unless that is asked for, and say what it means.

    Raises:
        click.UsageError: It is not asked for, or no name is stated by which browsers reach it.
    """
    from boursomatic_assets import settings
    from boursomatic_assets.orchestration.web_requests import is_loopback, is_unspecified

    if is_loopback(host):
        return
    if not expose:
        raise click.UsageError(
            f"others reach {host}, and the UI asks nobody for a password: add --expose to say so"
        )
    names = settings.web_hosts() if is_unspecified(host) else (*settings.web_hosts(), host)
    if not names:
        raise click.UsageError(
            f"{host} is no name for a browser: set BOURSOMATIC_WEB_HOSTS to those that reach it"
        )
    os.environ["BOURSOMATIC_WEB_HOSTS"] = ",".join(names)
    may = "read everything" if read_only else "start and delete runs, and read everything"
    click.echo(
        f"warning: whoever reaches port {port} of {host} may {may}, without a password and unencrypted;"
        f" put a proxy in front (docs/security.md). Answered names: {', '.join(names)}",
        err=True,
    )
