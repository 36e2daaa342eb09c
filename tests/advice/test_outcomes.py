"""Outcomes of recommendations: realised return, the label that happened, and what was touched first."""

import datetime as dt
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from worlds.frames import IDS

from boursomatic_assets.advice import outcomes
from boursomatic_assets.advice.outcomes import LABEL_THRESHOLD, LONGEST_HORIZON
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.features.price_basis import IMPOSSIBLE_RISE

US = MARKETS["US"]
SESSIONS = [date for date in US.sessions().tolist() if date >= dt.date(2024, 1, 2)]
"""2024-01-15 is a holiday of this market."""


def recommendation(label: str = "BUY", horizon: int | None = 4, session: int = 0, **changed: Any) -> pl.DataFrame:
    """A recommendation on ACME at 100, with a stop 10 below and a target 10 above it; a SELL is mirrored."""
    side = {"BUY": 1, "SELL": -1}.get(label)
    row = {
        "id": "00000000-0000-7000-8000-000000000001",
        "instrument_id": IDS["ACME"],
        "as_of": US.close_time(SESSIONS[session]),
        "horizon_days": horizon,
        "profile": "moderate",
        "label": label,
        "confidence": 0.5,
        "expected_return_pct": 1.0,
        "stop_loss": side and 100.0 - 10 * side,
        "take_profit": side and 100.0 + 10 * side,
        "features_snapshot": '{"features":{"vol_20d":0.02,"vol_20d_rank":0.9},"ts":"2024-01-02"}',
        **changed,
    }
    types = {"as_of": pl.Datetime("us"), "horizon_days": pl.Int32(), "stop_loss": pl.Float64()}
    return pl.DataFrame([row], schema_overrides={**types, "take_profit": pl.Float64()})


def bars(*closes: float | tuple[float, float, float] | None, symbol: str = "ACME") -> pl.DataFrame:
    """A bar per session: its close, or (low, close, high), or none; a close alone is its own high and low."""
    prices = [(one, one, one) if isinstance(one, float | int) else one for one in closes]
    rows = [
        {"instrument_id": IDS[symbol], "ts": dt.datetime.combine(session, dt.time()), "h": h, "l": low, "c": c}
        for session, one in zip(SESSIONS, prices, strict=False)
        if one is not None
        for low, c, h in [one]
    ]
    types = {"ts": pl.Datetime("us"), **dict.fromkeys("hlc", pl.Float64())}
    return pl.DataFrame(rows, schema_overrides=types, orient="row")


def scored(recommendations: pl.DataFrame, bars: pl.DataFrame) -> dict[str, Any]:
    (row,) = outcomes.score_recommendations(outcomes.select_due(recommendations, US.sessions()), bars).to_dicts()
    return row


# --- when a recommendation is due


def test_a_horizon_counts_the_sessions_of_the_market() -> None:
    (row,) = outcomes.select_due(recommendation(horizon=9), US.sessions()).to_dicts()
    assert (row["session"], row["ts"]) == (dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 16))


@pytest.mark.parametrize("horizon", [None, LONGEST_HORIZON + 1])
def test_without_a_horizon_or_beyond_the_longest_a_recommendation_is_never_due(horizon: int | None) -> None:
    assert outcomes.select_due(recommendation(horizon=horizon), US.sessions()).is_empty()
    assert outcomes.select_due(recommendation(horizon=LONGEST_HORIZON), US.sessions()).height == 1


# --- realised return and outcome


def test_the_return_runs_from_the_close_of_the_session_to_the_close_that_ends_the_horizon() -> None:
    row = scored(recommendation(horizon=2), bars(100, 140, 104, 10))
    assert row["realised_return_pct"] == pytest.approx(4)
    assert row["ts"] == dt.datetime(2024, 1, 4)


def test_an_instrument_that_stops_trading_keeps_its_last_price() -> None:
    assert scored(recommendation(), bars(100, 97, None, None, None, None, 500))[
        "realised_return_pct"
    ] == pytest.approx(-3)


