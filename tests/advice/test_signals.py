"""Recommendations on predictions written by hand: what is published for each profile."""

import json
from datetime import timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.recommendations import (
    BUY,
    CONTEXT,
    HOLD,
    MODEL_INPUTS,
    MONDAY,
    RANKED,
    SELL,
    VALUES,
    Chance,
    closes,
    features,
    maker,
    predictions,
    recommend_by_hand,
)

from boursomatic_assets import vocabulary
from boursomatic_assets.advice.profiles import RISK_PROFILES, RULES
from boursomatic_assets.advice.signals import recommend
from boursomatic_assets.advice.snapshots import FEATURE_COLUMNS, FeaturesSnapshot, parse_snapshot
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.schema import Feature

NAMES = [profile.name for profile in RISK_PROFILES]
HORIZONS = [profile.horizon for profile in RISK_PROFILES]
SNAPSHOT = {*FEATURE_COLUMNS, *MODEL_INPUTS}
ASKED = {profile.name: profile.evidence for profile in RISK_PROFILES}

SCHEMA = {
    "instrument_id": pl.String,
    "ts": pl.Datetime("us"),
    "profile": pl.String,
    "label": pl.String,
    "view": pl.String,
    "confidence": pl.Float64,
    "expected_return_pct": pl.Float64,
    "horizon_days": pl.Int32,
    "stop_loss": pl.Float64,
    "take_profit": pl.Float64,
    "justification": pl.String,
    "features_snapshot": pl.String,
}

chance = st.tuples(*[st.floats(0.2, 1)] * 3).map(lambda draws: tuple(x / sum(draws) for x in draws))
chances = st.fixed_dictionaries(dict.fromkeys(HORIZONS, chance))
sessions = st.lists(chances, min_size=1, max_size=40)
finite = st.floats(allow_nan=False, allow_infinity=False)
few = settings(max_examples=15)  # each of many instruments
volatilities = st.one_of(st.none(), st.floats(0, 0.06))


def labels(recommended: pl.DataFrame, profile: str) -> list[str]:
    return recommended.filter(pl.col("profile") == profile)["label"].to_list()


def sure(*, of_a_rise: float) -> Chance:
    """A chance that is this sure of a rise, and splits the rest."""
    return ((1 - of_a_rise) * 0.45, (1 - of_a_rise) * 0.55, of_a_rise)


# --- the frame


def test_the_frame_has_exactly_its_columns() -> None:
    rows = recommend_by_hand(BUY, SELL)
    assert dict(rows.schema) == SCHEMA
    assert rows["profile"].to_list() == NAMES * 2
    assert rows["horizon_days"].to_list() == HORIZONS * 2
    assert rows["expected_return_pct"].to_list() == [4.0, 2.0, 1.0] * 2


def test_no_predictions_give_an_empty_frame_of_the_same_schema() -> None:
    nothing = recommend(predictions([BUY]).clear(), features(1).clear(), closes(1).clear(), maker())
    assert dict(nothing.schema) == SCHEMA
    assert nothing.is_empty()


def test_a_row_without_evidence_has_no_recommendation() -> None:
    unranked = dict.fromkeys(f"{name}_rank" for name in RANKED)
    assert recommend_by_hand(BUY, **unranked).is_empty(), (
        "what the whole market shares is no evidence of one instrument"
    )
    assert recommend_by_hand(BUY, **{**unranked, "rsi_14_rank": 0.5}).height == 3
    unpredicted = predictions([BUY]).with_columns(p_hold_20=pl.lit(None, pl.Float64))
    assert recommend(unpredicted, features(1), closes(1), maker()).is_empty()


# --- profiles


def test_the_profiles_are_those_of_the_vocabulary() -> None:
    assert tuple(NAMES) == vocabulary.PROFILES


def test_the_more_cautious_a_profile_the_stricter_its_conditions() -> None:
    bounds = [
        (-profile.minimum_confidence, profile.volatility_limit or 9.0, profile.positions, -profile.horizon)
        for profile in RISK_PROFILES
    ]
    for cautious, bolder in pairwise(bounds):
        assert all(less < more for less, more in zip(cautious, bolder, strict=True))


@pytest.mark.slow
@few
@given(sessions, st.lists(volatilities, min_size=40, max_size=40))
def test_a_buy_of_a_cautious_profile_is_a_buy_of_the_bolder_ones(
    session: list[dict[int, Chance]], volatile: list[float | None]
) -> None:
    rows = len(session)
    feature_rows = features(rows).with_columns(vol_20d=pl.Series(volatile[:rows], dtype=pl.Float64))
    recommended = recommend(predictions(session), feature_rows, closes(rows), maker())["label"].to_list()
    for i in range(0, 3 * rows, 3):
        conservative, moderate, aggressive = recommended[i : i + 3]
        assert conservative in ("HOLD", moderate)
        assert moderate in ("HOLD", aggressive)


