"""The column `additional_features`: ranks within a session, short text, and the same numbers back."""

import json

import polars as pl
import pytest
from worlds.markets import SESSIONS, random_market

from boursomatic_assets.features.additional_features import (
    ADDITIONAL_FEATURES,
    MODEL_FEATURES,
    RANK_NAMES,
    RANKED_FEATURES,
    RAW_FEATURES,
    rank_within_sessions,
    unpack,
)
from boursomatic_assets.features.additional_indicators import ADDITIONAL_INDICATORS
from boursomatic_assets.features.compute import compute_features, compute_formulas
from boursomatic_assets.features.indicators import FEATURES


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return compute_features(random_market(instruments=12, last=600, gaps=0.02), SESSIONS)


def ranked(*values: float | None) -> list[float | None]:
    """The ranks of one session in which a feature has these values."""
    session = pl.DataFrame(
        {"ts": 1} | dict.fromkeys(RANKED_FEATURES, values), schema_overrides=dict.fromkeys(RANKED_FEATURES, float)
    )
    return session.select(rank_within_sessions())["ret_1d_rank"].to_list()


def test_a_rank_is_the_middle_of_its_place() -> None:
    assert ranked(0.3, -0.1, 7.0, 0.2) == [0.625, 0.125, 0.875, 0.375]


def test_equal_numbers_share_their_rank() -> None:
    assert ranked(1, 1, 3) == [0.3333, 0.3333, 0.8333]


def test_one_without_a_number_has_no_rank_and_takes_no_place() -> None:
    assert ranked(2, None, 1) == [0.75, None, 0.25]


def test_whoever_is_alone_is_in_the_middle() -> None:
    assert ranked(0.1) == [0.5]
    assert ranked(None) == [None]


def test_ranks_are_of_one_session_and_of_the_numbers_that_are_kept(rows: pl.DataFrame) -> None:
    read = unpack(rows)
    for name, rank in zip(RANKED_FEATURES, RANK_NAMES, strict=True):
        for session in (150, 300, 599):
            of_session = read.filter(pl.col("ts").dt.date() == SESSIONS[session].item())
            again = (of_session[name].rank("average") - 0.5) / of_session[name].count()
            assert of_session[rank].to_list() == again.round(4).to_list()


def test_every_key_is_there_in_order_and_every_number_is_finite(rows: pl.DataFrame) -> None:
    for text in (rows["additional_features"][0], rows["additional_features"][-1]):
        assert list(json.loads(text, parse_constant=pytest.fail)) == list(ADDITIONAL_FEATURES)
    assert None not in json.loads(rows["additional_features"][-1]).values()


def test_reading_gives_the_numbers_to_six_digits_and_ranks_to_four_decimals(rows: pl.DataFrame) -> None:
    exact = compute_formulas(
        random_market(instruments=12, last=600, gaps=0.02), SESSIONS, (*FEATURES, *ADDITIONAL_INDICATORS)
    )
    read = unpack(rows)
    for name in RAW_FEATURES:
        assert read[name].is_null().to_list() == exact[name].is_null().to_list()
        assert ((read[name] - exact[name]).abs() <= exact[name].abs() * 5.01e-6).all()
    for rank in RANK_NAMES:
        assert read[rank].equals(read[rank].round(4))


def test_what_is_read_is_exactly_what_is_written(rows: pl.DataFrame) -> None:
    written = pl.DataFrame(
        [json.loads(text) for text in rows["additional_features"][-500:]], infer_schema_length=None
    )
    assert unpack(rows[-500:]).select(ADDITIONAL_FEATURES).equals(written.cast(pl.Float64))


def test_the_text_is_short(rows: pl.DataFrame) -> None:
    assert rows["additional_features"].str.len_bytes().max() < 1_000


def test_only_what_is_asked_for_is_read(rows: pl.DataFrame) -> None:
    some = unpack(rows, ("beta_120d", "mine"))
    assert some.columns == [*rows.columns[:-1], "beta_120d", "mine"]
    assert some["beta_120d"].equals(unpack(rows)["beta_120d"])
    assert some["mine"].null_count() == len(rows), "what a row does not have is null"


def test_a_row_without_text_has_no_numbers(rows: pl.DataFrame) -> None:
    bare = pl.concat([rows[-1:].with_columns(additional_features=pl.lit(None, pl.String)), rows[-1:]])
    read = unpack(bare)
    assert read["vol_250d"].is_null().to_list() == [True, False]
    assert read.select(ADDITIONAL_FEATURES).dtypes == [pl.Float64] * len(ADDITIONAL_FEATURES)


def test_no_rows_have_all_columns(rows: pl.DataFrame) -> None:
    assert unpack(rows.clear()).schema == unpack(rows).schema


@pytest.mark.parametrize("text", ["{", "{}\n{}", '{"beta_120d": "high"}', "[1]", ""])
def test_a_text_that_is_none_is_refused(rows: pl.DataFrame, text: str) -> None:
    broken = rows[:3].with_columns(additional_features=pl.lit(text))
    with pytest.raises(ValueError, match=r"additional_features cannot be read .*: compute the features"):
        unpack(broken)


def test_a_model_sees_ranks_and_context_only() -> None:
    assert len(MODEL_FEATURES) == len(set(MODEL_FEATURES)) == 24
    assert MODEL_FEATURES[:2] == ("ret_1d_rank", "ret_5d_rank")
    assert MODEL_FEATURES[-5:-3] == ("idiosyncratic_vol_120d_rank", "market_ret_20d")
    assert not {"momentum_5d_rank", "atr_14_rank"} & set(MODEL_FEATURES), "they are in price units"
