"""The sensor `refill`: it asks for every closed session that is missing or provisional.

What belongs here: which sessions are asked for, when again, and what the cursor holds.
Kept elsewhere: the state of each session (`tables/freshness.py`), which markets are being computed
(`in_flight.py`).

It reads the tables, not Dagster's materialisations: a run over bars that are not there succeeds, with no rows.
The oldest date comes first, and the next one when it has ended, because features look back on the sessions before,
and a model learns from both markets. A session that is waited for in vain does not hold up the others.
"""

import datetime as dt
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.automation.in_flight import markets_in_flight
from boursomatic_assets.automation.jobs import market_session
from boursomatic_assets.automation.watch import STATUS
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.orchestration.partitions import START, partition_key
from boursomatic_assets.tables.freshness import Freshness, State, read_freshness

GRACE = dt.timedelta(minutes=15)
"""After its schedule, until when a session is left to that."""

FIRST_WAIT, LONGEST_WAIT = dt.timedelta(minutes=15), dt.timedelta(hours=4)
"""Until a session is asked for again: twice as long each time."""

MOST_FOR_INCOMPLETE, NEWEST_INCOMPLETE = 3, 5
"""How often a session is asked for of which only some instruments are lacking, and of how many of the newest.

A service may never have them. Other sessions are asked for on and on, and before these.
"""

TAGS = {"boursomatic/launched_by": "refill"}


@dataclass(frozen=True)
class Asked:
    """How often a session was asked for, and when last, in ISO 8601, naive UTC."""

    times: int
    last: str

    def again_at(self) -> dt.datetime:
        """When it may be asked for again."""
        wait: dt.timedelta = min(FIRST_WAIT * 2 ** min(self.times - 1, 16), LONGEST_WAIT)
        return dt.datetime.fromisoformat(self.last) + wait


@dataclass(frozen=True)
class Wanted:
    """A session that is not as it should be."""

    date: dt.date
    market: str
    state: State

    @property
    def key(self) -> str:
        """Its partition key."""
        return partition_key(self.date, self.market)

    @property
    def rank(self) -> tuple[bool, dt.date]:
        """Whether it comes first: what is lacking, then what is incomplete, each from its oldest date on."""
        return self.state == "incomplete", self.date


@dataclass(frozen=True)
class Plan:
    """What is asked for now, what was asked for so far by partition key, and what is said of the rest."""

    requests: Sequence[Wanted]
    asked: dict[str, Asked]
    note: str


def plan(
    markets: Sequence[Freshness], in_flight: Collection[str], asked: dict[str, Asked], now: dt.datetime
) -> Plan:
    """Return which sessions to ask for: all of the oldest date that is not waited for.

    Args:
        markets: How far each market is.
        in_flight: The markets of which bars are being computed, or are queued: nothing is asked of these.
        asked: What was asked for so far, by partition key.
        now: The time, naive UTC.
    """
    wanted = {one.key: one for freshness in markets for one in _wanted(freshness, asked)}
    asked = {key: before for key, before in asked.items() if key in wanted or _given_up(key, before, markets)}
    waiting = {key for key in wanted if key in asked and asked[key].again_at() > now}
    open_sessions = [one for key, one in wanted.items() if key not in waiting]
    first = min((one.rank for one in open_sessions), default=None)
    requests = [one for one in open_sessions if one.rank == first and one.market not in in_flight]
    for one in requests:
        times = asked[one.key].times if one.key in asked else 0
        asked[one.key] = Asked(times + 1, now.isoformat())
    return Plan(requests, asked, "; ".join(_notes(markets, wanted, waiting, in_flight)))


def _wanted(freshness: Freshness, asked: dict[str, Asked]) -> Iterator[Wanted]:
    """The sessions of a market that are to be asked for, now or later; none if it was left for a quarter."""
    if all(state == "not loaded" for state in freshness.states.values()):
        return
    newest = list(freshness.states)[-NEWEST_INCOMPLETE:]
    for session, state in freshness.states.items():
        one = Wanted(session, freshness.market.name, state)
        times = asked[one.key].times if one.key in asked else 0
        hopeful = state == "incomplete" and session in newest and times < MOST_FOR_INCOMPLETE
        if session >= START and (session in freshness.lacking or hopeful):
            yield one


def _given_up(key: str, before: Asked, markets: Sequence[Freshness]) -> bool:
    """Whether a session is as complete as it will be: what was asked is kept, so that it is not asked for anew."""
    incomplete = {
        partition_key(session, freshness.market.name)
        for freshness in markets
        for session, state in freshness.states.items()
        if state == "incomplete"
    }
    return key in incomplete and before.times >= MOST_FOR_INCOMPLETE


def _notes(
    markets: Sequence[Freshness], wanted: Collection[str], waiting: Collection[str], in_flight: Collection[str]
) -> Iterator[str]:
    """What an engineer may ask of an evaluation that asks for nothing."""
    left = list(_left_to_a_backfill(markets))
    if not wanted and not left:
        yield "no session is lacking"
    for name in sorted(in_flight):
        if any(key.endswith(f"|{name}") for key in wanted):
            yield f"{name} is being computed"
    yield from left
    if waiting:
        yield f"waiting before asking again for {', '.join(sorted(waiting))}"


def _left_to_a_backfill(markets: Sequence[Freshness]) -> Iterator[str]:
    for freshness in markets:
        if freshness.loaded_until is None:
            yield f"{freshness.market.name} has no session yet: a backfill loads the first ones"
        elif freshness.behind and all(state == "not loaded" for state in freshness.states.values()):
            yield f"{freshness.market.name} is {freshness.behind:,} sessions behind: backfill them"


def evaluate(instance: dg.DagsterInstance, cursor: str | None, now: dt.datetime) -> dg.SensorResult:
    """Return the runs that are asked for at a moment, and the cursor of the next evaluation."""
    asked = {key: Asked(**before) for key, before in json.loads(cursor or "{}").items()}
    with database.engine().connect() as connection:
        markets = [read_freshness(connection, market, now, GRACE) for market in MARKETS.values()]
    planned = plan(markets, markets_in_flight(instance), asked, now)
    requests = [
        dg.RunRequest(
            run_key=f"{one.key}#{planned.asked[one.key].last}",
            partition_key=one.key,
            tags=TAGS | {"boursomatic/because": one.state},
        )
        for one in planned.requests
    ]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else planned.note,
        cursor=json.dumps({key: asdict(before) for key, before in planned.asked.items()}),
    )


@dg.sensor(
    name="refill",
    job=market_session,
    minimum_interval_seconds=60,
    default_status=STATUS,
    description="Each minute. Asks for closed sessions that are missing, provisional or not advised, the oldest"
    " date first, one date at a time; again after 15 minutes, and later each time, if the source had nothing.",
)
def ask_for_missed(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Evaluate now."""
    return evaluate(context.instance, context.cursor, utc_now())
