"""Ctrl-C: the work is stopped within seconds, and says what is done; a second one ends the process at once.

What belongs here: who notices a signal, how long an orderly end may take, the exit code. Kept elsewhere: what is
done (`compute.py`), which run is marked as cancelled (`launching.py`).

While a step works, Dagster keeps a signal for later, and code in another language does not return to Python to see
it. So a thread is told of each signal by Python's own wake-up pipe, and ends the process if it must. What has not
been committed by then is rolled back by the server.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from boursomatic_assets.cli.running.terminals import CLEAR, rewrites_lines

GRACE_SECONDS = 5.0
"""How long an orderly end may take."""

FORCED_SECONDS = 3.0
"""How long marking the run may take before the process is ended."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)

EXIT_CODE = 128 + signal.SIGINT
"""What shells expect of a program that Ctrl-C ended."""

STOPPING = "stopping: what is being written is rolled back (Ctrl-C again ends at once)"


class Stop:
    """Whether the work is to stop."""

    def __init__(self, describe: Callable[[], str], stream: TextIO) -> None:
        """Take what says what is done and how to go on, and where it is said."""
        self.requested = False
        self.when_forced: Callable[[], None] | None = None
        """Called in another thread before the process is ended by force."""
        self._describe, self._stream = describe, stream

    def watch(self, signals: int, grace: float) -> None:
        """Wait for a signal at the reading end of a pipe; end the process at the second, or when time is over."""
        if not _awaits_signal(signals, None):
            return
        self.requested = True
        self.say(STOPPING)
        if _awaits_signal(signals, grace) is not False:
            self._end()

    def say(self, text: str) -> None:
        """Write lines to the terminal, whatever standard error is meanwhile."""
        present_line = CLEAR if rewrites_lines(self._stream) else ""
        self._stream.write(f"{present_line}{text}\n")
        self._stream.flush()

    def describe(self) -> None:
        """Say what is done and how to go on."""
        self.say(self._describe())

    def _end(self) -> None:
        """End the process, with no more than a mark on the run."""
        if self.when_forced:
            marking = threading.Thread(target=self.when_forced, daemon=True)
            marking.start()
            marking.join(FORCED_SECONDS)
        self.describe()
        os._exit(EXIT_CODE)


@contextmanager
def stoppable(describe: Callable[[], str], stream: TextIO, grace: float = GRACE_SECONDS) -> Iterator[Stop]:
    """Let Ctrl-C stop the work of the context, in the main thread; it looks at `requested` between its parts.

    Raises:
        SystemExit: It was stopped, with EXIT_CODE.
    """
    stop = Stop(describe, stream)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=stop.watch, args=(reading, grace), daemon=True)
    watcher.start()
    try:
        yield stop
    except KeyboardInterrupt:
        stop.requested = True
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        watcher.join()
        os.close(reading)
    if stop.requested:
        stop.describe()
        sys.exit(EXIT_CODE)


def _awaits_signal(signals: int, seconds: float | None) -> bool | None:
    """Wait for a signal: True if one came, False if the context is over, None if the time is."""
    while select.select([signals], [], [], seconds)[0]:
        received = os.read(signals, 1)
        if not received:
            return False
        if received[0] in SIGNALS:
            return True
    return None