@pytest.mark.slow
@few
@given(sessions)
def test_confidence_is_the_probability_of_the_published_label(session: list[dict[int, Chance]]) -> None:
    rows = recommend_by_hand(*session).iter_rows(named=True)
    for drawn, profile in ((chance, profile) for chance in session for profile in RISK_PROFILES):
        row = next(rows)
        p_sell, p_hold, p_buy = drawn[profile.horizon]
        of_label = {"SELL": p_sell, "HOLD": p_hold, "BUY": p_buy}[row["label"]]
        assert row["confidence"] == (of_label if row["view"] == "given" else 1 / 3)
        if row["label"] != "HOLD":
            assert row["view"] == "given"
            assert row["confidence"] >= {"BUY": p_sell, "SELL": p_buy}[row["label"]]


@pytest.mark.slow
@few
@given(sessions)
def test_a_mirrored_market_gets_mirrored_recommendations(session: list[dict[int, Chance]]) -> None:
    mirrored = [{horizon: chance[::-1] for horizon, chance in chances.items()} for chances in session]
    turned = {"BUY": "SELL", "SELL": "BUY", "HOLD": "HOLD"}
    assert recommend_by_hand(*mirrored)["label"].to_list() == [
        turned[label] for label in recommend_by_hand(*session)["label"]
    ]


def test_each_profile_asks_for_its_own_lift_over_a_third() -> None:
    assert [round(profile.minimum_confidence - 1 / 3, 6) for profile in RISK_PROFILES] == [0.02, 0.015, 0.01]
    assert recommend_by_hand(sure(of_a_rise=0.354))["label"].to_list() == ["BUY", "BUY", "BUY"]
    assert recommend_by_hand(sure(of_a_rise=0.350))["label"].to_list() == ["HOLD", "BUY", "BUY"]
    assert recommend_by_hand(sure(of_a_rise=0.345))["label"].to_list() == ["HOLD", "HOLD", "BUY"]
    unlikely = recommend_by_hand({10: (0.3, 0.4, 0.3), 20: (0.3, 0.4, 0.3), 40: (0.3, 0.35, 0.35)})
    assert unlikely["label"].to_list() == ["HOLD"] * 3
    assert unlikely["view"].to_list() == ["given"] * 3, "the middle third is as likely as is said"


def test_a_direction_goes_on_while_it_is_likelier_than_its_opposite_and_the_end_of_the_scores_has_enough() -> None:
    """Otherwise it would end where it left the outer tenth."""
    end, further, faded = (0.25, 0.35, 0.40), (0.31, 0.37, 0.32), (0.34, 0.33, 0.33)
    session = predictions([end, further, faded]).with_columns(direction=pl.lit("BUY"))
    labelled = recommend(session, features(3), closes(3), maker())
    assert labelled["label"].to_list() == ["BUY"] * 6 + ["HOLD"] * 3
    alone = predictions([further, faded]).with_columns(direction=pl.lit("BUY"))
    assert set(recommend(alone, features(2), closes(2), maker())["label"]) == {"HOLD"}, "too little at the end"


def test_each_profile_uses_its_own_horizon_within_the_choice_of_the_bolder_one() -> None:
    unsure = (0.32, 0.36, 0.32)
    assert recommend_by_hand({10: BUY, 20: unsure, 40: BUY})["label"].to_list() == ["HOLD", "HOLD", "BUY"]
    assert recommend_by_hand({10: unsure, 20: BUY, 40: BUY})["label"].to_list() == ["HOLD"] * 3


def test_only_a_direction_is_recommended_however_likely_a_third_is() -> None:
    likely = predictions([BUY, SELL]).with_columns(direction=pl.lit(None, pl.String))
    held = recommend(likely, features(2), closes(2), maker())
    assert set(held["label"]) == {"HOLD"}
    assert set(held["view"]) == {"given"}
    assert held["confidence"].to_list() == [0.2] * 6, "that of the middle third"


def test_a_profile_without_enough_evidence_has_no_view() -> None:
    def views(**evidence: float) -> list[str]:
        at = {int(name[1:]): value for name, value in evidence.items()}
        rows = recommend_by_hand(BUY, standing=Standing(at, dict.fromkeys(HORIZONS, ("BUY", "SELL"))))
        assert all((row["label"] == "BUY") == (row["view"] == "given") for row in rows.iter_rows(named=True))
        assert all(row["confidence"] == 1 / 3 for row in rows.iter_rows(named=True) if row["view"] == "none")
        return rows["view"].to_list()

    assert views(h10=2.0, h20=5.0, h40=20.0) == ["given", "given", "given"]
    assert views(h10=2.0, h20=5.0, h40=19.9) == ["none", "given", "given"]
    assert views(h10=2.0, h20=4.9, h40=99.0) == ["none", "none", "given"], "a cautious one needs the bolder ones"
    assert views(h10=1.9, h20=99.0, h40=99.0) == ["none"] * 3
    assert views() == ["none"] * 3


