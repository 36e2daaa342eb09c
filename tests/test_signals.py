"""Advice on predictions that are written down by hand."""

import json
import re
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boursomatic_assets.signals import PROFILES, Snapshot, advise, parse_snapshot

MONDAY = datetime(2024, 1, 1)
NAMES = [profile.name for profile in PROFILES]
FEATURES = {"ret_5d": 0.031234, "rsi_14": 61.2, "vol_20d": 0.0212, "atr_14": 2.0}
SHARES = {"ret_5d": [-0.3, 0.0, 0.31], "rsi_14": [-0.1, 0.2, 0.12], "vol_20d": [0.1, -0.2, -0.05]}
BUY, HOLD, SELL = (0.1, 0.2, 0.7), (0.2, 0.6, 0.2), (0.7, 0.2, 0.1)

COLUMNS = {
    "instrument_id": pl.String,
    "ts": pl.Datetime("us"),
    "profile": pl.String,
    "label": pl.String,
    "confidence": pl.Float64,
    "expected_return_pct": pl.Float64,
    "horizon_days": pl.Int32,
    "stop_loss": pl.Float64,
    "take_profit": pl.Float64,
    "justification": pl.String,
    "features_snapshot": pl.String,
}

probabilities = st.tuples(*[st.floats(0.01, 1)] * 3).map(lambda draws: tuple(x / sum(draws) for x in draws))
prices = st.floats(1e-4, 1e6)


def keys(rows: int) -> dict[str, list[object]]:
    """Keys of rows on consecutive days, two instruments in turn."""
    return {
        "instrument_id": [f"instrument {i % 2}" for i in range(rows)],
        "ts": [MONDAY + timedelta(i) for i in range(rows)],
    }


def predictions(chances: list[tuple[float, ...]], shares: dict[str, list[float]] = SHARES) -> pl.DataFrame:
    p_sell, p_hold, p_buy = zip(*chances, strict=True)
    columns = {**keys(len(chances)), "p_sell": p_sell, "p_hold": p_hold, "p_buy": p_buy}
    contributions = pl.DataFrame(
        {name: [share] * len(chances) for name, share in shares.items()},
        schema=dict.fromkeys(shares, pl.Array(pl.Float64, 3)),
    ).to_struct("contributions")
    return pl.DataFrame(columns).with_columns(contributions, expected_return_pct=pl.lit(1.5))


def features(rows: int, **values: float | None) -> pl.DataFrame:
    numbers = {name: pl.lit(value, pl.Float64) for name, value in {**FEATURES, **values}.items()}
    return pl.DataFrame(keys(rows)).with_columns(additional_features=pl.lit(None, pl.String), **numbers)


def closes(rows: int, close: float | None = 100.0) -> pl.DataFrame:
    return pl.DataFrame(keys(rows)).with_columns(c=pl.lit(close, pl.Float64))


def advice(chance: tuple[float, ...], close: float | None = 100.0, **values: float | None) -> pl.DataFrame:
    """The advice of the three profiles on one row."""
    return advise(predictions([chance]), features(1, **values), closes(1, close), "v1", 20)


def test_the_frame_has_exactly_its_columns() -> None:
    whole = advise(predictions([BUY, SELL]), features(2), closes(2), "v1", 20)
    assert dict(whole.schema) == COLUMNS
    assert whole["profile"].to_list() == NAMES * 2
    assert whole["horizon_days"].unique().to_list() == [20]


def test_nothing_to_advise_on_gives_an_empty_frame_of_the_same_kind() -> None:
    nothing = advise(predictions([BUY]).clear(), features(1).clear(), closes(1).clear(), "v1", 20)
    assert dict(nothing.schema) == COLUMNS
    assert nothing.is_empty()


@settings(deadline=None)
@given(st.lists(probabilities, min_size=1, max_size=30))
def test_what_a_cautious_profile_advises_a_bolder_one_advises_too(chances: list[tuple[float, ...]]) -> None:
    rows = len(chances)
    labels = advise(predictions(chances), features(rows), closes(rows), "v1", 20)["label"].to_list()
    for i in range(0, 3 * rows, 3):
        conservative, moderate, aggressive = labels[i : i + 3]
        assert conservative in ("HOLD", moderate)
        assert moderate in ("HOLD", aggressive)


@settings(deadline=None)
@given(probabilities)
def test_confidence_is_the_probability_of_the_published_label(chance: tuple[float, ...]) -> None:
    given_to = dict(zip(("SELL", "HOLD", "BUY"), chance, strict=True))
    for profile, row in zip(PROFILES, advice(chance).iter_rows(named=True), strict=True):
        assert row["confidence"] == given_to[row["label"]]
        if row["label"] != "HOLD":
            assert row["confidence"] == max(chance) >= profile.minimum_confidence


def test_the_profiles_differ_where_the_model_is_less_sure() -> None:
    assert advice((0.29, 0.29, 0.42))["label"].to_list() == ["HOLD", "BUY", "BUY"]
    assert advice((0.36, 0.33, 0.31))["label"].to_list() == ["HOLD", "HOLD", "SELL"]


def test_stops_are_counted_in_average_true_ranges() -> None:
    bought = advice(BUY, close=100.0, atr_14=2.0)
    assert bought["stop_loss"].to_list() == [100 - 2 * profile.stop_atr for profile in PROFILES]
    assert bought["take_profit"].to_list() == [100 + 2 * profile.target_atr for profile in PROFILES]


