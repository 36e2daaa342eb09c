"""From bars: the features of a session computed again, from the bars as they were known when its advice was made.

What belongs here: which moment that is, the computation, and the comparison with snapshots.
Kept elsewhere: bars as they were known (`tables/revisions.py`), the formulas (`features/`).
"""

import datetime as dt

import polars as pl
from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.audit.evidence import Company
from boursomatic_assets.audit.inputs import Values, value_differences
from boursomatic_assets.audit.stored import PublishedSession
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.features.compute import compute_features
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.tables.aliases.names import MERGED_IDS
from boursomatic_assets.tables.computations import computation_times
from boursomatic_assets.tables.grains import INSTRUMENTS
from boursomatic_assets.tables.reading import read_table
from boursomatic_assets.tables.revisions import read_bars

MERGED_SINCE = (
    "an instrument of its session was merged into another since: bars that were known under both names are one"
    " series now, so the features cannot be computed again"
)


def compare_with_bars(
    session: PublishedSession, company: Company, group: pl.DataFrame
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Compare snapshots with features computed again.

    Args:
        session: The session.
        company: The rows that stood when the group was written.
        group: The rows to prove, written at one moment.

    Returns:
        What differs, and why nothing can be compared, each by the id of a row.
    """
    if _merged_ids() & set(company.rows["instrument_id"]):
        return {}, dict.fromkeys(group["id"], MERGED_SINCE)
    moment = read_moment(session, group["generated_at"][0])
    values = compute_values(session, moment)
    where = f"from the bars known at {moment:%Y-%m-%d %H:%M:%S} UTC"
    differences: dict[str, list[str]] = {}
    for id, instrument, snapshot_text in group.select("id", "instrument_id", "features_snapshot").iter_rows():
        snapshot = company.readings[snapshot_text].snapshot
        if instrument not in values:
            differences[id] = [f"bars: the instrument has none in its session {where}"]
        elif snapshot:
            differences[id] = list(value_differences(snapshot, values[instrument], where))
    return differences, {}


def read_moment(session: PublishedSession, written_at: dt.datetime) -> dt.datetime:
    """When the bars were read that a session's recommendations rest on.

    That is when its features were computed. If these were computed again since, the earlier time is no longer
    known, and the moment when the recommendations were written stands for it.
    """
    with database.engine().connect() as connection:
        times = computation_times(connection, "features", session.part)["computed_at"].to_list()
    return next((time for time in times if time <= written_at), written_at)


def compute_values(session: PublishedSession, moment: dt.datetime) -> dict[str, Values]:
    """Features, close and the number of instruments of a session by the bars known at a moment, by instrument."""
    listed = read_table(INSTRUMENTS).select("symbol", "exchange", instrument_id="id")
    known = read_bars(session.part.looking_back(LOOKBACK), known_at=moment)
    bars = known.join(listed, on=["symbol", "exchange"])
    of_session = bars.filter(pl.col("ts") == session.part.start)
    if of_session.is_empty():
        return {}
    computed = compute_features(bars, session.market.sessions(), session.part.start)
    closes = of_session.select("instrument_id", close="c", instruments=pl.lit(float(of_session.height)))
    rows = unpack(computed).join(closes, on="instrument_id")
    numbers = rows.select(pl.selectors.float()).iter_rows(named=True)
    return dict(zip(rows["instrument_id"], numbers, strict=True))


def _merged_ids() -> set[str]:
    with database.engine().connect() as connection:
        return {str(id) for id in connection.scalars(text(MERGED_IDS))}