@pytest.mark.parametrize(
    ("gross", "outcome"),
    [
        (LABEL_THRESHOLD * 0.04 + 1e-9, "BUY"),
        (LABEL_THRESHOLD * 0.04 - 1e-9, "HOLD"),
        (0, "HOLD"),
        (-LABEL_THRESHOLD * 0.04 - 1e-9, "SELL"),
    ],
)
def test_the_outcome_is_measured_in_volatilities_of_the_snapshot(gross: float, outcome: str) -> None:
    """0.02 a session, over 4 sessions: 0.02 x sqrt(4)."""
    row = scored(recommendation("BUY"), bars(100, 100, 100, 100, 100 * (1 + gross)))
    assert (row["outcome"], row["hit"]) == (outcome, outcome == "BUY")


@pytest.mark.parametrize("volatility", [0.1 + 0.2, 1e-7, 1 / 3])
def test_the_volatility_is_read_back_to_the_last_bit(volatility: float) -> None:
    edge = (
        pl.DataFrame({"horizon_days": [4]})
        .select(LABEL_THRESHOLD * volatility * pl.col("horizon_days").sqrt())
        .item()
    )
    snapshot = f'{{"features":{{"vol_20d":{volatility!r}}}}}'
    for gross in (edge, math.nextafter(edge, 1)):
        row = scored(recommendation(features_snapshot=snapshot), bars(1, 1, 1, 1, 1 + gross))
        assert row["outcome"] == ("BUY" if (1 + gross) - 1 > edge else "HOLD")


@pytest.mark.parametrize("snapshot", ['{"features":{"vol_20d":null}}', '{"features":{"vol_20d_rank":0.5}}'])
def test_without_a_volatility_there_is_no_outcome(snapshot: str) -> None:
    row = scored(recommendation(features_snapshot=snapshot), bars(100, 110, 110, 110, 120))
    assert (row["outcome"], row["hit"]) == (None, None)
    assert row["realised_return_pct"] == pytest.approx(20)


def test_without_the_bar_of_the_session_there_is_no_return() -> None:
    row = scored(recommendation(), bars(None, 80, 120, 80, 120))
    assert [row[name] for name in ("realised_return_pct", "outcome", "hit", "first_touched")] == [None] * 4
    assert row["unscored"] == "no bar"


def test_across_a_suspected_change_of_basis_the_score_is_suspended_and_says_why() -> None:
    """A split, its reverse and an error; up to it, and after it, there is a return."""
    for beyond in (25, 1000, 100 * IMPOSSIBLE_RISE):
        row = scored(recommendation(), bars(100, 100, 100, beyond, beyond))
        assert [row[name] for name in ("realised_return_pct", "outcome", "hit", "first_touched")] == [None] * 4
        assert row["unscored"] == "price basis"
        assert scored(recommendation(horizon=2), bars(100, 100, 100, beyond))["realised_return_pct"] == 0
        after = scored(recommendation(horizon=1, session=3), bars(100, 100, 100, beyond, 1.1 * beyond))
        assert (after["realised_return_pct"], after["unscored"]) == (pytest.approx(10), None)


def test_restated_onto_one_basis_it_is_scored() -> None:
    assert scored(recommendation(), bars(25, 25, 25, 25, 26))["realised_return_pct"] == pytest.approx(4)


def test_a_loss_of_98_percent_counts() -> None:
    """Neither open nor close is a split's, and the range is that of a crash."""
    row = scored(recommendation(), bars(100, 100, 100, (1, 1.8, 30), 1.8))
    assert (row["realised_return_pct"], row["first_touched"]) == (pytest.approx(-98.2), "stop")


def test_with_a_volatility_of_zero_there_is_no_outcome() -> None:
    assert (
        scored(recommendation(features_snapshot='{"vol_20d":0.0}'), bars(100, 100, 100, 100, 120))["outcome"]
        is None
    )


