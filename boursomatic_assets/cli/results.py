"""Commands that show results: recommendations, search, why, why-changed, track-record and its proof, bars, status.

What belongs here: their words, options and exit codes. Kept elsewhere: the queries and how their rows are shown
(`views/`), the story of a recommendation and of its change (`audit/explanation/story.py`,
`audit/explanation/change.py`).
"""

import datetime as dt
import sys

import click

from boursomatic_assets.cli.common import DATE, MOMENT, one_line_errors, require_readable
from boursomatic_assets.vocabulary import INTERVALS, LABELS, MARKET_NAMES, PROFILES


@click.command()
@click.option("--profile", type=click.Choice(PROFILES), help="One risk profile instead of all.")
@click.option("--market", type=click.Choice(MARKET_NAMES), help="One market instead of both.")
@click.option("--symbol", help="One instrument instead of all.")
@click.option("--label", type=click.Choice(LABELS), help="One label instead of all.")
@click.option("--date", type=DATE, help="A past session instead of the newest.")
@click.option(
    "--all", "every", is_flag=True, help="Each HOLD as well, of which the table says how many there are."
)
@click.option("--user", metavar="EMAIL", help="What this account sees: the profile that it prefers, with consent.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of all rows instead of a table.")
@click.option("--csv", "as_csv", is_flag=True, help="All rows as CSV instead of a table.")
@one_line_errors
def recommendations(
    profile: str | None,
    market: str | None,
    symbol: str | None,
    label: str | None,
    date: dt.date | None,
    every: bool,
    user: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show the current recommendations, or those of a past session, or what an account sees.

    BUY and SELL come first, and HOLD is a count. The horizon is in sessions. Of one symbol each row is shown, with
    its reason.
    """
    if as_json and as_csv:
        raise click.UsageError("choose one of --json and --csv")
    if user is not None and (profile or date):
        raise click.UsageError(
            "an account sees its own profile, of the newest session: leave out --profile and --date"
        )
    from boursomatic_assets.cli.views import recommendations as view
    from boursomatic_assets.cli.views import text, users

    require_readable()
    if user is None:
        shown = view.recommendations(profile, market, symbol, date, label)
    else:
        shown = users.recommendations_of(user, market, symbol, label)
    if as_json or as_csv:
        click.echo(text.as_json(shown) if as_json else view.as_csv(shown))
        return
    every = every or symbol is not None or label is not None
    click.echo(text.coloured(view.as_text(shown, every=every, reasons=symbol is not None)))


@click.command()
@click.argument("words")
@click.option("--from", "start", type=DATE, help="The first session.")
@click.option("--market", type=click.Choice(MARKET_NAMES), help="One market instead of both.")
@click.option("--profile", type=click.Choice(PROFILES), help="One risk profile instead of all.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Show at most so many."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of text.")
@one_line_errors
def search(
    words: str, start: dt.date | None, market: str | None, profile: str | None, limit: int, as_json: bool
) -> None:
    """Find recommendations by words of their justification and of their instrument's symbol, name and sector.

    All WORDS must be there, in any form, English or French, with or without accents. "Words in quotes" stand side
    by side, and -word must not be there. The newest session comes first.
    """
    from boursomatic_assets.calendars.markets import market_named
    from boursomatic_assets.cli.views import search as view
    from boursomatic_assets.cli.views import text
    from boursomatic_assets.tables.search import advice

    require_readable()
    exchanges = market_named(market).exchanges if market else ()
    found = advice.search(words, since=start, profile=profile, exchanges=exchanges, limit=limit)
    shown = view.rows_of(found)
    if as_json or shown.height:
        click.echo(text.as_json(shown) if as_json else text.coloured(view.as_text(shown)))
    for note in view.notes_of(found, shown):
        click.echo(note, err=True)


@click.command()
@click.argument("symbol")
@click.option("--profile", type=click.Choice(PROFILES), default="moderate", show_default=True)
@click.option("--date", type=DATE, help="A past session instead of the newest recommendation.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@one_line_errors
def why(symbol: str, profile: str, date: dt.date | None, as_json: bool) -> None:
    """Tell how a recommendation came about: bar, features, model, thresholds, later versions, outcome.

    SYMBOL may name its exchange, SYMBOL@EXCHANGE, or be the id of a recommendation, superseded or not.
    """
    from boursomatic_assets.audit.explanation import story
    from boursomatic_assets.cli.views.why import story as view

    require_readable()
    told = story.tell(symbol, profile, date)
    click.echo(view.as_json(told) if as_json else view.as_text(told))


@click.command("why-changed")
@click.argument("symbol")
@click.option("--profile", type=click.Choice(PROFILES), default="moderate", show_default=True)
@click.option("--from", "start", type=DATE, help="The earlier session; that of the advice before by default.")
@click.option("--to", "end", type=DATE, help="The later session; that of the newest advice by default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@one_line_errors
def why_changed(symbol: str, profile: str, start: dt.date | None, end: dt.date | None, as_json: bool) -> None:
    """Tell what moved a recommendation: bars restated, features, version, rule, context.

    From what was first published for one session to what stands for another, or for the same one (--from and --to
    of one date). The parts add up to the change. SYMBOL may name its exchange, SYMBOL@EXCHANGE.
    """
    from boursomatic_assets.audit.explanation.change import explain_change
    from boursomatic_assets.cli.views.why import change as view

    require_readable()
    told = explain_change(symbol, profile, start, end)
    click.echo(view.as_json(told) if as_json else view.as_text(told))


@click.group("track-record", invoke_without_command=True)
@click.option("--profile", type=click.Choice(PROFILES), help="One risk profile instead of all.")
@click.option("--market", type=click.Choice(MARKET_NAMES), help="One market instead of both.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
@click.pass_context
@one_line_errors
def track_record(context: click.Context, profile: str | None, market: str | None, as_json: bool) -> None:
    """Show how past recommendations turned out, and how often a confidence was right."""
    if context.invoked_subcommand:
        if profile or market or as_json:
            raise click.UsageError(
                f"`track-record {context.invoked_subcommand}` has options of its own: give them after it"
            )
        return
    from boursomatic_assets.cli.views import track_record as view

    require_readable()
    shown = view.track_record(profile, market)
    click.echo(view.as_json(shown) if as_json else view.as_table(shown))


@track_record.command()
@click.option("--profile", type=click.Choice(PROFILES), help="One risk profile instead of all.")
@click.option("--market", type=click.Choice(MARKET_NAMES), help="One market instead of both.")
@click.option("--date", type=DATE, help="As of a past session: nothing later is used.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@one_line_errors
def expected(profile: str | None, market: str | None, date: dt.date | None, as_json: bool) -> None:
    """Show how many of the open recommendations are expected to be right, and how sure that is.

    The expected hit rate is the mean confidence. The interval is as wide as the record of the same profile, market
    and label asks for, session by session.
    """
    from boursomatic_assets.cli.views import text
    from boursomatic_assets.cli.views import track_record as view

    require_readable()
    found = view.expected(profile, market, date)
    click.echo(text.as_json(found) if as_json else view.expected_as_table(found))


@track_record.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of text.")
@one_line_errors
def verify(as_json: bool) -> None:
    """Recompute the rank ICs of all months from stored rows alone, whether anybody spoke or not.

    Fails if those of the score and of the expected return differ, or if a scored row does not follow from the rows
    stored.
    """
    from boursomatic_assets.cli.views import track_record as view

    require_readable()
    found = view.shadow_records()
    click.echo(view.shadow_as_json(found) if as_json else view.shadow_as_text(found))
    sys.exit(0 if all(record.holds for record in found) else 1)


@click.command()
@click.argument("symbol")
@click.option("--from", "start", type=DATE, required=True, help="First date.")
@click.option("--to", "end", type=DATE, help="Last date; the newest closed session by default.")
@click.option("--interval", type=click.Choice(INTERVALS), default="daily", show_default=True)
@click.option("--known-at", type=MOMENT, help="A past time, in UTC: the bars as they were known then.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@one_line_errors
def bars(
    symbol: str, start: dt.date, end: dt.date | None, interval: str, known_at: dt.datetime | None, as_json: bool
) -> None:
    """Show an instrument's bars, as they are known now or were known at a past time."""
    from boursomatic_assets.calendars.markets import newest_closed_date
    from boursomatic_assets.cli.views import bars as view
    from boursomatic_assets.cli.views import text
    from boursomatic_assets.orchestration.partitions import partition_dates

    require_readable()
    dates = partition_dates(start, end or newest_closed_date())
    shown = view.read_bars(symbol, dates, interval, known_at)
    click.echo(text.as_json(shown) if as_json else view.as_table(shown))


@click.command()
@one_line_errors
def status() -> None:
    """Show what is there: revision, rows, newest sessions, the champion, what is rejected or stale."""
    from boursomatic_assets.cli.views.operating import status as view

    require_readable()
    click.echo(view.status())
