"""Problems: what is wrong now, as messages, and what is right again.

What belongs here: freshness, checks, the champion. Kept elsewhere: failed runs (`runs.py`), what was said before
(`outbox.py`).
"""

import datetime as dt
from collections.abc import Iterator

import dagster as dg
from sqlalchemy import Connection

from boursomatic_assets.alerts.message import ERROR, WARNING, Message
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.checks.now.freshness import ASSET as CURRENT_ADVICE
from boursomatic_assets.orchestration.dagster_patches.check_history.failed_checks import FailedCheck, failed_checks
from boursomatic_assets.orchestration.session_counts import sentence
from boursomatic_assets.registry import decisions
from boursomatic_assets.settings.alerts import ui_address
from boursomatic_assets.tables.freshness import Freshness, read_freshness

FRESHNESS, CHECK, CHAMPION = "freshness|", "check|", "champion|"
"""What subjects begin with."""

DRIFT = "features_resemble_what_the_model_learned"

MAX_DETAIL = 500
"""Characters of what a check reports."""


def freshness_problems(connection: Connection, now: dt.datetime) -> list[Message]:
    """A problem for each market that is behind; one of which nothing was ever loaded is none."""
    found = [read_freshness(connection, market, now) for market in MARKETS.values()]
    return [_late(freshness) for freshness in found if freshness.behind]


def _late(freshness: Freshness) -> Message:
    late = [session for session in freshness.lacking if not freshness.newest or session > freshness.newest]
    return Message(
        subject=FRESHNESS + freshness.market.name,
        kind="problem",
        title=str(freshness),
        market=freshness.market.name,
        sessions=tuple(map(str, late)),
        rule="the newest closed session is loaded, computed and advised",
        link=f"{ui_address()}/assets/{CURRENT_ADVICE.to_user_string()}?view=checks",
    )


def check_problems(instance: dg.DagsterInstance) -> list[Message]:
    """A problem for each check and market that fails, whatever the number of its partitions."""
    about_now = CURRENT_ADVICE.to_user_string()  # which `freshness_problems` tells
    return [_failing(check) for check in failed_checks(instance) if check.asset != about_now]


def _failing(check: FailedCheck) -> Message:
    where = f" in {check.market}" if check.market else ""
    on = f" on {len(check.dates):,} sessions" if len(check.dates) > 1 else ""
    what = "drift" if check.check == DRIFT else f"{check.asset}: {check.check}"
    return Message(
        subject=f"{CHECK}{check.asset}.{check.check}|{check.market}",
        kind="problem",
        title=f"{what} {'fails' if check.is_error else 'warns'}{where}{on}",
        market=check.market,
        sessions=check.dates,
        rule=f"{check.asset}.{check.check}",
        rows=sum(check.counts) or None,
        detail=_detail(check)[:MAX_DETAIL],
        link=f"{ui_address()}/assets/{check.asset}?view=checks&checkDetail={check.check}",
        level=ERROR if check.is_error else WARNING,
    )


def _detail(check: FailedCheck) -> str:
    """How much of all its sessions is wrong, or what it says where it counts nothing, and the first rows of it."""
    figures = (f"{name} {value}" for name, value in check.figures.items() if isinstance(value, str | int | float))
    said = sentence(check.counts) if any(check.counts) else check.description or ", ".join(figures)
    return f"{said}, such as {check.first_rows}" if check.first_rows else said


def recovery_of(subject: str) -> Message:
    """What is said when a problem is over."""
    kind, _, rest = subject.partition("|")
    name, _, market = rest.rpartition("|") if kind == "check" else (rest, "", rest)
    where = f" in {market}" if market else ""
    title = f"{market} is up to date again" if kind == "freshness" else f"{name} passes again{where}"
    return Message(subject, "recovery", title, market=market, level=WARNING)


def champion_event(connection: Connection, before: str | None, now: dt.datetime) -> tuple[str, Iterator[Message]]:
    """Return the present champion, and a message if it is another than before; None: it was not known."""
    decision = decisions.read_log(connection).decision_at(now)
    champion = decision.champion.version if decision and decision.champion else ""
    if before is None or before == champion or decision is None:
        return champion, iter(())
    title = (
        f"the champion is {champion}, after {before or 'none'}"
        if champion
        else f"{before} is withdrawn: no champion"
    )
    return champion, iter(
        [
            Message(
                subject=f"{CHAMPION}{before}|{champion}|{decision.decided_at:%Y-%m-%dT%H:%M:%S}",
                kind="event",
                title=title,
                sessions=(str(decision.effective_at.date()),),
                rule=f"decided by {decision.decided_by}",
                detail=decision.reason,
                link=f"{ui_address()}/assets/model_versions",
            )
        ]
    )
