"""Directions: those of a session found again, from the stored features of the sessions before.

What belongs here: the comparison of snapshots with it, as far as those features are still as they were.
Kept elsewhere: what a direction is (`advice/bands.py`), the features of the session itself (`from_bars.py`).
"""

import polars as pl

from boursomatic_assets import database
from boursomatic_assets.advice.bands import MEMORY, find_directions
from boursomatic_assets.arrays import KEY
from boursomatic_assets.audit.evidence import Company
from boursomatic_assets.audit.recipes import CurrentRecipe
from boursomatic_assets.audit.session_model import SessionModel
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.learning.prediction import score_ensemble, score_ranks
from boursomatic_assets.tables.computations import computation_times
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice


def compare_directions(made_by: SessionModel, company: Company, group: pl.DataFrame) -> dict[str, list[str]]:
    """Which snapshots say another direction than comes out, by the id of a row.

    Nothing is said where features of one of the sessions changed since the rows were written, nor of a former
    recipe, which had no directions.

    Args:
        made_by: What made the rows.
        company: The rows that stood when they were written.
        group: The rows to prove, written at one moment.
    """
    session, recipe = made_by.session, made_by.recipe
    part = session.part.looking_back(MEMORY - 1)
    with database.engine().connect() as connection:
        changed = computation_times(connection, "features", part)["changed_at"]
    if not isinstance(recipe, CurrentRecipe) or (changed > group["generated_at"][0]).any():
        return {}
    rows = unpack(read_slice(GRAINS["features"], part))
    ranked = rows.select(*KEY, score_rank=score_ranks(rows, score_ensemble(recipe.model, rows)))
    found = ranked.with_columns(direction=find_directions(ranked, session.market.sessions()))
    of_session = found.filter(pl.col("ts") == session.part.start)
    directions = dict(of_session.select("instrument_id", "direction").iter_rows())
    differences: dict[str, list[str]] = {}
    for id, instrument, text in group.select("id", "instrument_id", "features_snapshot").iter_rows():
        snapshot = company.readings[text].snapshot
        if snapshot and instrument in directions and snapshot.direction != directions[instrument]:
            comes_out = f"{directions[instrument]} comes out of the scores of {MEMORY} sessions"
            differences[id] = [f"features_snapshot: direction is {snapshot.direction}, and {comes_out}"]
    return differences
