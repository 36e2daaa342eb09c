"""What was published, judged: figures of it, and the lines that say whether an aim was met.

What belongs here: ranking, order and turnover of what was published, and the wording of all aims about it.
Kept elsewhere: the steps of publishing (`signals_published.py`), the figures of direction (`signals_ablation.py`)
and of confidence (`signals_allowance.py`), other aims and tables (`signals_tables.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.evaluation import intervals
from boursomatic_assets.learning.labels import RELATIVE_LIMIT
from boursomatic_assets.vocabulary import LABELS, PROFILES
from helpers.harness import Line
from helpers.signals_ablation import Ablation
from helpers.signals_allowance import CASES, LEAST_ROWS, Calibration

RANK_IC, ECE, VANISHED = 0.04, 0.03, 0.9


@dataclass(frozen=True)
class Published:
    """What was published of one universe.

    Attributes:
        scored: What became of it, as `signals_published.scored` returns it.
        decided: What was decided, as `signals_published.decisions` returns it.
        plain: The same without bands, in the months in which anybody spoke.
        ablations: As `signals_ablation.ablations` returns them.
        calibrations: As `signals_allowance.calibrations` returns them.
    """

    scored: pl.DataFrame
    decided: pl.DataFrame
    plain: pl.DataFrame
    ablations: list[Ablation]
    calibrations: list[Calibration]


def aims(found: Published, name: str) -> Iterator[Line]:
    """Yield what was aimed at for that which is published of a universe."""
    yield from _ranking(found.scored, name)
    yield from (_vanished(one, name) for one in found.ablations)
    for profile in PROFILES:
        yield order(found.scored, profile, name)
    yield from (_kept_word(one, name) for one in found.calibrations)
    for profile in PROFILES:
        yield _turnover(found, profile, name)


def _ranking(scored: pl.DataFrame, name: str) -> Iterator[Line]:
    score, expected = (shadow(scored, column) for column in ("score", "expected_return_pct"))
    if score and expected:
        low, high = score.interval
        yield Line(
            f"shadow record of all months of {name}: mean rank IC of the score",
            "no skill: 0",
            f"{score.value:.3f} [{low:.3f}, {high:.3f}]",
            f"at least {RANK_IC:g}, the interval above 0",
            met(score.value >= RANK_IC and low > 0),
        )
        yield Line(
            f"rank IC of `expected_return_pct` of {name}",
            "that of the score",
            f"{expected.value:.4f} against {score.value:.4f}",
            "within 0.002",
            met(abs(expected.value - score.value) <= 0.002),
        )
    share = upper_share(scored)
    yield Line(
        f"BUYs of {name} from the upper three tenths of the scores",
        "chance: 0.3",
        f"{share:.3f}",
        "at least 0.95",
        met(share >= 0.95),
    )


def _vanished(one: Ablation, name: str) -> Line:
    shares, gain = one.vanished, one.real.gain(one.part)
    silent = f"; random scores said nothing in {one.silent} of {len(one.random)} draws" if one.silent else ""
    return Line(
        f"gain in log loss of direction of {name}, {one.rows}: the share that vanishes with random scores",
        "a baseline of market and volatility",
        f"{np.mean(shares):.3f}, {min(shares):.3f} in the least of {len(shares)} draws" if shares else "no gain",
        f"at least {VANISHED:g}",
        f"{met(shares is not None and bool(np.mean(shares) >= VANISHED))}; {1000 * gain:.3f} thousandths of a nat"
        f" over {one.real.rows:,} rows{silent}",
    )


def order(scored: pl.DataFrame, profile: str, name: str) -> Line:
    """Say whether each label of a profile was worth more than the next one down; HOLD alone is not."""
    means = relative_means(scored, profile)
    values = list(means.values())
    told = ", ".join(f"{label} {mean:.3f}%" for label, mean in means.items()) or "no view"
    falling = len(values) > 1 and all(higher > lower for higher, lower in pairwise(values))
    missing = [label for label in LABELS if label not in means]
    note = "" if not missing or not means else f"; no {' and no '.join(missing)} was published"
    return Line(
        f"mean relative return, cut at 30 %, of the views of {name}, {profile}",
        "each label against the next one down",
        told,
        "BUY above HOLD above SELL",
        f"{met(falling)}{note}",
    )


def _kept_word(one: Calibration, name: str) -> Line:
    return Line(
        f"calibration error of {one.label} of {name}, {one.profile}",
        f"calibrated advice, one case in {CASES}: {one.allowance:.3f}",
        f"{one.error:.3f}",
        f"at most {ECE:g}, or as calibrated advice",
        f"{met(one.error <= max(ECE, one.allowance))}; {one.rows:,} rows (judged from {LEAST_ROWS} on)",
    )


def _turnover(found: Published, profile: str, name: str) -> Line:
    work = f"share of a session's BUYs of {name} that were none the session before, {profile}"
    both = newly_bought([found.decided, found.plain], profile)
    if both is None:
        return Line(work, "the same scores without bands", "no BUY", "at most half", met(reached=False))
    (banded, plain), sessions = both
    return Line(
        work,
        f"the same scores without bands: {plain:.3f}",
        f"{banded:.3f}, {banded / plain:.2f} x",
        "at most half",
        f"{met(banded <= plain / 2)}; the same {sessions:,} sessions",
    )


def met(reached: bool) -> str:
    """Say whether an aim was met."""
    return "met" if reached else "missed"


# Figures


def shadow(scored: pl.DataFrame, column: str) -> intervals.Estimate | None:
    """Return the mean rank IC of a column and the realised return, over the dates of one horizon of all months."""
    moderate = scored.filter(pl.col("profile") == "moderate").drop_nulls("realised_return_pct")
    ics = (
        moderate.group_by("market", "session")
        .agg(ic=pl.corr(column, "realised_return_pct", method="spearman"), n=pl.len())
        .filter(pl.col("n") >= 10, pl.col("ic").is_finite())
    )
    by_date = ics.group_by("session").agg(pl.col("ic").mean()).sort("session")["ic"].to_numpy()
    return intervals.estimate_mean(by_date, 20)


def upper_share(scored: pl.DataFrame) -> float:
    """Return the share of BUYs whose score is among the upper three tenths of its session's."""
    buys = scored.filter(pl.col("label") == "BUY")
    return float((buys["score_rank"] >= 0.7).mean() or 0.0)


