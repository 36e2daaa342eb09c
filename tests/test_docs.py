"""The documentation is true: links resolve, commands exist, examples parse, figures were measured.

What belongs here: README, CONTRIBUTING, CHANGELOG, SECURITY and docs/ as a whole. Kept elsewhere: formulas that a
page states (`test_additional_indicators.py`).
"""

import ast
import importlib.util
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import polars as pl
import pytest
import yaml

from boursomatic_assets.cli.main import main as boursomatic
from boursomatic_assets.sources.files.layouts.fields import FIELDS
from boursomatic_assets.sources.files.source import Files

ROOT = Path(__file__).parents[1]
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = ROOT / "bench" / "RESULTS.md"
PRIVATE = r"who speaks|\bspeaker\b|promise|\btold\b|oddit|\ban advice\b|\badvices\b"
"""Words of our own for what has a standard term. Names of columns and checks are code, and stay."""

ABOVE = click.Context(boursomatic, **boursomatic.context_settings)
"""What a command inherits from: click keeps its options of help as they were when it was first asked."""


def name_of(page: Path) -> str:
    """What a page is called in the names of tests."""
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def spans(page: Path) -> list[str]:
    """The inline code of a page."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def links(text: str) -> list[str]:
    """The targets of links and images, without those on the network."""
    return [to for to in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?://", to)]


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def sections(page: Path) -> dict[str, str]:
    """The text below each heading, by the heading's anchor."""
    parts = re.split(r"^#+ (.+)\n", prose(page), flags=re.MULTILINE)[1:]
    return {anchor(heading): text for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def generator() -> ModuleType:
    """The script that writes the generated pages."""
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts" / "write_docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- pages


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 90


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / to).resolve() for to in links(index.read_text())}
    assert {page for page in PAGES if page.is_relative_to(index.parent)} - {index} <= listed


@pytest.mark.parametrize("name", ["commands.md", "metrics.md", "privileges.md", "tables.md"])
def test_generated_pages_are_as_generated(name: str) -> None:
    committed = (ROOT / "docs" / name).read_text()
    assert committed == generator().PAGES[name](), "run: python scripts/write_docs.py"


def test_the_changelog_starts_with_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == "[Unreleased]"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_use_standard_terms(page: Path) -> None:
    text = re.sub(r"`[^`\n]+`", "", prose(page))
    assert not re.findall(PRIVATE, text, flags=re.IGNORECASE)


# --- links


@every_page
def test_links_resolve(page: Path) -> None:
    for to in links(page.read_text()):
        path, _, part = to.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{to} is not there"
        assert not part or part in sections(target), f"{to}: there is no such heading"


@every_page
def test_links_into_the_package_lead_to_folders(page: Path) -> None:
    package = ROOT / "boursomatic_assets"
    targets = [(page.parent / to.partition("#")[0]).resolve() for to in links(page.read_text())]
    assert [to for to in targets if to.is_relative_to(package) and not to.is_dir()] == []


# --- commands


def commands(line: str) -> Iterator[list[str]]:
    """The words of each command in a shell line, without assignments, folders and comments."""
    for part in re.split(r"&&|;|\|", line.partition(" #")[0]):
        words = list(itertools.dropwhile(re.compile(r"\w+=").match, shlex.split(part)))
        if words:
            yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


def shell_commands(page: Path) -> list[list[str]]:
    """The commands of a page's shell blocks, one a line."""
    text = "\n".join(blocks(page, "bash")).replace("\\\n", " ")
    return [words for line in text.splitlines() for words in commands(line) if words[0] != "export"]


