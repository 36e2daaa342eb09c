"""The environment: its variables read together, and what is wrong with each.

What belongs here: reading them, once as long as nothing changes, and what others than the platform agreed on for
terminals (no-color.org).
Kept elsewhere: the variables (`variables.py`), and the functions that the other rooms ask (`__init__.py`).
"""

import datetime as dt
import os
from functools import lru_cache

from pydantic import ValidationError

from boursomatic_assets.settings.values import today
from boursomatic_assets.settings.variables import Settings


class SettingError(ValueError):
    """A variable has a value that it cannot have: one line that names it, and what it may be."""


def environment_values() -> dict[str, str]:
    """Return what the environment sets, by variable, as it is written there; an empty one counts as unset."""
    return {variable: value for variable in Settings.model_fields if (value := os.environ.get(variable))}


def forbids_colours() -> bool:
    """Return whether colours are unwanted on terminals too: `NO_COLOR` has a value, or the terminal is dumb."""
    return bool(os.environ.get("NO_COLOR")) or is_dumb_terminal()


def is_dumb_terminal() -> bool:
    """Return whether `TERM` says that the terminal understands no control sequences."""
    return os.environ.get("TERM") == "dumb"


def settings_with_valid(variable: str) -> Settings:
    """Return the settings if this variable is valid: a wrong one stops only those who need it."""
    settings, errors = read_environment()
    if variable in errors:
        raise SettingError(errors[variable])
    return settings


def read_environment() -> tuple[Settings, dict[str, str]]:
    """Return the settings, and the errors by variable; a wrong variable has its default."""
    return _read(today(), frozenset(environment_values().items()))


@lru_cache(maxsize=1)
def _read(_today: dt.date, _values: frozenset[tuple[str, str]]) -> tuple[Settings, dict[str, str]]:
    """Read anew only when a variable changes, or the day, on which a first date depends.

    It costs a millisecond, and every connection needs it.
    """
    try:
        return Settings(), {}
    except ValidationError as error:
        errors = {str(detail["loc"][0]): str(detail["ctx"]["error"]) for detail in error.errors()}
    return Settings(**{variable: Settings.model_fields[variable].default for variable in errors}), errors
