"""`boursomatic settings`: what the environment sets, and what each variable means.

What belongs here: the command, and how the settings are shown as text, as JSON and as Markdown, without secrets.
Kept elsewhere: the settings themselves (`settings/`).
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import click

from boursomatic_assets.cli.common import one_line_errors


@dataclass(frozen=True)
class Setting:
    """A variable as it may be shown.

    Attributes:
        variable: Its name.
        value: Its present value; a password or a key is masked.
        origin: environment or default.
        default: Its value while it is not set, as it would be written, or in words.
        meaning: What it is for.
    """

    variable: str
    value: str
    origin: Literal["environment", "default"]
    default: str
    meaning: str


@click.command(name="settings")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@click.option("--markdown", is_flag=True, help="The table of docs/settings.md: variables, defaults, meanings.")
@one_line_errors
def list_settings(as_json: bool, markdown: bool) -> None:
    """Show every environment variable: its value, where that comes from, its default and its meaning."""
    from boursomatic_assets import settings

    rows = describe_settings()
    if markdown:
        click.echo(as_markdown(rows))
        return
    click.echo(json.dumps([asdict(row) for row in rows], indent=2) if as_json else as_text(rows))
    errors = settings.errors_by_variable().values()
    for error in errors:
        click.echo(f"error: {error}", err=True)
    sys.exit(1 if errors else 0)


def describe_settings() -> list[Setting]:
    """Return every variable with its present value, in the order of the model."""
    from boursomatic_assets import settings

    values, errors = settings.environment_values(), settings.errors_by_variable()
    return [
        _describe(variable, values.get(variable), valid=variable not in errors)
        for variable in settings.Settings.model_fields
    ]


def as_text(rows: Sequence[Setting]) -> str:
    """Return the settings as aligned columns under a header."""
    header = ("variable", "value", "origin", "default", "meaning")
    lines = [header, *(tuple(asdict(row).values()) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def as_markdown(rows: Sequence[Setting]) -> str:
    """Return what does not depend on the environment, as a Markdown table."""
    lines = (f"| `{row.variable}` | {row.default} | {row.meaning} |" for row in rows)
    return "\n".join(("| variable | default | meaning |", "|---|---|---|", *lines))


def _describe(variable: str, value: str | None, *, valid: bool) -> Setting:
    from boursomatic_assets.settings import Settings

    field = Settings.model_fields[variable]
    extra = field.json_schema_extra
    default = str(field.default or (extra["unset"] if isinstance(extra, dict) else ""))
    if value is None:
        return Setting(variable, default, "default", default, str(field.description))
    masked = value if field.repr else _mask(variable, valid=valid)
    return Setting(variable, masked, "environment", default, str(field.description))


def _mask(variable: str, *, valid: bool) -> str:
    """Mask a secret: of a valid address only the password, of everything else all."""
    from boursomatic_assets import settings

    addresses = {"DATABASE_URL": settings.database_address, "DAGSTER_DATABASE_URL": settings.dagster_address}
    address = addresses[variable]() if valid and variable in addresses else None
    return settings.redacted(address) if address else "***"
