"""Outcomes of recommendations: realised return, the third it was in, and what was touched first."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from worlds.frames import IDS

from boursomatic_assets.advice import outcomes
from boursomatic_assets.advice.outcomes import LONGEST_HORIZON
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.features.price_basis import IMPOSSIBLE_RISE

US = MARKETS["US"]
SESSIONS = [date for date in US.sessions().tolist() if date >= dt.date(2024, 1, 2)]
"""2024-01-15 is a holiday of this market."""

NOTHING = ("realised_return_pct", "relative_return_pct", "outcome", "hit", "first_touched", "touched_on")
"""What there is none of without a return."""


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
        "view": "given",
        **changed,
    }
    types = {"as_of": pl.Datetime("us"), "horizon_days": pl.Int32(), "stop_loss": pl.Float64()}
    return pl.DataFrame([row], schema_overrides={**types, "take_profit": pl.Float64(), "view": pl.String()})


def bars(*closes: float | tuple[float, float, float] | None, instrument: str = IDS["ACME"]) -> pl.DataFrame:
    """A bar per session: its close, or (low, close, high), or none; a close alone is its own high and low."""
    prices = [(one, one, one) if isinstance(one, float | int) else one for one in closes]
    rows = [
        {"instrument_id": instrument, "ts": dt.datetime.combine(session, dt.time()), "h": h, "l": low, "c": c}
        for session, one in zip(SESSIONS, prices, strict=False)
        if one is not None
        for low, c, h in [one]
    ]
    types = {"ts": pl.Datetime("us"), **dict.fromkeys("hlc", pl.Float64())}
    return pl.DataFrame(rows, schema_overrides=types, orient="row")


def scored(recommendations: pl.DataFrame, bars: pl.DataFrame) -> dict[str, Any]:
    (row,) = outcomes.score_recommendations(outcomes.select_due(recommendations, US.sessions()), bars).to_dicts()
    return row


def numbered(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


def together(
    returns_pct: Sequence[float | None], changed: Mapping[int, Mapping[str, Any]] | None = None
) -> pl.DataFrame:
    """The outcomes of recommendations of one session, whose instruments returned so much after every session.

    Args:
        returns_pct: One for each instrument; None for one without the bar of the session.
        changed: By the number of an instrument, what its recommendation has of its own.
    """
    recommended = pl.concat(
        recommendation(id=numbered(n), instrument_id=numbered(n), **(changed or {}).get(n, {}))
        for n in range(len(returns_pct))
    )
    prices = pl.concat(
        bars(None, *[50.0] * 4, instrument=numbered(n))
        if one is None
        else bars(*(100, 100, 100 + one, 100 + one, 100 + one, 100 + one), instrument=numbered(n))
        for n, one in enumerate(returns_pct)
    )
    due = outcomes.select_due(recommended, US.sessions())
    return outcomes.score_recommendations(due, prices).sort("recommendation_id")


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


def test_a_share_that_was_halted_all_along_has_no_return() -> None:
    """Nobody could have bought or sold it at that price; one trade within the horizon is enough."""
    row = scored(recommendation(), bars(100, None, None, None, None, 140))
    assert [row[name] for name in NOTHING] == [None] * len(NOTHING)
    assert row["unscored"] == "no bar"
    for later in (101, 100):
        traded = scored(recommendation(), bars(100, None, later, None, None, 140))
        assert (traded["realised_return_pct"], traded["unscored"]) == (pytest.approx(later - 100), None)


def test_the_outcome_is_the_third_of_the_return_among_those_of_its_session() -> None:
    """Though all of them rose."""
    scored_rows = together([6, 1, 3, 5, 2, 4])
    assert scored_rows["outcome"].to_list() == ["BUY", "SELL", "HOLD", "BUY", "SELL", "HOLD"]
    assert scored_rows["realised_return_pct"].to_list() == pytest.approx([6, 1, 3, 5, 2, 4])
    assert together([-4, -9, -7, -5, -8, -6])["outcome"].equals(scored_rows["outcome"])


def test_equal_returns_share_an_outcome_and_one_alone_is_in_the_middle() -> None:
    assert together([1, 1, 1])["outcome"].to_list() == ["HOLD"] * 3
    assert together([1, 2, 2, 3, 3, 4])["outcome"].to_list() == ["SELL", "HOLD", "HOLD", "HOLD", "HOLD", "BUY"]
    assert together([9])["outcome"].to_list() == ["HOLD"]


def test_a_relative_return_is_less_the_mean_of_its_session_and_is_not_cut() -> None:
    assert together([90, 10, -10])["relative_return_pct"].to_list() == pytest.approx([60, -20, -40])


def test_what_has_no_return_is_not_among_the_others() -> None:
    found = together([3, None, 1, 2])
    assert found["outcome"].to_list() == ["BUY", None, "SELL", "HOLD"]
    assert found["relative_return_pct"].to_list() == pytest.approx([1, None, -1, 0])
    assert found["hit"].to_list() == [True, None, False, False]


@pytest.mark.parametrize(
    ("name", "other"),
    [("profile", "aggressive"), ("horizon_days", 2), ("as_of", US.close_time(SESSIONS[1]))],
)
def test_others_are_those_of_the_same_session_profile_and_horizon(name: str, other: Any) -> None:
    """Three that rise by 1, 2, 3 % and three by 11, 12, 13 %: thirds of three each, not of six."""
    changed = {number: {name: other} for number in (3, 4, 5)}
    found = together([1, 2, 3, 11, 12, 13], changed)
    assert found["outcome"].to_list() == ["SELL", "HOLD", "BUY"] * 2
    assert found["relative_return_pct"].round(9).to_list() == pytest.approx([-1, 0, 1] * 2)


def test_the_outcome_does_not_depend_on_what_was_advised() -> None:
    """Label, confidence, stops and view are of the advice; the third is of the returns."""
    plain = together([1, 2, 3])
    changed = {0: {"label": "SELL", "view": "given"}, 1: {"label": "HOLD", "view": "none", "confidence": 1 / 3}}
    columns = ("realised_return_pct", "relative_return_pct", "outcome")
    assert together([1, 2, 3], changed).select(columns).equals(plain.select(columns))


@pytest.mark.parametrize("label", ["BUY", "HOLD", "SELL"])
@pytest.mark.parametrize("view", ["given", None])
def test_a_hit_is_a_label_that_happened(label: str, view: str | None) -> None:
    """Also where its writer did not say whether it was a view."""
    found = together([1, 2, 3], {n: {"label": label, "view": view} for n in range(3)})
    assert found["hit"].to_list() == [label == happened for happened in ("SELL", "HOLD", "BUY")]
    assert found["view"].to_list() == [view] * 3


@pytest.mark.parametrize("view", ["none", "capped"])
def test_where_no_view_was_given_there_is_an_outcome_and_neither_a_hit_nor_a_miss(view: str) -> None:
    found = together([1, 2, 3], {n: {"label": "HOLD", "view": view} for n in range(3)})
    assert found["outcome"].to_list() == ["SELL", "HOLD", "BUY"]
    assert found["hit"].to_list() == [None] * 3
    assert found["view"].to_list() == [view] * 3


def test_without_the_bar_of_the_session_there_is_no_return() -> None:
    row = scored(recommendation(), bars(None, 80, 120, 80, 120))
    assert [row[name] for name in NOTHING] == [None] * len(NOTHING)
    assert row["unscored"] == "no bar"


def test_across_a_suspected_change_of_basis_the_score_is_suspended_and_says_why() -> None:
    """A split, its reverse and an error; up to it, and after it, there is a return."""
    for beyond in (25, 1000, 100 * IMPOSSIBLE_RISE):
        row = scored(recommendation(), bars(100, 100, 100, beyond, beyond))
        assert [row[name] for name in NOTHING] == [None] * len(NOTHING)
        assert row["unscored"] == "price basis"
        assert scored(recommendation(horizon=2), bars(100, 100, 100, beyond))["realised_return_pct"] == 0
        after = scored(recommendation(horizon=1, session=3), bars(100, 100, 100, beyond, 1.1 * beyond))
        assert (after["realised_return_pct"], after["unscored"]) == (pytest.approx(10), None)


def test_restated_onto_one_basis_it_is_scored() -> None:
    assert scored(recommendation(), bars(25, 25, 25, 25, 26))["realised_return_pct"] == pytest.approx(4)


def test_complete_bars_show_that_it_was_a_crash() -> None:
    """Closes that fall to a quarter are taken for a split, until a wide range and a volume say otherwise."""
    usual = [(99.0, 100.0, 101.0), (99.0, 100.5, 101.0)] * 6
    prices = bars(*usual, (24, 25, 80), 25)
    advice = recommendation(session=len(usual) - 1, horizon=1)
    assert scored(advice, prices.drop("h", "l").with_columns(h="c", l="c"))["unscored"] == "price basis"
    row = scored(advice, prices.with_columns(v=pl.Series([1000] * len(usual) + [50_000, 5_000])))
    assert (row["unscored"], row["hit"]) == (None, False)
    assert row["realised_return_pct"] == pytest.approx((25 / 100.5 - 1) * 100)


def test_a_loss_of_98_percent_counts() -> None:
    """Neither open nor close is a split's, and the range is that of a crash."""
    row = scored(recommendation(), bars(100, 100, 100, (1, 1.8, 30), 1.8))
    assert (row["realised_return_pct"], row["first_touched"]) == (pytest.approx(-98.2), "stop")


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


def test_each_session_profile_and_horizon_is_scored_on_its_own() -> None:
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
            instrument=instrument,
        )
        for instrument in IDS.values()
    )
    recommended = pl.concat(
        recommendation(
            str(generator.choice(["BUY", "HOLD", "SELL"])),
            int(generator.choice([10, 20, 40])),
            int(generator.integers(90, 100)),
            id=numbered(number),
            instrument_id=str(generator.choice(list(IDS.values()))),
            profile=str(generator.choice(["moderate", "aggressive"])),
        )
        for number in range(200)
    )
    whole = outcomes.score_recommendations(
        outcomes.select_due(recommended, US.sessions()), prices.sample(fraction=1, shuffle=True, seed=1)
    )
    due = outcomes.select_due(recommended, US.sessions())
    parts = due.partition_by("session", "profile", "horizon_days")
    apart = pl.concat(outcomes.score_recommendations(part, prices) for part in parts)
    assert len(parts) > 20
    assert whole.equals(apart.sort("ts", "recommendation_id"))
    assert whole["first_touched"].n_unique() == 3
    assert whole["outcome"].n_unique() == 4
    assert whole["realised_return_pct"].null_count() > 0
