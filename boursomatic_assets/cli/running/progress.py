"""Progress on standard error: one line that is rewritten on a terminal, plain lines elsewhere.

What belongs here: where lines go, and which of them stay. Kept elsewhere: what they say
(`orchestration/progress.py`).
"""

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from boursomatic_assets.cli.running.terminals import CLEAR, rewrites_lines

INDENT = " " * 8


class ProgressLines(logging.Handler):
    """Shows what is logged; the last line of each phase, the word before its colon, is kept for `said`."""

    def __init__(self, stream: TextIO) -> None:
        """Write to a stream, which may be a terminal."""
        super().__init__(logging.INFO)
        self.stream, self._rewrites = stream, rewrites_lines(stream)
        self.said: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line of the run that goes on."""
        line = record.getMessage()
        if record.levelno == logging.INFO:
            self.said[line.partition(":")[0]] = line
        self.show(INDENT + line)

    def show(self, line: str) -> None:
        """Show a line: it takes the place of the one before on a terminal."""
        if self._rewrites:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"{CLEAR}{line[:width]}")
        else:
            self.stream.write(f"{line}\n")
        self.stream.flush()

    def clear(self) -> None:
        """Take the present line off a terminal, so that a result can be written."""
        if self._rewrites:
            self.stream.write(CLEAR)
            self.stream.flush()


@contextmanager
def shown(*loggers: logging.Logger) -> Iterator[ProgressLines]:
    """Show what loggers say while the context lasts."""
    with _own_error_stream() as stream:
        lines, levels = ProgressLines(stream), [logger.level for logger in loggers]
        for logger in loggers:
            logger.addHandler(lines)
            logger.setLevel(logging.INFO)
        try:
            yield lines
        finally:
            lines.clear()
            for logger, level in zip(loggers, levels, strict=True):
                logger.removeHandler(lines)
                logger.setLevel(level)


@contextmanager
def _own_error_stream() -> Iterator[TextIO]:
    """Standard error as it is now: Dagster sends that of a step to a file."""
    try:
        copy = os.dup(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # it is closed, or no file: a test's
        yield sys.stderr
        return
    with os.fdopen(copy, "w", encoding="utf-8", errors="replace") as stream:
        yield stream
