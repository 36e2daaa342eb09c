"""Change: what moved an instrument's advice from one session to another, or from a superseded row to the current.

What belongs here: parts that add up to the change, each from a replay in which one thing more is exchanged.
Kept elsewhere: which recommendations are meant (`finding.py`), the steps of a replay (`recipes.py`), how the parts
are shown (`cli/views/why/change.py`).

It begins with the row that was published first for the earlier session, and ends with the current row of the later
one. A part depends on those before it; what is exchanged, in this order:

    bars      the snapshot of the instrument, since bars up to its session were restated
    features  its snapshot of the later session, scored by the same version among the same others
    version   the version, and whether any may speak
    rule      the evidence that the profiles ask for
    context   the other instruments of the session, among which it is ranked

Where the recipe changed in between, none takes the other's snapshots: all that cannot be separated across it is
the rule's part. It then comes second, and leads from the last row of the former recipe to the first of the other
one: that of the earlier session, if it was computed again by it, or else the later row itself.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import polars as pl

from boursomatic_assets.advice.snapshots import FeaturesSnapshot
from boursomatic_assets.audit.evidence import Company, as_rows
from boursomatic_assets.audit.finding import find_earlier, find_recommendation
from boursomatic_assets.audit.provenance import Facts
from boursomatic_assets.audit.recipes import Recipe
from boursomatic_assets.audit.replay import IDENTICAL, Replayer, company_of
from boursomatic_assets.audit.stored import PublishedSession, read_rows

MOVED = ("expected_return_pct", "confidence")
"""The numbers whose change is told in parts."""

STATE = ("label", "view", *MOVED, "score", "score_rank")
"""What is told of each step."""


@dataclass(frozen=True)
class _Inputs:
    """What an advice is made from; one of it is exchanged at a time, the last two together.

    Attributes:
        snapshot: That of its instrument.
        recipe: The recipe, with its version.
        abstaining: Whether there was no champion.
        asked: The evidence that each profile asked for, by name.
        instrument: The instrument's id.
        others: The snapshot of each instrument of its session, its own included.
    """

    snapshot: FeaturesSnapshot
    recipe: Recipe
    abstaining: bool
    asked: Mapping[str, float] | None
    instrument: str
    others: Mapping[str, FeaturesSnapshot]

    def fits(self, other: "_Inputs") -> bool:
        """Whether both are of one recipe, each of which can take the other's snapshots."""
        return type(self.recipe) is type(other.recipe) and self._takes(other) and other._takes(self)

    def _takes(self, other: "_Inputs") -> bool:
        given = (other.snapshot, *other.others.values())
        return all(self.recipe.snapshot_features <= snapshot.features.keys() for snapshot in given)


def explain_change(symbol: str, profile: str, start: dt.date | None = None, end: dt.date | None = None) -> Facts:
    """What moved an instrument's advice.

    Args:
        symbol: A symbol, or SYMBOL@EXCHANGE.
        profile: One of the risk profiles.
        start: The earlier session; that of the advice before by default.
        end: The later session; that of the newest advice by default.

    Returns:
        symbol, exchange, market, profile; from and to: id, as_of, the `rules` of its recipe, what its
        probabilities are about (`meaning`) and STATE; parts: for each part its name, the STATE after it and
        `change`, by how much it moved each of MOVED; and the `change` of all. The parts add up to that, but for
        the rounding of floats. A number that is not known makes a change None.

    Raises:
        ValueError: There are no two such rows, or one does not come out again.
    """
    later_session, later_id = find_recommendation(symbol, profile, end)
    earlier_session, earlier_id = (
        find_recommendation(symbol, profile, start) if start else find_earlier(later_session, later_id)
    )
    if earlier_session.as_of > later_session.as_of:
        raise ValueError(f"{earlier_session} is after {later_session}: give --from and --to in the order of time")
    first_id, replayer = _first_of(earlier_session, earlier_id), Replayer()
    if first_id == later_id:
        raise ValueError(f"{later_session} has one row of {symbol} alone: name an earlier session with --from")
    published, restated = (_read(replayer, earlier_session, one)[0] for one in (first_id, earlier_id))
    later, row = _read(replayer, later_session, later_id)
    states = [
        {"part": name, **_decide(inputs, later_session, profile)}
        for name, inputs in _exchanges(published, restated, later)
    ]
    parts = [after | {"change": _difference(before, after)} for before, after in pairwise(states)]
    ends = [
        _end(first_id, earlier_session, published.recipe, states[0]),
        _end(later_id, later_session, later.recipe, states[-1]),
    ]
    key = {name: row[name] for name in ("symbol", "exchange", "profile")} | {"market": later_session.market.name}
    return key | {"from": ends[0], "to": ends[1], "parts": parts, "change": _difference(*ends)}


