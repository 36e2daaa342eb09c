"""What `deploy/` says is read here, as far as that goes without Docker and Kubernetes."""

import importlib
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type

from boursomatic_assets.cli.main import main

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KNOWN = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, each with its arguments on one line."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def values() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "kubernetes-values.yaml").read_text()))


def test_the_dockerfile_has_known_instructions_and_no_root_at_its_end() -> None:
    found = instructions()
    assert {name for name, _ in found} <= KNOWN
    assert found[0][0] == "FROM"
    assert ":" in found[0][1], "an image without a tag is another one tomorrow"
    assert [arguments for name, arguments in found if name == "USER"][-1] == "boursomatic"
    assert ("RUN", "deploy/install.sh") in found


def test_the_image_has_nothing_that_git_does_not_keep() -> None:
    """A home in the checkout holds rows and passwords."""
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored | {".git"} <= {line.removeprefix("**/").strip("/") for line in lines}


def test_the_steps_of_the_image_are_those_of_make_install() -> None:
    """So CI runs them."""
    install = (ROOT / "Makefile").read_text().partition(".venv/.installed: ")[2].partition("\n\n")[0]
    assert "deploy/install.sh" in install
    assert "pip" not in install


@pytest.mark.parametrize(
    "found",
    [
        values()["runLauncher"]["config"]["customRunLauncher"],
        values()["dagsterDaemon"]["runCoordinator"]["config"]["customRunCoordinator"],
    ],
    ids=["launcher", "coordinator"],
)
def test_the_chart_names_classes_that_take_what_it_gives_them(found: dict[str, Any]) -> None:
    named = getattr(importlib.import_module(found["module"]), found["class"])
    assert process_config(resolve_to_config_type(named.config_type()), found["config"]).success


def test_the_chart_limits_runs_as_the_project_does() -> None:
    project = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    daemon = values()["dagsterDaemon"]
    assert daemon["runCoordinator"]["config"]["customRunCoordinator"] == project["run_coordinator"]
    assert daemon["runMonitoring"]["startTimeoutSeconds"] == project["run_monitoring"]["start_timeout_seconds"]
    assert daemon["runRetries"]["maxRetries"] == project["run_retries"]["max_retries"]


def test_workers_are_started_by_a_command_that_exists() -> None:
    deployment = yaml.safe_load((DEPLOY / "kubernetes-workers.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    program, command, *arguments = container["command"]
    assert program == "boursomatic"
    above = click.Context(main, **main.context_settings)
    main.commands[command].make_context(command, arguments, parent=above)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