# --- stop and target


@pytest.mark.parametrize(
    ("second", "touched"),
    [
        ((90, 95, 99), "stop"),
        ((91, 95, 99), None),
        ((101, 105, 110), "target"),
        ((101, 105, 109), None),
        ((90, 100, 110), "stop"),  # both on one day: a daily bar does not show which came first
    ],
)
def test_daily_highs_and_lows_touch_the_stop_or_the_target(
    second: tuple[float, float, float], touched: str | None
) -> None:
    row = scored(recommendation("BUY"), bars(100, 100, second, 100, 100))
    assert (row["first_touched"], row["touched_on"]) == (touched, dt.datetime(2024, 1, 4) if touched else None)


@pytest.mark.parametrize(("second", "touched"), [((85, 90, 95), "target"), ((105, 108, 111), "stop")])
def test_a_sell_has_its_stop_above_and_its_target_below(second: tuple[float, float, float], touched: str) -> None:
    assert scored(recommendation("SELL"), bars(100, second, 100, 100, 100))["first_touched"] == touched


def test_the_first_touch_within_the_horizon_counts() -> None:
    row = scored(recommendation("BUY"), bars((50, 100, 200), 100, 110, 90, 100))
    assert (row["first_touched"], row["touched_on"]) == ("target", dt.datetime(2024, 1, 4))
    assert scored(recommendation("BUY"), bars((50, 100, 200), 100, 100, 100, 100, 50))["first_touched"] is None


@pytest.mark.parametrize("label", ["BUY", "SELL"])
@pytest.mark.parametrize("close", [50, 89, 111, 200])
def test_stops_from_before_a_restatement_are_not_compared_with_later_bars(label: str, close: float) -> None:
    assert (
        scored(recommendation(label), bars(close, close, close * 1.5, close * 0.5, close))["first_touched"] is None
    )


def test_a_hold_or_a_row_without_stops_touches_nothing() -> None:
    assert scored(recommendation("HOLD"), bars(100, 85, 115, 100, 100))["first_touched"] is None
    row = recommendation("HOLD", stop_loss=90.0, take_profit=110.0)
    assert scored(row, bars(100, 85, 115, 100, 100))["first_touched"] is None
    assert scored(recommendation("BUY", stop_loss=None), bars(100, 85, 115, 100, 100))["first_touched"] == "target"


# --- many at once


@pytest.mark.slow
def test_each_recommendation_is_scored_on_its_own() -> None:
    generator = np.random.default_rng(6)
    prices = pl.concat(
        bars(
            *(
                None if gap else (low, (low + high) / 2, high)
                for low, high, gap in zip(
                    generator.uniform(85, 99, 120).tolist(),
                    generator.uniform(101, 115, 120).tolist(),
                    (generator.random(120) < 0.1).tolist(),
                    strict=True,
                )
            ),
            symbol=symbol,
        )
        for symbol in IDS
    )
    recommended = pl.concat(
        recommendation(
            str(generator.choice(["BUY", "HOLD", "SELL"])),
            int(generator.choice([10, 20, 40])),
            int(generator.integers(100)),
            id=f"00000000-0000-7000-8000-{number:012x}",
            instrument_id=str(generator.choice(list(IDS.values()))),
        )
        for number in range(200)
    )
    together = outcomes.score_recommendations(
        outcomes.select_due(recommended, US.sessions()), prices.sample(fraction=1, shuffle=True, seed=1)
    )
    alone = pl.concat(
        outcomes.score_recommendations(
            outcomes.select_due(one, US.sessions()),
            prices.filter(pl.col("instrument_id") == one["instrument_id"][0]),
        )
        for one in recommended.iter_slices(1)
    )
    assert together.equals(alone.sort("ts", "recommendation_id"))
    assert together["first_touched"].n_unique() == 3
    assert together["realised_return_pct"].null_count() > 0
