"""Ctrl-C ends the work in order, in time, or at once."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PROGRAM = """
import signal, sys, time
from boursomatic_assets.cli.running.interrupts import stoppable
orderly, grace = sys.argv[1] == "orderly", float(sys.argv[2])
signal.signal(signal.SIGINT, signal.default_int_handler if orderly else lambda *_: None)  # code that never looks
with stoppable(lambda: "stopped: 1 of 2", sys.stderr, grace) as stop:
    stop.when_forced = lambda: print("marked", flush=True)
    print("working", flush=True)
    time.sleep(60)
"""
"""Works for a minute; disorderly work hears no signal, as a computation in another language."""


@contextmanager
def working(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program at work."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "working\n"
    yield process
    process.kill()
    process.wait()


def ended(process: subprocess.Popen[str], within: float) -> tuple[int, str, list[str]]:
    """The exit code and what was said, if it ends in time."""
    said, complained = process.communicate(timeout=within)
    return process.returncode, said, complained.splitlines()


def test_work_that_hears_ends_in_order() -> None:
    with working("orderly", "30") as process:
        process.send_signal(signal.SIGINT)
        code, said, complained = ended(process, within=10)
    assert (code, said) == (130, ""), "no mark: the run has said so itself"
    assert complained[-1] == "stopped: 1 of 2"


def test_work_that_does_not_hear_is_ended_when_its_time_is_over() -> None:
    with working("deaf", "0.3") as process:
        process.send_signal(signal.SIGINT)
        code, said, complained = ended(process, within=10)
    assert (code, said) == (130, "marked\n")
    assert complained == [
        "stopping: what is being written is rolled back (Ctrl-C again ends at once)",
        "stopped: 1 of 2",
    ]


def test_a_second_signal_ends_at_once() -> None:
    with working("deaf", "30") as process:
        process.send_signal(signal.SIGINT)
        assert process.stderr and process.stderr.readline().startswith("stopping:")
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        code, _, complained = ended(process, within=10)
    assert (code, complained) == (130, ["stopped: 1 of 2"])
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("other", [signal.SIGCHLD, signal.SIGUSR1])
def test_another_signal_stops_nothing(other: signal.Signals) -> None:
    from boursomatic_assets.cli.running.interrupts import stoppable

    before = signal.signal(other, lambda *_: None)
    try:
        with stoppable(lambda: "stopped", sys.stderr) as stop:
            signal.raise_signal(other)
            time.sleep(0.1)
        assert not stop.requested
    finally:
        signal.signal(other, before)