def test_a_label_that_was_not_worth_it_on_the_record_is_no_view() -> None:
    evidence = dict.fromkeys(HORIZONS, 100.0)
    sells_alone = Standing(evidence, {10: ("SELL",), 20: ("BUY", "SELL"), 40: ("BUY", "SELL")})
    rows = recommend_by_hand(BUY, SELL, standing=sells_alone)
    assert rows["label"].to_list() == ["HOLD"] * 3 + ["SELL"] * 3
    assert rows["view"].to_list() == ["capped", "capped", "none"] + ["given"] * 3


def test_each_profile_has_its_own_volatility_limit() -> None:
    def at(yearly: float) -> list[str]:
        return recommend_by_hand(BUY, vol_20d=yearly / 252**0.5)["label"].to_list()

    assert set(recommend_by_hand(BUY, vol_20d=0.1)["view"][:2]) == {"none"}
    assert at(0.34) == ["BUY", "BUY", "BUY"]
    assert at(0.36) == ["HOLD", "BUY", "BUY"]
    assert at(0.61) == ["HOLD", "HOLD", "BUY"]
    assert recommend_by_hand(BUY, vol_20d=None)["label"].to_list() == ["HOLD", "HOLD", "BUY"]


def test_each_profile_takes_only_the_highest_scores_of_its_market() -> None:
    session = [sure(of_a_rise=0.6 + i / 1000) for i in range(40)]
    recommended = recommend_by_hand(*session, *[SELL] * 5)
    for profile in RISK_PROFILES:
        taken = 40 - profile.positions
        expected = ["HOLD"] * taken + ["BUY"] * profile.positions + ["SELL"] * 5
        assert labels(recommended, profile.name) == expected, "sells do not take the place of buys"
        assert recommended.filter(profile=profile.name)["view"].to_list() == ["capped"] * taken + ["given"] * (
            45 - taken
        )


def test_of_equal_scores_the_first_instruments_are_taken() -> None:
    assert labels(recommend_by_hand(*[BUY] * 12), "conservative") == ["BUY"] * 10 + ["HOLD"] * 2


# --- stops


def test_stops_are_counted_in_average_true_ranges() -> None:
    bought = recommend_by_hand(BUY, close=100.0, atr_14=2.0)
    assert bought["stop_loss"].to_list() == [100 - 2 * profile.stop_atr for profile in RISK_PROFILES]
    assert bought["take_profit"].to_list() == [100 + 2 * profile.target_atr for profile in RISK_PROFILES]


@pytest.mark.slow
@few
@given(st.lists(st.tuples(st.floats(1e-4, 1e6), st.floats(0, 20)), min_size=1, max_size=30))
def test_stops_bracket_the_close_and_a_sell_mirrors_a_buy(drawn: list[tuple[float, float]]) -> None:
    rows = len(drawn)
    prices = pl.Series([close for close, _ in drawn])
    ranges = prices * pl.Series([share for _, share in drawn])
    feature_rows, priced = features(rows).with_columns(atr_14=ranges), closes(rows).with_columns(c=prices)
    bought, sold = (
        recommend(predictions([side] * rows), feature_rows, priced, maker()).filter(
            pl.col("profile") == "aggressive"
        )
        for side in (BUY, SELL)
    )
    for buy, sell, close in zip(bought.iter_rows(named=True), sold.iter_rows(named=True), prices, strict=True):
        assert 0 < buy["stop_loss"] < close < buy["take_profit"]
        assert 0 < sell["take_profit"] < close < sell["stop_loss"]
        assert buy["stop_loss"] + sell["stop_loss"] == pytest.approx(2 * close)
        assert buy["take_profit"] + sell["take_profit"] == pytest.approx(2 * close)


def test_without_a_direction_a_range_or_a_close_there_are_no_stops() -> None:
    for nothing in (
        recommend_by_hand(HOLD),
        recommend_by_hand(BUY, atr_14=None),
        recommend_by_hand(BUY, close=None),
    ):
        assert nothing["stop_loss"].null_count() == nothing["take_profit"].null_count() == 3
    unpriced = recommend(predictions([BUY]), features(1), closes(1).clear(), maker())
    assert unpriced["stop_loss"].null_count() == 3


# --- abstention


