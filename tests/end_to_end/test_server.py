"""docs/server.md for real: the units of systemd start what they say, and containers are given what exists."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance
from sqlalchemy import Engine
from worlds.ui import PATIENCE_SECONDS, answers, ask, eventually_answers, free_port

from boursomatic_assets.settings.variables import Settings

PAGE = (Path(__file__).parents[2] / "docs/server.md").read_text()
FOLDER = "/srv/boursomatic"
UNITS = dict(re.findall(r"`/etc/systemd/system/([\w-]+\.service)`:\n\n```ini\n(.*?)```", PAGE, re.DOTALL))
PROGRAMS = Path(sys.executable).parent
PROJECT = Path(__file__).parents[2]


def here(text: str) -> str:
    """The text with the folders of this checkout."""
    return text.replace(f"{FOLDER}/.venv/bin", str(PROGRAMS)).replace(FOLDER, str(PROJECT))


def command(unit: str) -> list[str]:
    """What a unit starts."""
    (line,) = re.findall(r"^ExecStart=(.*)$", here(UNITS[unit]), re.MULTILINE)
    return shlex.split(line)


@contextmanager
def started(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running process, which is asked to end at last."""
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_SECONDS)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_one_that_systemd_understands(name: str, tmp_path: Path) -> None:
    environment = tmp_path / "boursomatic.env"
    environment.touch()
    text = here(UNITS[name]).replace("/etc/boursomatic.env", str(environment))
    (tmp_path / name).write_text(text.replace("User=boursomatic\n", ""))
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert name not in told.stderr, told.stderr
    assert told.returncode == 0 or name not in told.stdout


@pytest.mark.slow
def test_the_units_start_the_ui_and_the_daemon(
    migrated: Engine, dagster_instance: DagsterInstance, tmp_path: Path
) -> None:
    port = free_port()
    ui = [str(port) if word == "3000" else word for word in command("boursomatic-ui.service")]
    log = tmp_path / "ui"
    with (
        started(command("boursomatic-daemon.service"), tmp_path / "daemon") as daemon,
        started(ui, log) as webserver,
    ):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(port) or "SchedulerDaemon" not in (tmp_path / "daemon").read_text():
            assert webserver.poll() is None, log.read_text()
            assert daemon.poll() is None, (tmp_path / "daemon").read_text()
            assert time.monotonic() < deadline, log.read_text() + (tmp_path / "daemon").read_text()
            time.sleep(0.3)
        assert ask(port, path="/", Host="evil.example")[0] == 403, "the rules for requests hold"
    assert webserver.returncode == 0, log.read_text()


@pytest.mark.slow
def test_the_unit_of_metrics_serves_them_until_systemd_stops_it(
    migrated: Engine, dagster_instance: DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("BOURSOMATIC_METRICS", f"127.0.0.1:{port}")
    log = tmp_path / "metrics"
    with started(command("boursomatic-metrics.service"), log) as metrics:
        assert "\nboursomatic_up 1.0\n" in eventually_answers(port, "/metrics")[1]
        metrics.terminate()
        metrics.wait(PATIENCE_SECONDS)
    assert (metrics.returncode, log.read_text()) == (0, f"metrics: http://127.0.0.1:{port}/metrics\n")


def test_the_file_of_containers_names_programs_and_settings_that_there_are() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    of_ours = {name: service for name, service in services.items() if service["image"] == "boursomatic"}
    assert of_ours.keys() == {"upgrade", "ui", "daemon", "metrics"}
    for service in of_ours.values():
        assert os.access(PROGRAMS / service["command"][0], os.X_OK)
        assert service.get("environment", {}).keys() <= known()
        assert service["depends_on"].keys() <= services.keys()
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", ()))


def test_the_file_of_settings_names_settings_that_there_are() -> None:
    text = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)[0]
    assert {line.partition("=")[0] for line in text.splitlines()} <= known()


def known() -> set[str]:
    return {name.upper() for name in Settings.model_fields}
