"""Performance: the figures of the track record, of past recommendations that were scored and of those to come.

What belongs here: queries on the table `track_record` and on open recommendations, and their results as frames and
markdown.
Kept elsewhere: how a recommendation is scored (`advice/outcomes.py`), how many hits are expected
(`advice/expectation.py`), the drawing of the diagram (`learning/evaluation/reliability_diagram.py`), the view of
the terminal (`cli/views/track_record.py`).
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets.advice.expectation import COHORT_SCHEMA, expect_hits
from boursomatic_assets.advice.outcomes import select_due
from boursomatic_assets.calendars.markets import MARKETS, Market, market_named
from boursomatic_assets.learning.evaluation.reliability_diagram import as_markdown_image, draw_reliability_diagram
from boursomatic_assets.tables.activity import SESSIONS_UNTIL_INACTIVE
from boursomatic_assets.tables.aliases.names import MERGED_IDS
from boursomatic_assets.vocabulary import PROFILES

_SCORED_ROWS = (
    "WITH scored AS (SELECT t.* FROM track_record t WHERE t.profile = ANY(:profiles) AND t.ts < :until"
    " AND (t.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))) IS TRUE)"
)
_FIGURES_BY_LABEL = (
    f"{_SCORED_ROWS}, happened AS (SELECT profile, outcome AS label,"
    "   count(*) / sum(count(*)) OVER (PARTITION BY profile) AS share"
    "   FROM scored WHERE outcome IS NOT NULL GROUP BY profile, outcome)"
    " SELECT profile, label, view, count(*), avg(hit::int)::float, coalesce(share, 0)::float,"
    " avg(relative_return_pct), avg(realised_return_pct), avg(expected_return_pct),"
    " avg(CASE WHEN label <> 'HOLD' THEN (coalesce(first_touched, '') = 'stop')::int END)::float,"
    " avg(CASE WHEN label <> 'HOLD' THEN (coalesce(first_touched, '') = 'target')::int END)::float"
    " FROM scored LEFT JOIN happened USING (profile, label) GROUP BY profile, label, view, share"
    " ORDER BY array_position(CAST(:profiles AS text[]), profile::text), label, view"
)
_FIGURES_BY_BIN = (
    f"{_SCORED_ROWS} SELECT least(floor(confidence * 10), 9)::int AS bin, count(*), avg(confidence),"
    " avg(hit::int)::float FROM scored WHERE hit IS NOT NULL GROUP BY bin ORDER BY bin"
)
_COHORTS = (
    "SELECT t.profile, :market, t.label, date_trunc('day', t.as_of) AS session, max(t.ts), count(*),"
    " sum(t.hit::int), sum(t.confidence ORDER BY t.confidence),"
    " sum(t.confidence * (1 - t.confidence) ORDER BY t.confidence) FROM track_record t"
    " WHERE t.profile = ANY(:profiles) AND t.view = 'given' AND t.hit IS NOT NULL AND t.ts < :until"
    " AND (t.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))) IS TRUE"
    " GROUP BY t.profile, t.label, session ORDER BY t.profile, t.label, session"
)
"""Sums of floats are taken in one order, so that they are the same to the last bit."""


_NEWEST_SESSIONS = (
    "SELECT session FROM computed_sessions WHERE asset = 'price_bars' AND market = :market AND session < :until"
    " ORDER BY session DESC LIMIT :count"
)
_NEWEST_ROWS = (
    "SELECT DISTINCT ON (r.instrument_id, r.profile) r.profile, r.label, r.view, r.confidence, r.as_of,"
    " r.horizon_days FROM recommendations r"
    " WHERE r.superseded_at IS NULL AND r.as_of >= :since AND r.as_of < :until AND r.profile = ANY(:profiles)"
    " AND (r.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges)"
    f"   AND id NOT IN ({MERGED_IDS}))) IS TRUE"
    " ORDER BY r.instrument_id, r.profile, r.as_of DESC"
)
_NEWEST_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("profile", "label", "view"), pl.String()),
    "confidence": pl.Float64(),
    "as_of": pl.Datetime("us"),
    "horizon_days": pl.Int32(),
}
_LABEL_SCHEMA: dict[str, pl.DataType] = {
    "profile": pl.String(),
    "label": pl.String(),
    "view": pl.String(),
    "n": pl.Int64(),
    "hit_rate": pl.Float64(),
    "base_rate": pl.Float64(),
    "relative_pct": pl.Float64(),
    "realised_pct": pl.Float64(),
    "expected_pct": pl.Float64(),
    "stopped": pl.Float64(),
    "reached": pl.Float64(),
}
_BIN_SCHEMA: dict[str, pl.DataType] = {
    "bin": pl.Int64(),
    "n": pl.Int64(),
    "confidence": pl.Float64(),
    "right": pl.Float64(),
}


@dataclass(frozen=True)
class PerformanceFigures:
    """How past recommendations performed; means and shares are over rows, whose horizons overlap.

    Attributes:
        labels: by profile, label and view: n, hit_rate (share whose label is the outcome; null where no view was
            given), base_rate (share of all rows of the profile with that outcome: the hit rate of always
            recommending it), relative_pct (mean of the return less that of its market's session), realised_pct
            and expected_pct (mean returns), stopped and reached (shares whose stop, or target, was touched first;
            null for HOLD).
        bins: by bin of 10 % of confidence: n, confidence (mean), right (share whose label is the outcome).
    """

    labels: pl.DataFrame
    bins: pl.DataFrame

    @property
    def hit_rate(self) -> float | None:
        """The share of hits, of the rows with an outcome."""
        return self._weighted(self.bins["right"])

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error: the mean distance of confidence from `right`, weighted by rows."""
        return self._weighted((self.bins["confidence"] - self.bins["right"]).abs())

    def _weighted(self, values: pl.Series) -> float | None:
        rows = self.bins["n"]
        return float(np.average(values, weights=rows)) if len(rows) else None


def measure(
    connection: Connection,
    profile: str | None = None,
    market: str | None = None,
    until: dt.datetime = dt.datetime.max,
) -> PerformanceFigures:
    """The figures of the rows scored before a moment, of all profiles and markets or of one."""
    markets = [market_named(market)] if market else list(MARKETS.values())
    parameters = {
        "profiles": [profile] if profile else list(PROFILES),
        "exchanges": [exchange for selected in markets for exchange in selected.exchanges],
        "until": until,
    }
    labels = pl.DataFrame(
        connection.execute(text(_FIGURES_BY_LABEL), parameters).all(), _LABEL_SCHEMA, orient="row"
    )
    bins = pl.DataFrame(connection.execute(text(_FIGURES_BY_BIN), parameters).all(), _BIN_SCHEMA, orient="row")
    ranges = pl.format("{} - {} %", pl.col("bin") * 10, pl.col("bin") * 10 + 10)
    return PerformanceFigures(labels, bins.with_columns(bin=ranges))


def measure_expected(
    connection: Connection,
    profile: str | None = None,
    market: str | None = None,
    until: dt.datetime = dt.datetime.max,
) -> pl.DataFrame:
    """How many of the recommendations that were open at a moment are expected to be right.

    Open is what is active, as far as it gives a view: of each instrument and profile the current row of the newest
    session, if its horizon goes on and the instrument has traded lately. Nothing from the moment on counts,
    neither rows nor outcomes.

    Returns:
        `advice.expectation.EXPECTED_SCHEMA`: by profile, market and label, and in total by profile.
    """
    open_rows, record = [pl.DataFrame(schema=COHORT_SCHEMA)], [pl.DataFrame(schema=COHORT_SCHEMA)]
    for selected in [market_named(market)] if market else MARKETS.values():
        parameters = {
            "profiles": [profile] if profile else list(PROFILES),
            "market": selected.name,
            "exchanges": list(selected.exchanges),
            "until": until,
        }
        found = connection.execute(text(_COHORTS), parameters).all()
        record.append(pl.DataFrame(found, COHORT_SCHEMA, orient="row"))
        open_rows.append(_read_open(connection, selected, parameters))
    return expect_hits(pl.concat(open_rows), pl.concat(record))


def _read_open(connection: Connection, market: Market, parameters: dict[str, Any]) -> pl.DataFrame:
    """The open recommendations of a market that give a view, as open cohorts by profile and label."""
    count = {"count": SESSIONS_UNTIL_INACTIVE}
    sessions = connection.scalars(text(_NEWEST_SESSIONS), parameters | count).all()
    if not sessions:
        return pl.DataFrame(schema=COHORT_SCHEMA)
    found = connection.execute(text(_NEWEST_ROWS), parameters | {"since": sessions[-1]}).all()
    newest = pl.DataFrame(found, _NEWEST_SCHEMA, orient="row").filter(view="given")
    going_on = select_due(newest, market.sessions()).filter(pl.col("ts") > sessions[0]).sort("confidence")
    p = pl.col("confidence")
    return (
        going_on.group_by("profile", "label")  # each in the order of its rows
        .agg(rows=pl.len(), confidence=p.sum(), variance=(p * (1 - p)).sum())
        .with_columns(pl.lit(None).alias(name) for name in ("session", "known_at", "hits"))
        .select(pl.lit(market.name).alias(name) if name == "market" else name for name in COHORT_SCHEMA)
        .cast(pl.Schema(COHORT_SCHEMA))
        .sort("profile", "label")
    )


def to_percent_text(table: pl.DataFrame) -> pl.DataFrame:
    """Figures as text: shares and returns in percent, an empty text for null."""
    shares = [name for name, kind in table.schema.items() if kind.is_float() and not name.endswith("_pct")]
    percent = table.with_columns(pl.col(shares) * 100).with_columns(
        pl.selectors.float().round(2) + 0.0
    )  # never -0.0
    counts = pl.selectors.integer().map_elements("{:,}".format, return_dtype=pl.String)
    texts = percent.with_columns(counts, pl.selectors.float().cast(pl.String)).with_columns(
        pl.selectors.string().fill_null("")
    )
    return texts.rename({name: f"{name}_pct" for name in shares})


def to_markdown(table: pl.DataFrame) -> str:
    """Figures as a markdown table."""
    texts = to_percent_text(table)
    lines = [texts.columns, ["---"] * texts.width, *texts.iter_rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def reliability_image(figures: PerformanceFigures) -> str:
    """The hit rate by confidence, as an image within markdown."""
    points = figures.bins.select("confidence", "right", "n").rows()
    return as_markdown_image(draw_reliability_diagram(points), "reliability: share right by confidence")


def headline_figures(figures: PerformanceFigures) -> dict[str, float]:
    """The headline figures: recommendations scored, share of hits, expected calibration error."""
    numbers = {"hit_rate": figures.hit_rate, "calibration_error": figures.calibration_error}
    defined = {name: number for name, number in numbers.items() if number is not None}
    return {"scored": sum(figures.labels["n"].to_list()), **defined}
