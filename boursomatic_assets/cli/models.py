"""`boursomatic models`: the versions, the decisions about them, and a person's own decision.

What belongs here: the words and options of these commands. Kept elsewhere: what they do (`registry/`,
`learning/search.py`), how it is shown (`views/models.py`).
"""

import datetime as dt
import getpass

import click

from boursomatic_assets.cli.common import (
    DATE,
    MOMENT,
    SEED,
    one_line_errors,
    require_current_schema,
    require_readable,
)

BECAUSE = click.option("--because", required=True, help="Why, in a sentence; it is kept with the decision.")
BY = click.option("--by", help="Who decides; this system's user by default.")
JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


@click.group()
def models() -> None:
    """The model versions: which one is champion, since when, and why."""


@models.command(name="list")
@JSON
@one_line_errors
def models_list(as_json: bool) -> None:
    """Show every version with its decision, skill and loss, and which one is active."""
    require_readable()
    from boursomatic_assets.cli.views import models as view
    from boursomatic_assets.cli.views import text

    shown = view.versions()
    click.echo(text.as_json(shown) if as_json else view.versions_as_table(shown))


@models.command()
@click.argument("version")
@JSON
@one_line_errors
def show(version: str, as_json: bool) -> None:
    """Show a version: its decisions with both sides' numbers, its metrics, its reliability curve."""
    require_readable()
    from boursomatic_assets.cli.views import models as view

    click.echo(view.version_as_json(version) if as_json else view.version_as_text(version))


@models.command()
@click.argument("version")
@BECAUSE
@BY
@one_line_errors
def promote(version: str, because: str, by: str | None) -> None:
    """Make a version champion from now on, whatever the gate decided; the next due date's gate decides again."""
    require_current_schema()
    from boursomatic_assets import registry
    from boursomatic_assets.cli.views import models as view

    click.echo(view.decision_as_text(registry.promote(version, because, by or _user())))


@models.command()
@BECAUSE
@BY
@one_line_errors
def rollback(because: str, by: str | None) -> None:
    """Make the champion before the present one champion again, from now on."""
    require_current_schema()
    from boursomatic_assets import registry
    from boursomatic_assets.cli.views import models as view

    click.echo(view.decision_as_text(registry.roll_back(because, by or _user())))


@models.command()
@click.option("--at", type=MOMENT, help="A past time, in UTC; now by default.")
@JSON
@one_line_errors
def live(at: dt.datetime | None, as_json: bool) -> None:
    """Show the champion, now or as of a past time, or why there is none."""
    require_readable()
    from boursomatic_assets.cli.views import models as view

    click.echo(view.champion_as_json(at) if as_json else view.champion_as_text(at))


@models.command()
@click.option("--until", type=DATE, required=True, help="Trials use nothing later.")
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="Number of trials.")
@click.option("--seed", type=SEED, default=1, show_default=True, help="Seed of the choice of trials.")
@one_line_errors
def search(until: dt.date, trials: int, seed: int) -> None:
    """Try other parameters of the booster on the record before a date; changes nothing. Needs optuna.

    The best of many trials is optimistic: judge it by what it did after the date.
    """
    from boursomatic_assets import registry
    from boursomatic_assets.cli.views import models as view
    from boursomatic_assets.learning import search as searching
    from boursomatic_assets.learning.parameters import Parameters

    searching.import_optuna()
    require_readable()
    history = registry.load_history(dt.datetime.now(dt.UTC).date(), Parameters())
    found = searching.search_parameters(history, until, Parameters(), trials, seed)
    click.echo(view.search_as_text(found, Parameters()))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # which of both depends on the version of Python
        raise ValueError("this system does not say who you are: say --by") from error