@pytest.mark.slow
@few
@given(sessions)
def test_an_abstention_is_hold_for_all_with_its_reason(session: list[dict[int, Chance]]) -> None:
    held = recommend_by_hand(*session, abstention="HOLD: no model passes its gate.")
    assert set(held["label"]) == {"HOLD"}
    assert set(held["view"]) == {"none"}
    assert set(held["confidence"]) == {1 / 3}
    assert held["stop_loss"].null_count() == held["take_profit"].null_count() == held.height
    assert set(held["justification"]) == {"HOLD: no model passes its gate."}
    assert held["features_snapshot"].equals(recommend_by_hand(*session)["features_snapshot"])


# --- independence


def test_a_recommendation_depends_on_its_own_market_and_session_alone() -> None:
    session = [sure(of_a_rise=0.5 + i / 1000) for i in range(15)]
    other = [sure(of_a_rise=0.8)] * 15

    def elsewhere(days: int, name: str) -> list[pl.DataFrame]:
        moved = {"ts": pl.col("ts") + timedelta(days), "instrument_id": name + pl.col("instrument_id")}
        return [
            frame.with_columns(**moved) for frame in (predictions(other, market=name), features(15), closes(15))
        ]

    parts = [(predictions(session), features(15), closes(15)), elsewhere(0, "EURONEXT"), elsewhere(1, "US")]
    together = [pl.concat(frames) for frames in zip(*parts, strict=True)]
    expected = pl.concat(recommend(*part, maker()) for part in parts).sort(
        "ts", "instrument_id", maintain_order=True
    )
    assert recommend(*together, maker()).equals(expected)
    assert recommend(*(frame.reverse() for frame in together), maker()).equals(expected)


# --- snapshots


def test_the_columns_of_a_snapshot_are_those_of_the_table() -> None:
    described = {name for name, field in Feature.model_fields.items() if field.annotation == float | None}
    assert set(FEATURE_COLUMNS) == described


def test_a_snapshot_is_canonical_json() -> None:
    text = recommend_by_hand(BUY, rsi_14=None)["features_snapshot"].unique().item()
    evidence = {name: VALUES[name] for name in SNAPSHOT} | {"rsi_14": None}
    whole = {
        "asked": ASKED,
        "close": 100.0,
        "direction": "BUY",
        "features": evidence,
        "instruments": 1,
        "model_score": pytest.approx(0.6),
        "model_version": "v1",
        "rules": RULES,
        "ts": "2024-01-01T00:00:00",
    }
    assert json.loads(text) == whole
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert {"momentum_5d", "ret_120d_rank", *CONTEXT} <= evidence.keys()
    assert "ret_120d" not in evidence, "it is in its features row"


@pytest.mark.slow
@few
@given(st.lists(st.one_of(finite, st.floats(-1e-3, 1e-3)), min_size=1, max_size=50))
def test_a_snapshot_is_read_back_to_the_last_bit(values: list[float]) -> None:
    feature_rows = features(len(values), rsi_14=None).with_columns(ret_5d=pl.Series(values))
    recommended = recommend(predictions([HOLD] * len(values)), feature_rows, closes(len(values)), maker('v"1"'))
    for value, text in zip(values, recommended["features_snapshot"].gather_every(len(RISK_PROFILES)), strict=True):
        evidence = {name: VALUES[name] for name in SNAPSHOT} | {"ret_5d": value, "rsi_14": None}
        expected = FeaturesSnapshot(MONDAY, 'v"1"', evidence, 100.0, len(values), RULES, 0.0, None, ASKED)
        assert parse_snapshot(text) == expected
        assert str(parse_snapshot(text).features["ret_5d"]) == str(value), "the sign of a zero too"
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_a_snapshot_from_before_it_held_all_evidence_can_be_read() -> None:
    old = parse_snapshot('{"features": {"ret_1d": 0.01}, "model_version": "v1", "ts": "2024-01-01T00:00:00"}')
    assert old == FeaturesSnapshot(MONDAY, "v1", {"ret_1d": 0.01}, close=None, instruments=None, rules=None)


def test_instruments_without_evidence_are_counted_too() -> None:
    unranked = {f"{name}_rank": pl.Series([0.5, None, None]) for name in RANKED}
    recommended = recommend(predictions([BUY] * 3), features(3).with_columns(**unranked), closes(3), maker())
    assert recommended.height == len(RISK_PROFILES)
    assert parse_snapshot(recommended["features_snapshot"][0]).instruments == 3


def test_a_number_that_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        recommend_by_hand(BUY, ret_5d=float("inf"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ts": 1}', json.dumps({"ts": "2024-01-01", "features": {}})])
def test_a_text_that_is_no_snapshot_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a features snapshot: .*: give the text of"):
        parse_snapshot(text)
