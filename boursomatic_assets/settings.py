"""Settings: what the environment says, read in one place, and refused by name where it cannot be meant.

What belongs here: one function for each variable that begins with BOURSOMATIC_ and has a wrong value.
Kept elsewhere: the addresses of databases (`database.py`), what sources are there (`sources/`), the settings of
Dagster (`dagster.yaml`).
"""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path


class SettingError(ValueError):
    """A setting that cannot be meant: one line that names it, and what it may be."""


def home() -> Path:
    """Return the folder of all that is kept on this machine, made for the current user alone.

    `BOURSOMATIC_HOME`, else `.boursomatic` in the project.
    """
    project = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("BOURSOMATIC_HOME") or project / ".boursomatic").expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = None if os.access(folder, os.W_OK | os.X_OK) else "permission denied"
    except OSError as error:
        reason = "it is a file" if folder.is_file() else str(error.strerror).lower()
    if reason:
        raise SettingError(f"{folder} is no folder to write in ({reason}): set BOURSOMATIC_HOME to one of yours")
    return folder


def language() -> str:
    """Return the language of justifications, `BOURSOMATIC_LANGUAGE`: en or fr."""
    from boursomatic_assets.words import LANGUAGES

    return _one_of("BOURSOMATIC_LANGUAGE", LANGUAGES)


def start() -> dt.date:
    """Return the first partition's date, `BOURSOMATIC_START`."""
    from boursomatic_assets.markets import EPOCH

    text = os.environ.get("BOURSOMATIC_START") or "2000-01-03"
    try:
        date = dt.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise SettingError(f"{text!r} is no date: set BOURSOMATIC_START to YYYY-MM-DD") from None
    today = dt.datetime.now(dt.UTC).date()
    if not EPOCH <= date <= today:
        raise SettingError(f"{date} is no first date: set BOURSOMATIC_START to one from {EPOCH} to {today}")
    return date


def sessions_per_run() -> int:
    """Return how many sessions of a market a run holds at most, `BOURSOMATIC_SESSIONS_PER_RUN`."""
    return _count("BOURSOMATIC_SESSIONS_PER_RUN", 100_000)


def simulated_instruments() -> int:
    """Return how many instruments a simulated market lists, `BOURSOMATIC_SIMULATED_INSTRUMENTS`."""
    return _count("BOURSOMATIC_SIMULATED_INSTRUMENTS", 24)


def extended_hours() -> bool:
    """Return whether 15m bars outside of a session are wanted, `BOURSOMATIC_EXTENDED_HOURS`: 1 or 0."""
    return _one_of("BOURSOMATIC_EXTENDED_HOURS", ("0", "1")) == "1"


def stock_dagster() -> bool:
    """Return whether Dagster is to run without the platform's patches, `BOURSOMATIC_STOCK_DAGSTER`: 1 or 0."""
    return _one_of("BOURSOMATIC_STOCK_DAGSTER", ("0", "1")) == "1"


def source() -> str:
    """Return where bars come from, `BOURSOMATIC_SOURCE`; `sources` says what that may be."""
    return os.environ.get("BOURSOMATIC_SOURCE") or "simulated"


def files() -> str | None:
    """Return the folder of a vendor's files, `BOURSOMATIC_FILES`."""
    return os.environ.get("BOURSOMATIC_FILES")


def archive() -> Path:
    """Return the folder of archived 15m bars, `BOURSOMATIC_ARCHIVE`, else `archive` in the home."""
    chosen = os.environ.get("BOURSOMATIC_ARCHIVE")
    return Path(chosen) if chosen else home() / "archive"


ALL: tuple[Callable[[], object], ...] = (
    home,
    language,
    start,
    sessions_per_run,
    simulated_instruments,
    extended_hours,
    stock_dagster,
)


def make_paths_absolute() -> None:
    """Let this process and its children find the folders that are set, whatever folder they work in."""
    for name in ("BOURSOMATIC_HOME", "BOURSOMATIC_FILES", "BOURSOMATIC_ARCHIVE"):
        if text := os.environ.get(name):
            os.environ[name] = str(Path(text).expanduser().absolute())


def require_sound() -> None:
    """Read every setting that may be wrong, before any work is done.

    Raises:
        SettingError: naming each one that is.
    """
    faults = []
    for setting in ALL:
        try:
            setting()
        except SettingError as error:
            faults.append(str(error))
    if faults:
        raise SettingError("; ".join(faults))


def _one_of(name: str, allowed: tuple[str, ...]) -> str:
    text = os.environ.get(name) or allowed[0]
    if text not in allowed:
        raise SettingError(f"{text!r} is not known: set {name} to {' or '.join(allowed)}")
    return text


def _count(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text)):
        raise SettingError(f"{text!r} is no count: set {name} to a number from 1 on")
    return int(text)
