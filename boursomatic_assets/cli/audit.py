"""`boursomatic audit`: recommendations made again from what is stored, and compared.

What belongs here: the words and options of these commands, and their exit codes.
Kept elsewhere: how a recommendation is made again (`audit/`), how the result is shown (`views/audit.py`).
"""

from __future__ import annotations

import datetime as dt
import secrets
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from uuid import UUID

import click
from click.core import ParameterSource

from boursomatic_assets.cli.common import DATE, SEED, one_line_errors, require_current_schema, require_readable
from boursomatic_assets.vocabulary import MARKET_NAMES

if TYPE_CHECKING:
    import polars as pl

    from boursomatic_assets.audit.replay import Replayer

FROM_BARS = click.option(
    "--from-bars", is_flag=True, help="Also compute the features again, from the bars as they were known then."
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


class IdOrCommand(click.Group):
    """A group whose first word may also be the id of a recommendation, which `replay_one` then takes."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of that name; any other word must be an id."""
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        try:
            UUID(args[0])
        except ValueError:
            known = f"the id of a recommendation nor one of {', '.join(self.commands)}"
            ctx.fail(f"{args[0]!r} is neither {known}" if self.commands else f"{args[0]!r} is no id: give a UUID")
        return "RECOMMENDATION_ID", replay_one, args


@click.group(
    cls=IdOrCommand, invoke_without_command=True, subcommand_metavar="[RECOMMENDATION_ID | COMMAND [ARGS]...]"
)
@click.option(
    "--all",
    "partition",
    type=(DATE, click.Choice(MARKET_NAMES)),
    metavar="DATE MARKET",
    help="Every recommendation of a session, superseded ones included.",
)
@click.option("--sample", type=click.IntRange(1), help="So many random ones, over all sessions.")
@click.option("--seed", type=SEED, help="Draws the same sample again; it is shown with each.")
@FROM_BARS
@JSON
@click.pass_context
@one_line_errors
def audit(
    context: click.Context,
    partition: tuple[dt.date, str] | None,
    sample: int | None,
    seed: int | None,
    from_bars: bool,
    as_json: bool,
) -> None:
    """Make recommendations again from what is stored alone, and show that they come out identical.

    Names what differs, with exit code 1. Give an id, --all, or --sample.
    """
    if context.invoked_subcommand:
        _require_nothing_lost(context)
        return
    if (partition is None) == (sample is None) or (seed is not None and sample is None):
        raise click.UsageError("give one of: the id of a recommendation, --all, or --sample [--seed]", context)
    require_readable()
    from boursomatic_assets.audit.replay import Replayer

    replayer = Replayer(from_bars=from_bars)
    if partition:
        _report(_replay_partition(replayer, *partition), as_json)
    elif sample:
        seed = secrets.randbelow(2**32) if seed is None else seed
        click.echo(f"a random sample of {sample:,}, drawn with --seed {seed}", err=True)
        _report(_replay_sample(replayer, sample, seed), as_json)


@click.command("RECOMMENDATION_ID")
@click.argument("recommendation_id", type=click.UUID)
@FROM_BARS
@JSON
@click.pass_context
@one_line_errors
def replay_one(context: click.Context, recommendation_id: UUID, from_bars: bool, as_json: bool) -> None:
    """Make one recommendation again, and show both."""
    require_readable()
    import polars as pl

    from boursomatic_assets.audit.replay import IDENTICAL, Replayer
    from boursomatic_assets.audit.stored import session_of
    from boursomatic_assets.cli.views import audit as view

    given = context.parent.params if context.parent else {}
    replayer = Replayer(from_bars=from_bars or given["from_bars"])
    is_one = pl.col("id") == str(recommendation_id)
    (row,) = replayer.replay(session_of(recommendation_id), lambda rows: rows.filter(is_one)).to_dicts()
    click.echo(view.row_as_json(row) if as_json or given["as_json"] else view.row_as_text(row))
    sys.exit(0 if row["status"] == IDENTICAL else 1)


@audit.command()
@JSON
@one_line_errors
def verify(as_json: bool) -> None:
    """Compare all that was published with the chains of digests; exit code 1 on any difference.

    Names each row that was altered, removed or added by hand, and each chain that is not whole, or shorter than
    the files of heads say.
    """
    require_current_schema()
    from boursomatic_assets import database
    from boursomatic_assets.cli.views import audit as view
    from boursomatic_assets.tables.chains import heads, verification
    from boursomatic_assets.tables.reading import see_one_moment

    with database.engine().connect() as connection:
        see_one_moment(connection)
        counts = verification.count_rows(connection)
        found = [*verification.verify(connection), *heads.compare()]
    if not found:
        heads.keep()
    click.echo(view.chains_as_json(counts, found) if as_json else view.chains_as_text(counts, found))
    sys.exit(1 if found else 0)


@audit.command()
@click.argument("reason")
@one_line_errors
def restart(reason: str) -> None:
    """Begin the chains anew with the rows that are there, after history was changed on purpose.

    It runs as the owner, and the reason stays in the files of heads. `db rollback` and `db recreate` need none.
    """
    require_current_schema()
    from boursomatic_assets.tables.chains import heads

    heads.restart(reason)
    click.echo("the chains begin anew with the rows that are there")


def _require_nothing_lost(context: click.Context) -> None:
    """Require that no option stands before a word that would not read it.

    Raises:
        click.UsageError: One does.
    """
    is_id = context.invoked_subcommand == replay_one.name
    unread = context.params.keys() - ({"from_bars", "as_json"} if is_id else set())
    if any(context.get_parameter_source(name) == ParameterSource.COMMANDLINE for name in unread):
        alone = "an id stands alone: give neither --all nor --sample with it"
        raise click.UsageError(
            alone if is_id else f"write all options after `{context.invoked_subcommand}`", context
        )


def _replay_partition(replayer: Replayer, date: dt.date, market: str) -> Iterator[pl.DataFrame]:
    """Replay a partition, session by session (rows written by hand may speak for another time of the date).

    Raises:
        ValueError: It has no recommendations.
    """
    from boursomatic_assets.audit.stored import sessions_of
    from boursomatic_assets.calendars.markets import market_named
    from boursomatic_assets.calendars.slices import Slice

    sessions = sessions_of(Slice(market_named(market), (date,)))
    if not sessions:
        raise ValueError(
            f"there are no recommendations of {date} {market}:"
            f" `boursomatic recommendations --date {date}` says why"
        )
    return map(replayer.replay, sessions)


def _replay_sample(replayer: Replayer, size: int, seed: int) -> Iterator[pl.DataFrame]:
    from boursomatic_assets.audit.sampling import replay_sample

    return replay_sample(replayer, size, seed)


def _report(replayed: Iterable[pl.DataFrame], as_json: bool) -> None:
    """Show the results of some sessions; exit code 1 if a row differs, or if none could be replayed."""
    from boursomatic_assets.cli.views import audit as view

    summary = view.Summary()
    for results in replayed:
        summary.add(results)
    click.echo(summary.as_json() if as_json else summary.as_text())
    sys.exit(0 if summary.proved else 1)
