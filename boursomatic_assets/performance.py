"""Performance: the figures of the track record, over all past advice that was scored.

What belongs here: questions to the table `track_record`, and their answers as frames and markdown.
Kept elsewhere: how one piece of advice is scored (`outcomes.py`), drawing (`plots.py`), the terminal (`views.py`).
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import plots
from boursomatic_assets.markets import MARKETS, market_named
from boursomatic_assets.models import PROFILES

_SCORED = (
    "WITH scored AS (SELECT t.* FROM track_record t WHERE t.profile = ANY(:profiles) AND t.ts < :until"
    " AND (t.instrument_id IN (SELECT id FROM instruments WHERE exchange = ANY(:exchanges))) IS TRUE)"
)
_LABELS = (
    f"{_SCORED}, happened AS (SELECT profile, outcome AS label,"
    "   count(*) / sum(count(*)) OVER (PARTITION BY profile) AS share"
    "   FROM scored WHERE outcome IS NOT NULL GROUP BY profile, outcome)"
    " SELECT profile, label, count(*), avg(hit::int)::float, coalesce(share, 0)::float, avg(realised_return_pct),"
    " avg(expected_return_pct),"
    " avg(CASE WHEN label <> 'HOLD' THEN (coalesce(first_touched, '') = 'stop')::int END)::float,"
    " avg(CASE WHEN label <> 'HOLD' THEN (coalesce(first_touched, '') = 'target')::int END)::float"
    " FROM scored LEFT JOIN happened USING (profile, label) GROUP BY profile, label, share"
    " ORDER BY array_position(CAST(:profiles AS text[]), profile::text), label"
)
_BINS = (
    f"{_SCORED} SELECT least(floor(confidence * 10), 9)::int AS bin, count(*), avg(confidence),"
    " avg(hit::int)::float FROM scored WHERE hit IS NOT NULL GROUP BY bin ORDER BY bin"
)


@dataclass(frozen=True)
class Figures:
    """How past advice did; all means and shares are over rows, of which neighbouring sessions overlap.

    Attributes:
        labels: by profile and label: n, hit_rate (share whose label happened), base_rate (share of all rows of
            the profile in which that label happened: the hit rate of advising it always), realised_pct and
            expected_pct (mean returns), stopped and reached (shares whose stop, or target, was touched first;
            null for HOLD).
        bins: by bin of 10 % of confidence: n, confidence (mean), right (share whose label happened).
    """

    labels: pl.DataFrame
    bins: pl.DataFrame

    @property
    def hit_rate(self) -> float | None:
        """The share of hits, where a label is known to have happened."""
        return self._weighted(self.bins["right"])

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error: the bins' distances of confidence from `right`, weighted by rows."""
        return self._weighted((self.bins["confidence"] - self.bins["right"]).abs())

    def _weighted(self, values: pl.Series) -> float | None:
        rows = self.bins["n"]
        return float(np.average(values, weights=rows)) if len(rows) else None


def figures(
    connection: Connection,
    profile: str | None = None,
    market: str | None = None,
    until: dt.datetime = dt.datetime.max,
) -> Figures:
    """The figures of what was scored before a moment, of all profiles and markets or of one."""
    markets = [market_named(market)] if market else list(MARKETS.values())
    given = {
        "profiles": [profile] if profile else list(PROFILES),
        "exchanges": [exchange for one in markets for exchange in one.exchanges],
        "until": until,
    }
    means = ("hit_rate", "base_rate", "realised_pct", "expected_pct", "stopped", "reached")
    labels = {"profile": pl.String(), "label": pl.String(), "n": pl.Int64(), **dict.fromkeys(means, pl.Float64())}
    bins = {"bin": pl.Int64(), "n": pl.Int64(), "confidence": pl.Float64(), "right": pl.Float64()}
    return Figures(
        pl.DataFrame(connection.execute(text(_LABELS), given).all(), labels, orient="row"),
        pl.DataFrame(connection.execute(text(_BINS), given).all(), bins, orient="row").with_columns(
            bin=pl.format("{} - {} %", pl.col("bin") * 10, pl.col("bin") * 10 + 10)
        ),
    )


def readable(found: pl.DataFrame) -> pl.DataFrame:
    """Figures as text: shares and returns in percent, and nothing for none."""
    shares = [name for name, kind in found.schema.items() if kind.is_float() and not name.endswith("_pct")]
    percent = found.with_columns(pl.col(shares) * 100).with_columns(pl.selectors.float().round(2))
    return percent.with_columns(pl.col(pl.Int64, pl.Float64).cast(pl.String).fill_null("")).rename(
        {name: f"{name}_pct" for name in shares}
    )


def as_markdown(found: pl.DataFrame) -> str:
    """Figures as a markdown table."""
    shown = readable(found)
    lines = [shown.columns, ["---"] * shown.width, *shown.iter_rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def reliability(found: Figures) -> str:
    """How often advice of a confidence was right, as an image within markdown."""
    points = found.bins.select("confidence", "right", "n").rows()
    return plots.as_markdown(plots.reliability(points), "reliability: share right by confidence")


def headlines(found: Figures) -> dict[str, float]:
    """The numbers to follow over time: pieces of advice scored, share of hits, expected calibration error."""
    numbers = {"hit_rate": found.hit_rate, "calibration_error": found.calibration_error}
    known = {name: number for name, number in numbers.items() if number is not None}
    return {"scored": sum(found.labels["n"].to_list()), **known}