def relative_means(scored: pl.DataFrame, profile: str) -> dict[str, float]:
    """Return the mean relative return, cut, in percent, of the views of a profile by label, from BUY to SELL."""
    given = scored.filter(profile=profile, view="given").drop_nulls("relative_return_pct")
    means = dict(given.group_by("label").agg(CUT.mean()).iter_rows())
    return {label: means[label] for label in LABELS if label in means}


CUT = pl.col("relative_return_pct").clip(-100 * RELATIVE_LIMIT, 100 * RELATIVE_LIMIT)
"""A relative return, cut: a few outliers would rule its mean."""


def newly_bought(rules: list[pl.DataFrame], profile: str) -> tuple[list[float], int] | None:
    """Return for each rule the mean share of a session's BUYs that were none in the session before.

    The sessions are those of a market in which every rule has a BUY, and had one in the session before.

    Args:
        rules: Decisions of the same sessions: market, instrument_id, ts, profile and label.
        profile: The profile whose BUYs are asked for.

    Returns:
        A share for each rule, and how many sessions it is the mean over; None without any.
    """
    if any(decided.filter(profile=profile, label="BUY").is_empty() for decided in rules):
        return None
    tables = [_new_shares(decided, profile) for decided in rules]
    together = tables[0]
    for place, table in enumerate(tables[1:]):
        together = together.join(table, on=["market", "session"], suffix=f"_{place}")
    shares = together.drop("market", "session")
    return ([float(column.mean()) for column in shares], shares.height) if shares.height else None


def _new_shares(decided: pl.DataFrame, profile: str) -> pl.DataFrame:
    """Return market, the ordinal of a session, and the share of its BUYs that were none in the session before."""
    bought = decided.filter(profile=profile, label="BUY").select("market", "instrument_id", "ts")
    buys = pl.concat(rows.with_columns(session=_ordinals(rows)) for rows in bought.partition_by("market"))
    before = buys.select("market", "instrument_id", pl.col("session") + 1, held=pl.lit(value=True))
    spoke = before.select("market", "session").unique()
    return (
        buys.join(spoke, on=["market", "session"], how="semi")
        .join(before, on=["market", "instrument_id", "session"], how="left")
        .group_by("market", "session")
        .agg(new=pl.col("held").is_null().mean())
    )


def _ordinals(rows: pl.DataFrame) -> pl.Series:
    """Return the number of each row's session in the calendar of their market."""
    sessions = MARKETS[rows["market"][0]].sessions()
    return pl.Series(np.searchsorted(sessions, rows["ts"].to_numpy().astype("datetime64[D]")))
