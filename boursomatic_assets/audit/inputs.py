"""Inputs: which of the things that a recommendation was made from are not as they were when it was written.

What belongs here: finding them, each as a sentence that names it.
Kept elsewhere: the recommendation made again (`replay.py`), features from bars (`from_bars.py`).

Rows are told by the digest in their id, snapshots by those of the other profiles and by the stored features, the
version by the decisions known when the row was written. The model file is told when it is loaded.
"""

import datetime as dt
from collections.abc import Iterator, Mapping

import polars as pl

from boursomatic_assets.advice.snapshots import FeaturesSnapshot
from boursomatic_assets.audit.evidence import Company, asked_of
from boursomatic_assets.audit.stored import PublishedSession
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.registry.decisions import DecisionLog
from boursomatic_assets.schema.identifiers import digests, holds_digest
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.reading import read_slice, read_table
from boursomatic_assets.tables.revisions import read_bars

CHANGED_ROW = "the row was changed after it was written: its id does not fit its content"

UNEXPLAINED = (
    "the content of no row of its session was changed: the row of its model version was, or the times of rows, or"
    " a row of the session is gone, or the code decides otherwise than it did"
)

Values = Mapping[str, float | str | None]
"""Features by name, and what else a snapshot holds; None: undefined."""


def find_altered(
    session: PublishedSession,
    group: pl.DataFrame,
    company: Company,
    known: DecisionLog,
    version: str,
) -> dict[str, list[str]]:
    """What is altered of rows that were written at one moment with one version, by id.

    Args:
        session: Their session.
        group: The rows.
        company: The rows that stood when they were written.
        known: The decision log as it was when they were written.
        version: The name of their version.
    """
    changed = set(changed_rows(group)["id"])
    champion, asked = _champion_fault(known, session, version), asked_of([*company.snapshots().values()])
    altered: dict[str, list[str]] = {}
    for id, instrument, text in group.select("id", "instrument_id", "features_snapshot").iter_rows():
        found = [CHANGED_ROW] if id in changed else []
        found += [champion] if champion else []
        snapshot = company.readings[text].snapshot
        if snapshot:
            found += _snapshot_faults(snapshot, session, version, len(company.chosen))
            found += _asked_faults(snapshot, asked) if asked else []
            sister = company.readings[company.chosen.get(instrument, text)].snapshot
            if sister and sister != snapshot:
                found += value_differences(snapshot, _values(sister), "in the rows of the other profiles")
        altered[id] = found
    return altered


def score_faults(group: pl.DataFrame, company: Company, decided: pl.DataFrame) -> dict[str, list[str]]:
    """Snapshots whose `model_score` is not what the model says of their features, by the id of a row.

    Args:
        group: The rows.
        company: The rows that stood when they were written.
        decided: instrument_id, profile and score, made again from each row's own snapshot.
    """
    scores = {
        (instrument, profile): score
        for instrument, profile, score in decided.select("instrument_id", "profile", "score").iter_rows()
    }
    found: dict[str, list[str]] = {}
    for id, *key, text in group.select("id", "instrument_id", "profile", "features_snapshot").iter_rows():
        reading, again = company.readings[text], scores.get((key[0], key[1]))
        stored = reading.snapshot.model_score if reading.snapshot and reading.obstacle is None else None
        if stored is not None and again is not None and not same(stored, again):
            found[id] = [f"features_snapshot: model_score is {stored}, and {again} comes out of the model"]
    return found


