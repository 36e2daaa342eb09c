"""Terminals: whether a stream is one that can rewrite its line, and whether colours are wanted.

What belongs here: what the environment says of terminals: `TERM`, and `NO_COLOR` (no-color.org).
Kept elsewhere: which words have a colour (`views/text.py`); that none goes to a file or a pipe is click's work.
"""

import os
from typing import TextIO

CLEAR = "\r\x1b[K"
"""What takes the present line off a terminal."""


def rewrites_lines(stream: TextIO) -> bool:
    """Whether a stream is a terminal that understands control sequences, as a dumb one does not."""
    return stream.isatty() and not _is_dumb()


def forbids_colours() -> bool:
    """Whether colours are unwanted on terminals too: `NO_COLOR` has a value, or the terminal is dumb."""
    return bool(os.environ.get("NO_COLOR")) or _is_dumb()


def _is_dumb() -> bool:
    return os.environ.get("TERM") == "dumb"
