"""`boursomatic settings`: what the environment says, and what each variable means.

What belongs here: the command, and how the settings are shown as text, as JSON and as Markdown.
Kept elsewhere: the settings (`settings.py`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from boursomatic_assets.cli.common import one_line_errors

if TYPE_CHECKING:
    from boursomatic_assets.settings import Setting


@click.command(name="settings")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@click.option("--markdown", is_flag=True, help="The table of docs/settings.md: variables, defaults, meanings.")
@one_line_errors
def list_settings(as_json: bool, markdown: bool) -> None:
    """Show every environment variable: its value, where that comes from, its default and its meaning."""
    from boursomatic_assets import settings

    listed = settings.listed()
    if markdown:
        click.echo(as_markdown(listed))
        return
    click.echo(json.dumps([asdict(setting) for setting in listed], indent=2) if as_json else as_text(listed))
    wrong = settings.faults().values()
    for fault in wrong:
        click.echo(f"error: {fault}", err=True)
    sys.exit(1 if wrong else 0)


def as_text(listed: Sequence[Setting]) -> str:
    """Return the settings as aligned columns under a head."""
    head = ("variable", "value", "origin", "default", "meaning")
    rows = [head, *(tuple(asdict(setting).values()) for setting in listed)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_markdown(listed: Sequence[Setting]) -> str:
    """Return what does not depend on the environment, as a Markdown table."""
    rows = (f"| `{setting.variable}` | {setting.default} | {setting.meaning} |" for setting in listed)
    return "\n".join(("| variable | default | meaning |", "|---|---|---|", *rows))
