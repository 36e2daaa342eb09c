"""The dashboard and the rules of docs/ ask for what /metrics says: every name, every label, and a series each."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from worlds.scrapes import Labels, Scrape

from boursomatic_assets.metrics.descriptions import DESCRIPTIONS, PREFIX

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text())
PAGE = (DOCS / "metrics.md").read_text()
RULES = next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if block.startswith("groups:"))

SELECTOR = re.compile(rf"({PREFIX}\w+)(?:\{{([^}}]*)\}})?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')
LABELS_OF = {one.full_name: set(one.labels) for one in DESCRIPTIONS}
MATCHES: dict[str, Callable[[str, str], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "=~": lambda value, wanted: bool(re.fullmatch(wanted, value)),
    "!~": lambda value, wanted: not re.fullmatch(wanted, value),
}


def targets() -> list[dict[str, Any]]:
    """The queries of all panels."""
    return [target for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def rules() -> list[dict[str, Any]]:
    """The rules of the page."""
    (group,) = yaml.safe_load(RULES)["groups"]
    return list(group["rules"])


EXPRESSIONS = sorted({*(target["expr"] for target in targets()), *(rule["expr"] for rule in rules())})


def selected(page: Scrape, name: str, matchers: str) -> list[Labels]:
    """The labels of the series that a selector names."""
    wanted = MATCHER.findall(matchers)
    assert MATCHER.sub("", matchers).strip(", ") == "", f"{matchers} is not understood"
    return [
        labels
        for one, labels, _ in page.series
        if one == name and all(MATCHES[how](labels.get(label, ""), text) for label, how, text in wanted)
    ]


def test_every_query_selects_series_of_the_page(page: Scrape) -> None:
    for expression in EXPRESSIONS:
        for name, matchers in SELECTOR.findall(expression):
            assert selected(page, name, matchers), f"{expression}: there is no series of {name}{{{matchers}}}"


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_query_names_metrics_and_labels_that_there_are(expression: str) -> None:
    selectors = SELECTOR.findall(expression)
    assert selectors, expression
    assert {name for name, _ in selectors} <= LABELS_OF.keys()
    for name, matchers in selectors:
        assert {label for label, *_ in MATCHER.findall(matchers)} <= LABELS_OF[name]
    grouped = {label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")}
    assert all(grouped <= LABELS_OF[name] for name, _ in selectors), "it is grouped by labels that there are"


@pytest.mark.parametrize("target", targets(), ids=lambda target: target["expr"])
def test_a_legend_names_labels_that_its_query_leaves(target: dict[str, Any]) -> None:
    (name, *_) = (name for name, _ in SELECTOR.findall(target["expr"]))
    grouped = re.search(r"by \(([^)]*)\)", target["expr"])
    left = {label.strip() for label in grouped[1].split(",")} if grouped else LABELS_OF[name]
    assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= left


def test_the_rules_say_labels_that_there_are() -> None:
    assert len(rules()) == 3
    for rule in rules():
        ((name, _), *_) = SELECTOR.findall(rule["expr"])
        assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= LABELS_OF[name]


def test_each_rate_is_of_a_counter_and_each_counter_has_one() -> None:
    text = "\n".join(EXPRESSIONS)
    counters = {one.full_name for one in DESCRIPTIONS if one.kind == "counter"}
    assert set(re.findall(r"(?:increase|rate)\((\w+)", text)) == counters
    assert len(re.findall(r"_total\b", text)) == len(re.findall(r"(?:increase|rate)\(", text))


def test_the_dashboard_can_be_imported() -> None:
    """As Grafana 10 asks: a name, panels with ids of their own that do not overlap, a chosen data source."""
    assert DASHBOARD["title"] == "Boursomatic"
    assert DASHBOARD["schemaVersion"] >= 36
    assert "id" not in DASHBOARD, "Grafana gives one"
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for target in targets():
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels:
        assert panel["type"] == "row" or panel["description"], panel["title"]


def test_every_subject_has_a_panel() -> None:
    text = "\n".join(target["expr"] for target in targets())
    for subject in ("sessions_behind", "queued_runs", "last_run_duration", "delivered_rows", "rejected_rows"):
        assert PREFIX + subject in text
    for subject in ("check_partitions", "champion_info", "open_alerts", "unsent_alerts"):
        assert PREFIX + subject in text


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_takes_the_rules_and_every_query(tmp_path: Path) -> None:
    queries = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(EXPRESSIONS)]
    for name, text in (
        ("rules", RULES),
        ("queries", yaml.safe_dump({"groups": [{"name": "q", "rules": queries}]})),
    ):
        file = tmp_path / f"{name}.yml"
        file.write_text(text)
        checked = subprocess.run(
            ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