def _end(identifier: str, session: PublishedSession, recipe: Recipe, state: Facts) -> Facts:
    """What is told of the row that a change begins or ends with."""
    own = {"id": identifier, "as_of": session.as_of, "rules": recipe.rules, "meaning": recipe.meaning}
    return own | {name: state[name] for name in STATE}


def _first_of(session: PublishedSession, identifier: str) -> str:
    """The id of the row that was published first for the session, instrument and profile of a row."""
    rows = read_rows(session)
    row = rows.row(by_predicate=pl.col("id") == identifier, named=True)
    same = rows.filter(pl.col("instrument_id") == row["instrument_id"], pl.col("profile") == row["profile"])
    first: str = same.sort("generated_at", "id")["id"][0]
    return first


def _read(replayer: Replayer, session: PublishedSession, identifier: str) -> tuple[_Inputs, Facts]:
    """What a row was made from, and the row.

    Raises:
        ValueError: It does not come out again.
    """
    rows = read_rows(session)
    group = rows.filter(pl.col("id") == identifier)
    row = replayer.replay(session, lambda _: group).row(0, named=True)
    made_by = replayer.models.model_of(session, group)
    if row["status"] != IDENTICAL or isinstance(made_by, str):
        raise ValueError(
            f"{identifier} of {session} does not come out again, so that nothing can be told apart:"
            f" `boursomatic audit {identifier}` says why"
        )
    company = Company.read(company_of(rows, group), made_by.recipe)
    snapshot = company.snapshot(row["features_snapshot"])
    inputs = _Inputs(
        snapshot, made_by.recipe, made_by.abstaining, snapshot.asked, row["instrument_id"], company.snapshots()
    )
    return inputs, row


def _exchanges(published: _Inputs, restated: _Inputs, later: _Inputs) -> Iterator[tuple[str, _Inputs]]:
    """The inputs at first, and after each part, when one thing more of them is the later one's."""
    yield "first", published
    inputs, is_one_recipe = published, published.fits(later)
    if published.fits(restated):
        inputs = replace(inputs, snapshot=restated.snapshot)
    yield "bars", inputs
    if not is_one_recipe:
        inputs = replace(restated, asked=later.asked) if restated.fits(later) else later
        yield "rule", inputs
    inputs = replace(inputs, snapshot=later.snapshot)
    yield "features", inputs
    inputs = replace(inputs, recipe=later.recipe, abstaining=later.abstaining)
    yield "version", inputs
    if is_one_recipe:
        inputs = replace(inputs, asked=later.asked)
        yield "rule", inputs
    yield "context", later


def _decide(inputs: _Inputs, session: PublishedSession, profile: str) -> Facts:
    """The STATE of what is decided of the inputs."""
    snapshots = {**inputs.others, inputs.instrument: inputs.snapshot}
    rows = as_rows(snapshots, session.part.start, session.market.name, inputs.recipe)
    decided = inputs.recipe.decide(rows, inputs.asked, abstaining=inputs.abstaining)
    is_own = (pl.col("instrument_id") == inputs.instrument) & (pl.col("profile") == profile)
    return decided.select(*STATE, "instrument_id", "profile").filter(is_own).select(STATE).row(0, named=True)


def _difference(before: Facts, after: Facts) -> Facts:
    known = [name for name in MOVED if before[name] is not None and after[name] is not None]
    return dict.fromkeys(MOVED) | {name: after[name] - before[name] for name in known}
