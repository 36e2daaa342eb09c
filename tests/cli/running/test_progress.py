"""Progress of runs: one line that is rewritten on a terminal, plain lines elsewhere."""

import io
import logging

import pytest

from boursomatic_assets.cli.running.progress import ProgressLines, shown
from boursomatic_assets.orchestration import progress


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


def said(stream: io.StringIO, *lines: str) -> str:
    """What a stream holds after some lines were logged."""
    handler, log = ProgressLines(stream), logging.Logger("test")
    log.addHandler(handler)
    for line in lines:
        log.info(line)
    handler.clear()
    assert handler.said == {"bars": lines[-1]}
    return stream.getvalue()


def test_lines_are_plain_without_a_terminal() -> None:
    assert said(io.StringIO(), "bars: 1", "bars: 2") == "        bars: 1\n        bars: 2\n"


def test_a_line_takes_the_place_of_the_one_before_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "16")
    shown = said(Terminal(), "bars: 1", "bars: 200000")
    assert shown == "\r\x1b[K        bars: 1\r\x1b[K        bars: 2\r\x1b[K", "cut, or it would take two lines"


def test_nobody_hears_after_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(progress.logger):
        progress.tell("bars: 1", lambda _: None)
    progress.tell("bars: 2", lambda _: None)
    assert capsys.readouterr().err == "        bars: 1\n"