def found(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, and its arguments."""
    command: click.Command = boursomatic
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        _, subcommand, rest = command.resolve_command(click.Context(command, parent=ABOVE), rest)
        assert subcommand, f"{' '.join(words)}: there is no such command"
        command = subcommand
    return command, rest


@every_page
def test_shell_blocks_can_be_run(page: Path) -> None:
    make = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for words in shell_commands(page):
        if words[0] == "boursomatic":
            command, arguments = found(words)
            lone_group = isinstance(command, click.Group) and not command.invoke_without_command
            assert not lone_group, f"{' '.join(words)}: a group does nothing"
            command.make_context(
                words[-1], arguments, parent=ABOVE
            )  # reads every option and value, and runs nothing
        else:
            assert words[0] == "make", f"{' '.join(words)}: a command that no test knows"
            assert words[1] in make


@every_page
def test_commands_in_the_text_exist(page: Path) -> None:
    for span in spans(page):
        if span.startswith("boursomatic "):
            command, arguments = found(span.split())
            if not isinstance(command, click.Group):
                shown = [word.strip("[]") for word in arguments if not word.startswith("--help")]
                context = click.Context(command, parent=ABOVE)
                known = {name for option in command.get_params(context) for name in option.opts}
                assert {word for word in shown if word.startswith("-")} <= known, span


@every_page
def test_scripts_and_targets_in_the_text_exist(page: Path) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for span in spans(page):
        words = span.split()
        if words[0] == "make" and len(words) > 1:
            assert words[1] in targets, span
        for name in re.findall(r"\b(?:scripts|bench|tests|migrations)/[\w./]+", span):
            assert (ROOT / name).exists(), span


# --- settings


def source_text() -> str:
    """What may name a setting: the package, the benchmarks, Dagster's configuration and the tests' fixtures."""
    files = [*(ROOT / "boursomatic_assets").rglob("*.py"), *(ROOT / "bench").glob("*.py")]
    return "\n".join(file.read_text() for file in [*files, ROOT / "dagster.yaml", ROOT / "tests" / "conftest.py"])


@every_page
def test_settings_exist(page: Path) -> None:
    named = set(re.findall(r"\b(?:BOURSOMATIC_[A-Z_]+|(?:DAGSTER_)?DATABASE_URL)\b", page.read_text()))
    code = source_text()
    assert {name for name in named if name not in code} == set()


# --- examples


@every_page
def test_yaml_blocks_state_columns_as_the_files_source_reads_them(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(blocks(page, "yaml")):
        if block.startswith(("services:", "scrape_configs:", "groups:")):
            continue  # containers: see end_to_end/test_server.py; Prometheus: see metrics/test_dashboard.py
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "columns.yaml").write_text(block)
        for pattern, said in yaml.safe_load(block).items():
            headers = {field: field for field in ("ts", *"ohlcv")} | said.get("columns", {})
            assert set(headers) <= set(FIELDS)
            path = folder / pattern.replace("*", "ACME")
            path.parent.mkdir(exist_ok=True)
            above = ["about this file"] * said.get("skip", 0)
            named = [] if said.get("header") == "none" else [",".join(headers.values())]
            path.write_text("\n".join([*above, *named, "13/07/2015,10,11,9,10,100", ""]))
        source = Files(folder)
        assert set(source.instruments()["symbol"]) <= {"ACME", "GLD", "KO"}
        assert source.files().filter(~pl.col("passed_over"))["delivered"].to_list() == [1] * len(
            yaml.safe_load(block)
        )


@every_page
def test_python_blocks_compile(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


# --- figures


def figures(text: str) -> list[str]:
    """The numbers of a text."""
    return re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])", text)


def quotes() -> list[tuple[str, str, str]]:
    """Each figure of a sentence that links to the results: its page, itself and the text that it must be in."""
    measured = sections(RESULTS) | {"": RESULTS.read_text()}
    blocks_of_text = ((page, text) for page in PAGES for text in re.split(r"\n\n|\n(?=[-*|])", prose(page)))
    texts = [(page, " ".join(text.split())) for page, text in blocks_of_text]
    return [
        (page.name, figure, measured[part])
        for page, text in texts
        for sentence in re.split(r"(?<=[.]) ", text)
        for part in re.findall(r"\]\([./]*bench/RESULTS\.md#?([\w-]*)\)", sentence)
        for figure in figures(re.sub(r"\]\([^)]*\)", "", sentence))
    ]


def test_figures_of_the_results_are_those_that_were_measured() -> None:
    found = quotes()
    assert found, "no page quotes a figure"
    for page, figure, text in found:
        decimals = len(figure.partition(".")[2])
        rounded = {f"{float(number.replace(',', '')):.{decimals}f}" for number in figures(text)}
        assert figure.replace(",", "") in rounded, f"{page}: {figure} was not measured"