@settings(deadline=None)
@given(prices, st.floats(0, 20))
def test_stops_bracket_the_close_and_a_sell_mirrors_a_buy(close: float, share: float) -> None:
    bought = advice(BUY, close, atr_14=close * share)
    sold = advice(SELL, close, atr_14=close * share)
    for buy, sell in zip(bought.iter_rows(named=True), sold.iter_rows(named=True), strict=True):
        assert 0 < buy["stop_loss"] < close < buy["take_profit"]
        assert 0 < sell["take_profit"] < close < sell["stop_loss"]
        assert buy["stop_loss"] + sell["stop_loss"] == pytest.approx(2 * close)
        assert buy["take_profit"] + sell["take_profit"] == pytest.approx(2 * close)


def test_without_a_direction_a_range_or_a_close_there_are_no_stops() -> None:
    for nothing in (advice(HOLD), advice(BUY, atr_14=None), advice(BUY, close=None)):
        assert nothing["stop_loss"].null_count() == nothing["take_profit"].null_count() == 3
    unpriced = advise(predictions([BUY]), features(1), closes(1).clear(), "v1", 20)
    assert unpriced["stop_loss"].null_count() == 3


def test_a_row_without_evidence_is_not_advised() -> None:
    unseen = dict.fromkeys(SHARES)
    assert advice(BUY, **unseen).is_empty()
    assert advice(BUY, **{**unseen, "rsi_14": 50.0}).height == 3


def test_the_justification_names_the_strongest_reasons_with_their_numbers() -> None:
    assert advice(BUY)["justification"][0] == (
        "BUY at 70.0%: ret_5d = 0.03123 (+0.310) and rsi_14 = 61.2 (+0.120) speak for it,"
        " vol_20d = 0.0212 (-0.050) speaks against it."
    )
    assert advice(SELL)["justification"][0] == (
        "SELL at 70.0%: vol_20d = 0.0212 (+0.100) speaks for it, ret_5d = 0.03123 (-0.300) speaks against it."
    )


def test_a_hold_against_the_models_preference_says_so() -> None:
    cautious, moderate, _ = advice((0.29, 0.29, 0.42))["justification"]
    assert cautious == (
        "HOLD at 29.0%, since BUY at 42.0% is below the 45% that the conservative profile asks for:"
        " rsi_14 = 61.2 (+0.200) speaks for it, vol_20d = 0.0212 (-0.200) speaks against it."
    )
    assert moderate.startswith("BUY at 42.0%: ")


def test_a_missing_value_and_a_lack_of_reasons_are_named() -> None:
    silent = {"ret_5d": [0.0, 0.0, 0.0], "rsi_14": [0.1, 0.1, 0.1]}
    said = advise(predictions([BUY], silent), features(1, rsi_14=None), closes(1), "v1", 20)
    assert said["justification"][0] == (
        "BUY at 70.0%: rsi_14 missing (+0.100) speaks for it, nothing speaks against it."
    )


@settings(deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_every_number_of_a_justification_is_one_of_the_model(shares: list[float]) -> None:
    drawn = {name: [0.0, 0.0, share] for name, share in zip(SHARES, shares, strict=True)}
    sentence = advise(predictions([BUY], drawn), features(1), closes(1), "v1", 20)["justification"][0]
    named = re.findall(r"(\w+) = (\S+) \(([+-]\S+)\)", sentence)
    expected = {(name, f"{FEATURES[name]:.4g}", f"{share[2]:+.3f}") for name, share in drawn.items()}
    assert set(named) <= expected
    assert len(named) == min(2, sum(x > 0 for x in shares)) + any(x < 0 for x in shares)


def test_a_snapshot_is_canonical_json() -> None:
    assert advice(BUY, rsi_14=None)["features_snapshot"].unique().to_list() == [
        '{"features":{"atr_14":2.0,"ret_5d":0.031234,"rsi_14":null,"vol_20d":0.0212},'
        '"model_version":"v1","ts":"2024-01-01T00:00:00"}'
    ]


@settings(deadline=None)
@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e-3, 1e-3)))
def test_a_snapshot_is_what_the_standard_library_writes(value: float) -> None:
    seen = {**FEATURES, "ret_5d": value, "rsi_14": None}
    expected = {"features": seen, "model_version": 'v"1"', "ts": MONDAY.isoformat()}
    made = advise(predictions([BUY]), features(1, ret_5d=value, rsi_14=None), closes(1), 'v"1"', 20)
    assert made["features_snapshot"][0] == json.dumps(expected, sort_keys=True, separators=(",", ":"))


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_snapshot_gives_back_the_very_floats(value: float) -> None:
    snapshot = parse_snapshot(advice(BUY, ret_5d=value, rsi_14=None)["features_snapshot"][0])
    assert snapshot == Snapshot(MONDAY, "v1", {**FEATURES, "ret_5d": value, "rsi_14": None})
    assert str(snapshot.features["ret_5d"]) == str(value), "the sign of a zero too"


def test_a_number_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        advice(BUY, ret_5d=float("inf"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ts": 1}', json.dumps({"ts": "2024-01-01", "features": {}})])
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a features snapshot: .*: give the text of"):
        parse_snapshot(text)


def test_advice_is_the_same_in_whichever_chunk_it_was_made() -> None:
    chances = [BUY, SELL, (0.3, 0.3, 0.4), HOLD, (0.36, 0.32, 0.32), BUY]
    said, seen, priced = predictions(chances), features(6), closes(6)
    whole = advise(said, seen, priced, "v1", 20)
    alone = [advise(said[i], seen[i], priced[i], "v1", 20) for i in range(6)]
    assert pl.concat(alone).equals(whole)
    assert advise(said.reverse(), seen, priced.reverse(), "v1", 20).equals(whole)
