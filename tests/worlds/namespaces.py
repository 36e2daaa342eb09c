"""Network namespaces: another machine, as far as the network goes, whose cable can be cut.

What belongs here: making one with its cable, and cutting that. Needs Linux, root and iproute2.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

HERE, THERE = "10.231.77.1", "10.231.77.2"
"""The two ends of the cable."""


def ip(*words: str) -> str:
    """Run `ip`."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def missing() -> str:
    """Why none can be made here; nothing if one can."""
    if not shutil.which("ip") or os.geteuid() != 0:
        return "network namespaces need root and iproute2"
    name = f"probe{os.getpid()}"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made here: {error.stderr.strip()}"
    return ""


class Namespace:
    """Another machine, at the address THERE."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def enter(self) -> list[str]:
        """The words before a command that is to run there."""
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        """Cut the cable: what is sent is lost, and nobody is told."""
        ip("-n", self.name, "link", "set", "cable", "down")


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A namespace with a cable to this one."""
    name, near = f"bm{os.getpid()}", f"bm{os.getpid()}"
    ip("netns", "add", name)
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", "cable", "netns", name)
        ip("addr", "add", f"{HERE}/30", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", name, "addr", "add", f"{THERE}/30", "dev", "cable")
        ip("-n", name, "link", "set", "cable", "up")
        yield Namespace(name)
    finally:
        ip("netns", "del", name)  # its cable goes with it