def changed_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose id holds a digest that their content does not have."""
    return rows.filter(holds_digest(rows["id"]) & (rows["id"].str.tail(12) != digests(rows)))


def explain_differences(
    differing: pl.DataFrame, session: PublishedSession, company: Company
) -> dict[str, list[str]]:
    """What else is known of rows that differ, by id: values of their snapshots that are not what is stored.

    Args:
        differing: Rows that were written at one moment, with `altered`.
        session: Their session.
        company: The rows that stood at that moment.
    """
    moment = differing["generated_at"][0]
    stored = stored_values(session, moment)
    others = [f"{row['symbol']} {row['profile']}" for row in changed_rows(company.rows).iter_rows(named=True)]
    found: dict[str, list[str]] = {}
    for row in differing.iter_rows(named=True):
        snapshot = company.readings[row["features_snapshot"]].snapshot
        values = stored.get((row["symbol"], row["exchange"]), {})
        found[row["id"]] = list(value_differences(snapshot, values, "as it is stored")) if snapshot else []
        if not row["altered"] and not found[row["id"]]:
            changed = f"other rows of its session were changed after they were written: {', '.join(others[:5])}"
            found[row["id"]] = [changed if others else UNEXPLAINED]
    return found


def stored_values(session: PublishedSession, moment: dt.datetime) -> dict[tuple[str, str], Values]:
    """The features and the close of a session that are stored as they were at a moment, by symbol and exchange."""
    features = unpack(_read_features(session)).filter(pl.col("changed_at") <= moment)
    closes = read_bars(session.part, known_at=moment).select("symbol", "exchange", close="c")
    rows = closes.join(features, on=["symbol", "exchange"], how="full", coalesce=True)
    numbers = rows.select(pl.selectors.float()).iter_rows(named=True)
    names = rows.select("symbol", "exchange").iter_rows()
    known = set(features.select("symbol", "exchange").iter_rows())
    return {
        (symbol, exchange): values if (symbol, exchange) in known else {"close": values["close"]}
        for (symbol, exchange), values in zip(names, numbers, strict=True)
    }


def value_differences(snapshot: FeaturesSnapshot, values: Values, where: str) -> Iterator[str]:
    """Each value of a snapshot that is another elsewhere; what is not known there is passed over."""
    for name, own in _values(snapshot).items():
        other = values.get(name, own)
        if not same(own, other):
            yield f"features_snapshot: {name} is {own}, and {other} {where}"


def _values(snapshot: FeaturesSnapshot) -> Values:
    """Everything in a snapshot that is of its instrument."""
    counted = None if snapshot.instruments is None else float(snapshot.instruments)
    names = ("close", "model_score", "direction")
    return {**snapshot.features, **{name: getattr(snapshot, name) for name in names}, "instruments": counted}


def same(one: float | str | None, other: float | str | None) -> bool:
    """Whether two values are the very same, or both not a number."""
    return one == other or (one != one and other != other)


def _snapshot_faults(
    snapshot: FeaturesSnapshot, session: PublishedSession, version: str, instruments: int
) -> Iterator[str]:
    """What a snapshot says of its session that is not so."""
    if snapshot.ts != session.part.start:
        yield f"features_snapshot: ts is {snapshot.ts}, and the row's session {session.part.start}"
    if snapshot.model_version != version:
        yield f"features_snapshot: model_version is {snapshot.model_version}, and the row's version {version}"
    if snapshot.instruments is not None and snapshot.instruments < instruments:
        yield f"features_snapshot: instruments is {snapshot.instruments}, and {instruments} have advice"


def _asked_faults(snapshot: FeaturesSnapshot, asked: Mapping[str, float]) -> Iterator[str]:
    """What a snapshot says of the evidence asked for that most rows of its session do not say."""
    for profile, other in asked.items():
        own = (snapshot.asked or {}).get(profile)
        if own != other:
            yield f"features_snapshot: asked of {profile} is {own}, and {other} in the other rows of its session"


def _champion_fault(known: DecisionLog, session: PublishedSession, version: str) -> str | None:
    """Why a version was not the one to be used, by the decisions known when its rows were written."""
    champion = known.champion_as_of(session.as_of.date(), session.as_of)
    expected = champion.champion or champion.newest
    if expected and expected.version == version:
        return None
    instead = f"{expected.version} was to be used" if expected else "no version was decided about"
    return f"model version: the row names {version}, and at its close {instead}"


def _read_features(session: PublishedSession) -> pl.DataFrame:
    """The stored features of a session, with symbol, exchange and changed_at."""
    grain = GRAINS["features"]
    rows = read_slice(grain, session.part, (*frames.required_columns(grain.table), "created_at", "updated_at"))
    rows = rows.with_columns(changed_at=pl.coalesce("updated_at", "created_at")).drop("created_at", "updated_at")
    listed = read_table(INSTRUMENTS).select("symbol", "exchange", instrument_id="id")
    return rows.join(listed, on="instrument_id")
