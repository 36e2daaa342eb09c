"""Colours and rewritten lines are for terminals, and for those alone that want them: a real pseudo-terminal."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import click
import pytest
from sqlalchemy import Engine

from boursomatic_assets.cli.main import main
from boursomatic_assets.cli.running.progress import ProgressLines
from boursomatic_assets.cli.views import text

GREEN = "\x1b[32mBUY\x1b[0m"


@dataclass
class Screen:
    """A pseudo-terminal: a program writes to `stream`, and the other end reads what came."""

    stream: TextIO
    end: int

    def shown(self) -> str:
        """What was written so far."""
        self.stream.flush()
        os.set_blocking(self.end, False)
        found = b""
        try:
            while part := os.read(self.end, 65_536):
                found += part
        except BlockingIOError:
            return found.decode()
        return found.decode()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    """Standard output on a terminal that knows colours."""
    end, side = os.openpty()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with os.fdopen(side, "w") as stream:
        yield Screen(stream, end)
    os.close(end)


@pytest.fixture
def coloured_command() -> Iterator[str]:
    """The name of a command that shows a table with a BUY."""

    @main.command("coloured")
    def command() -> None:
        click.echo(text.coloured("| BUY |"))

    yield "coloured"
    del main.commands["coloured"]


def run(output: TextIO, *words: str) -> None:
    """Run a command with a standard output, whatever pytest has in its place."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdout", output)
        main(list(words), prog_name="boursomatic", standalone_mode=False)


def test_a_terminal_shows_colours(screen: Screen, coloured_command: str) -> None:
    run(screen.stream, coloured_command)
    assert screen.shown() == f"| {GREEN} |\r\n"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("NO_COLOR", "0"), ("TERM", "dumb")])
def test_a_terminal_shows_none_where_they_are_unwanted(
    screen: Screen, coloured_command: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    run(screen.stream, coloured_command)
    assert screen.shown() == "| BUY |\r\n"


def test_an_empty_value_forbids_nothing(
    screen: Screen, coloured_command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As no-color.org says."""
    monkeypatch.setenv("NO_COLOR", "")
    run(screen.stream, coloured_command)
    assert GREEN in screen.shown()


def test_a_pipe_gets_none(coloured_command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    end, side = os.pipe()
    with os.fdopen(side, "w") as stream:
        run(stream, coloured_command)
    with os.fdopen(end) as reader:
        assert reader.read() == "| BUY |\n"


def test_recommendations_are_coloured_on_a_terminal(
    screen: Screen, readable: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(screen.stream, "recommendations", "--label", "BUY")
    assert GREEN in screen.shown()
    monkeypatch.setenv("NO_COLOR", "1")
    run(screen.stream, "recommendations", "--label", "BUY")
    plain = screen.shown()
    assert "BUY" in plain
    assert "\x1b" not in plain


def test_a_dumb_terminal_gets_plain_lines_of_progress(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    ProgressLines(screen.stream).show("bars: 1")
    assert screen.shown() == "\r\x1b[Kbars: 1"
    monkeypatch.setenv("TERM", "dumb")
    ProgressLines(screen.stream).show("bars: 2")
    assert screen.shown() == "bars: 2\r\n"
