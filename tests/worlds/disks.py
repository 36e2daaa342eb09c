"""Disks: a folder on a small file system of its own, which is full soon, and has room again when asked.

What belongs here: mounting and unmounting one. Kept elsewhere: what fills it (`tests/drills/`).
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

BLOCK = 4096
MIB = 1 << 20


@dataclass
class Disk:
    """A folder that is a file system in memory."""

    folder: Path

    def leave(self, free: int) -> None:
        """Let so many bytes be free beside what is there."""
        used = shutil.disk_usage(self.folder).used
        _mount("-o", f"remount,size={max(used + free, BLOCK)}", str(self.folder))


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """Put a folder, with what is in it, on a disk of its own, and back at the end; nobody may use it meanwhile.

    A machine that lets nobody mount anything skips the test.
    """
    aside = folder.with_name(f"{folder.name} aside")
    folder.rename(aside)
    folder.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", "size=4G", "boursomatic-drill", str(folder))
    except PermissionError as refused:
        folder.rmdir()
        aside.rename(folder)
        pytest.skip(f"no disk of its own: {refused}")
    try:
        _copy(aside, folder)
        yield Disk(folder)
    finally:
        shutil.rmtree(aside)
        _copy(folder, aside)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
        aside.rename(folder)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "-T", str(source), str(target)], check=True)


def _mount(*words: str) -> None:
    try:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PermissionError("there is no mount") from None
    if done.returncode:
        raise PermissionError(done.stderr.strip())
