"""Terminals: whether a stream is one that can rewrite its line.

What belongs here: control sequences. Kept elsewhere: what the environment says of terminals and colours
(`settings/environment.py`), which words have a colour (`views/text.py`).
"""

from typing import TextIO

CLEAR = "\r\x1b[K"
"""What takes the present line off a terminal."""


def rewrites_lines(stream: TextIO) -> bool:
    """Whether a stream is a terminal that understands control sequences, as a dumb one does not."""
    from boursomatic_assets.settings import environment

    return stream.isatty() and not environment.is_dumb_terminal()
