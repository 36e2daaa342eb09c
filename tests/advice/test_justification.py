"""Justifications: golden sentences in both languages, and that every feature has its wording."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.recommendations import BUY, CONTEXT, MODEL_INPUTS, RANKED, SELL, Chance, recommend_by_hand

from boursomatic_assets.advice.justification import describe_evidence, explain_abstention
from boursomatic_assets.features.additional_features import MODEL_FEATURES
from boursomatic_assets.language import ENGLISH, FRENCH, WORDINGS, Wording, wording_of
from boursomatic_assets.language.units import UNITS
from boursomatic_assets.language.wording import OF_ITS_MARKET

HIGH = "its distance from the year's high (-2.0 %, higher than 88 %)"
RETURNED = "its 120-day return (+34.0 %, higher than 92 % of its market)"


def justification(*chances: Chance | Mapping[int, Chance], row: int = 0, **given: Any) -> str:
    """The justification for the conservative (row 0), moderate (1) or aggressive (2) profile, last instrument."""
    return str(recommend_by_hand(*chances, **given)["justification"].tail(3)[row])


# --- BUY and SELL


def test_a_buy_names_the_features_for_it_and_against_it() -> None:
    assert justification(BUY) == (
        f"BUY at 70.0 %: {RETURNED} and {HIGH} speak for it;"
        " its 20-day volatility (30.0 % a year, lower than 80 %) speaks against it."
    )


def test_for_a_sell_the_same_features_change_sides() -> None:
    assert justification(SELL) == (
        "SELL at 70.0 %: its 20-day volatility (30.0 % a year, lower than 80 % of its market) and"
        " the market's 20-day volatility (14.3 % a year) speak for it;"
        " its 120-day return (+34.0 %, higher than 92 %) speaks against it."
    )


def test_the_same_in_french() -> None:
    assert justification(BUY, language="fr") == (
        "ACHETER à 70,0 % : son rendement sur 120 séances (+34,0 %, au-dessus de 92 % de son marché) et son écart"
        " au plus haut d'un an (-2,0 %, au-dessus de 88 %) plaident en ce sens ; sa volatilité sur 20 séances"
        " (30,0 % par an, au-dessous de 80 %) plaide contre."
    )
    assert justification(SELL, language="fr").startswith("VENDRE à 70,0 % : sa volatilité sur 20 séances")


# --- HOLD, and why

LEANING = (
    " Its 120-day return (+34.0 %, higher than 92 % of its market) speaks for a rise; its 20-day volatility"
    " (30.0 % a year, lower than 80 %) speaks for a fall."
)
TENDANCE = (
    " Son rendement sur 120 séances (+34,0 %, au-dessus de 92 % de son marché) plaide pour une hausse ; sa"
    " volatilité sur 20 séances (30,0 % par an, au-dessous de 80 %) plaide pour une baisse."
)
UNLIKELY, EQUAL = (0.30, 0.33, 0.37), (0.3, 0.4, 0.3)


def test_a_hold_below_the_minimum_probability() -> None:
    assert justification(UNLIKELY) == (
        "HOLD: a rise (37.0 %) is likelier than a fall (30.0 %), but the conservative profile asks for 40 %."
        + LEANING
    )
    assert justification(UNLIKELY[::-1]).startswith("HOLD: a fall (37.0 %) is likelier than a rise (30.0 %), but")
    assert justification(UNLIKELY, language="fr") == (
        "CONSERVER : une hausse (37,0 %) est plus probable qu'une baisse (30,0 %), mais le profil prudent demande"
        " 40 %." + TENDANCE
    )


def test_a_hold_above_the_volatility_limit() -> None:
    evidence = LEANING.replace("30.0 % a year", "63.5 % a year")
    assert justification(BUY, vol_20d=0.04) == (
        "HOLD: a rise is likely enough (70.0 %), but its volatility of 63.5 % a year is above the 35 % that the"
        " conservative profile bears." + evidence
    )
    assert justification(BUY, vol_20d=0.04, language="fr").startswith(
        "CONSERVER : une hausse est assez probable (70,0 %), mais sa volatilité de 63,5 % par an dépasse les 35 %"
        " que le profil prudent supporte. "
    )
    assert justification(BUY, vol_20d=None).startswith(
        "HOLD: a rise is likely enough (70.0 %), but its volatility is not known, and the conservative profile"
        " bears 35 % a year. "
    )
    assert justification(BUY, vol_20d=None, language="fr").startswith(
        "CONSERVER : une hausse est assez probable (70,0 %), mais sa volatilité est inconnue, et le profil prudent"
        " supporte 35 % par an. "
    )


def test_a_hold_beyond_the_number_of_positions() -> None:
    assert justification(*[BUY] * 11) == (
        "HOLD: a rise is likely enough (70.0 %), but it is number 11 in its market, and the conservative profile"
        " takes 10." + LEANING
    )
    assert justification(*[BUY] * 11, language="fr").startswith(
        "CONSERVER : une hausse est assez probable (70,0 %), mais c'est le n° 11 de son marché, et le profil"
        " prudent en retient 10. "
    )


def test_a_hold_because_the_bolder_profile_holds() -> None:
    divided = {10: BUY, 20: EQUAL, 40: BUY}
    assert justification(divided) == (
        "HOLD: a rise is likely enough (70.0 %), but the moderate profile, which dares more, does not advise it."
        + LEANING
    )
    assert justification(divided, language="fr").startswith(
        "CONSERVER : une hausse est assez probable (70,0 %), mais le profil modéré, plus hardi, ne la"
        " retient pas. "
    )


def test_a_hold_between_equally_likely_directions() -> None:
    assert justification(EQUAL, row=2) == "HOLD: a rise and a fall are equally likely (30.0 %)." + LEANING
    assert justification(EQUAL, row=2, language="fr") == (
        "CONSERVER : une hausse et une baisse sont aussi probables l'une que l'autre (30,0 %)." + TENDANCE
    )


# --- HOLD, without a champion

FLAW = {"kind": "unskilled", "rank_ic": -0.0123, "rank_ic_t": -0.5, "least": 1.0}
NAMED = {"challenger": "v2024.02.01", "champion": "v2024.01.02"}


def abstention(kind: str, language: str, **numbers: Any) -> str:
    reason = "Refused, and it was said so before flaws were kept."
    return explain_abstention(
        kind, dt.date(2024, 2, 1), reason, {"versions": NAMED, **numbers}, wording_of(language)
    )


def test_an_abstention_after_a_refusal_names_the_version_and_the_flaw() -> None:
    assert abstention("refused", "en", flaw=FLAW) == (
        "HOLD: no model is admitted to advise. Version v2024.02.01, examined on 2024-02-01, was refused: it shows"
        " no skill on sessions that it had not seen (mean rank IC -0.0123, t -0.50, and it takes a t of 1)."
        " HOLD is therefore published for every instrument."
    )
    assert abstention("refused", "fr", flaw=FLAW) == (
        "CONSERVER : aucun modèle n'est admis à conseiller. La version v2024.02.01, examinée le 2024-02-01, a été"
        " refusée : elle n'a pas fait ses preuves sur des séances qu'elle n'avait pas vues (IC de rang moyen"
        " -0,0123, t -0,50, et il faut un t de 1). CONSERVER est donc publié pour tous les titres."
    )


def test_an_abstention_after_a_withdrawal_names_both_versions() -> None:
    assert abstention("withdrawn", "en", flaw={"kind": "short", "sessions": 3, "least": 12}) == (
        "HOLD: no model is admitted to advise any more. Version v2024.02.01, examined on 2024-02-01, was to follow"
        " v2024.01.02 with the same recipe, and was refused: its record has 3 sampled sessions, and it takes 12."
        " v2024.01.02 was withdrawn with it, and HOLD is therefore published for every instrument."
    )
    assert abstention("withdrawn", "fr", flaw={"kind": "short", "sessions": 3, "least": 12}) == (
        "CONSERVER : plus aucun modèle n'est admis à conseiller. La version v2024.02.01, examinée le 2024-02-01,"
        " devait succéder à v2024.01.02 avec la même recette, et a été refusée : son historique compte 3 séances"
        " retenues, et il en faut 12. v2024.01.02 a été retirée avec elle, et CONSERVER est donc publié pour tous"
        " les titres."
    )


def test_an_abstention_without_a_stored_flaw_quotes_the_stored_reason() -> None:
    assert "was refused: Refused, and it was said so before flaws were kept. HOLD is" in abstention(
        "refused", "en"
    )
    assert "le motif est consigné en anglais : « Refused, and it was" in abstention("refused", "fr")


# --- features as text


def test_a_lack_of_evidence_and_a_missing_value_are_stated() -> None:
    assert justification(BUY, shares={}) == "BUY at 70.0 %: nothing speaks for it; nothing speaks against it."
    assert justification(BUY, shares={}, language="fr").endswith(
        "rien ne plaide en ce sens ; rien ne plaide contre."
    )
    missing = justification(BUY, shares={"rsi_14_rank": 0.1}, rsi_14=None, rsi_14_rank=None)
    assert missing == (
        "BUY at 70.0 %: its relative strength index (not known) speaks for it; nothing speaks against it."
    )


def test_a_model_of_one_feature_has_its_evidence() -> None:
    rows = pl.DataFrame({"contributions": [{"ret_5d": 0.1}, {"ret_5d": -0.1}], "ret_5d": [0.02, -0.02]})
    assert describe_evidence(rows, ENGLISH)["BUY"].to_list() == [
        "its 5-day return (+2.0 %) speaks for it; nothing speaks against it.",
        "nothing speaks for it; its 5-day return (-2.0 %) speaks against it.",
    ]


@pytest.mark.parametrize("wording", WORDINGS.values(), ids=WORDINGS)
@pytest.mark.parametrize("feature", [*MODEL_INPUTS, *MODEL_FEATURES])
def test_every_feature_of_the_model_has_its_wording(feature: str, wording: Wording) -> None:
    name = feature.removesuffix("_rank")
    rows = pl.DataFrame({name: [0.5, None]}).with_columns(pl.lit(0.25).alias(feature))
    known, unknown = wording.feature(feature, rows)
    assert "_" not in known, "no code in a sentence"
    assert re.search(r"\d", known)
    assert wording.features[name] in unknown


def test_every_feature_has_a_name_of_its_own_and_no_name_is_left_over() -> None:
    assert set(UNITS) == {*RANKED, *CONTEXT}
    for wording in WORDINGS.values():
        assert wording.features.keys() == UNITS.keys()
        assert len(set(wording.features.values())) == len(UNITS)
        assert wording.units.keys() == {unit.name for unit in UNITS.values()}


def test_a_feature_without_wording_is_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"^the feature 'moon' has no wording: add it to units, english and french"
    ):
        ENGLISH.feature("moon_rank", pl.DataFrame({"moon": [1.0], "moon_rank": [0.5]}))


@pytest.mark.parametrize(
    ("feature", "value", "english", "french"),
    [
        ("ret_1d", -0.00004, "0.0 %", "0,0 %"),
        ("rsi_14", 71.4, "71", "71"),
        ("volume_zscore", 2.13, "+2.1 standard deviations", "+2,1 écarts-types"),
        ("vol_ratio", 1.304, "1.3 times", "1,3 fois"),
        ("illiquidity_60d", 2.5e-10, "0.025 % per million", "0,025 % par million"),
        ("high_250d", 1.0, "0.0 %", "0,0 %"),
        ("beta_120d", -0.256, "-0.26", "-0,26"),
        ("market_breadth_120d", 0.64, "64.0 %", "64,0 %"),
        ("session_of_month", 5.0, "session 5", "séance 5"),
    ],
)
def test_each_number_has_its_unit(feature: str, value: float, english: str, french: str) -> None:
    rows = pl.DataFrame({feature: [value]})
    assert ENGLISH.feature(feature, rows)[0] == f"{ENGLISH.features[feature]} ({english})"
    assert FRENCH.feature(feature, rows)[0] == f"{FRENCH.features[feature]} ({french})"


@pytest.mark.parametrize(
    ("rank", "place"),
    [
        (0.999, "higher than 99 %"),
        (0.57, "higher than 57 %"),
        (0.29, "lower than 71 %"),
        (0.001, "lower than 99 %"),
    ],
)
def test_a_rank_is_rounded_down_as_a_share(rank: float, place: str) -> None:
    rows = pl.DataFrame({"ret_5d": [0.01], "ret_5d_rank": [rank]})
    assert ENGLISH.feature("ret_5d_rank", rows)[0].endswith(f"{place}{OF_ITS_MARKET})")


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(st.floats(-1, 1), min_size=len(MODEL_INPUTS), max_size=len(MODEL_INPUTS)))
def test_the_features_with_the_largest_contributions_are_named(shares: list[float]) -> None:
    drawn = dict(zip(MODEL_INPUTS, shares, strict=True))
    pro, contra = justification(BUY, shares=drawn).split("; ")
    ordered = sorted(drawn, key=lambda name: -drawn[name])
    for name in [name for name in ordered[:2] if drawn[name] > 0]:
        if sum(share == drawn[name] for share in shares) == 1:
            assert ENGLISH.features[name.removesuffix("_rank")] in pro
    if drawn[ordered[-1]] < drawn[ordered[-2]] and drawn[ordered[-1]] < 0:
        assert ENGLISH.features[ordered[-1].removesuffix("_rank")] in contra
    assert OF_ITS_MARKET not in pro + contra
    assert f"{pro}; {contra}".count("of its market") <= 1


# --- languages


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    for name in ("labels", "profiles", "directions", "hold_reasons", "abstentions", "flaws", "units"):
        english, french = getattr(ENGLISH, name), getattr(FRENCH, name)
        assert english.keys() == french.keys()
        for key, text in english.items():
            places, french_places = (set(re.findall(r"{(\w*)}", each)) for each in (text, french[key]))
            assert places == french_places, key


def test_an_unknown_language_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^there is no language 'de': choose en or fr$"):
        recommend_by_hand(BUY, language="de")
