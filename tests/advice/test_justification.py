"""What a reader is told: golden sentences, and that no feature is without words."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.recommendations import BUY, CONTEXT, RANKED, SEEN, SELL, Chance, advice

from boursomatic_assets.advice.justification import explain_abstention, reasons
from boursomatic_assets.features.additional_features import MODEL_FEATURES
from boursomatic_assets.language.sentences import SENTENCES, sentences
from boursomatic_assets.language.words import LANGUAGES, OF_ITS_MARKET, PHRASES, told

HIGH = "its distance from the year's high (-2.0 %, higher than 88 %)"
RETURNED = "its 120-day return (+34.0 %, higher than 92 % of its market)"


def said(*chances: Chance | Mapping[int, Chance], row: int = 0, **given: Any) -> str:
    """What the conservative (row 0), moderate (1) or aggressive (2) profile is told, the last instrument's."""
    return str(advice(*chances, **given)["justification"].tail(3)[row])


# --- advice


def test_a_buy_names_what_speaks_for_it_and_against_it() -> None:
    assert said(BUY) == (
        f"BUY at 70.0 %: {RETURNED} and {HIGH} speak for it;"
        " its 20-day volatility (30.0 % a year, lower than 80 %) speaks against it."
    )


def test_for_a_sell_the_same_features_change_sides() -> None:
    assert said(SELL) == (
        "SELL at 70.0 %: its 20-day volatility (30.0 % a year, lower than 80 % of its market) and"
        " the market's 20-day volatility (14.3 % a year) speak for it;"
        " its 120-day return (+34.0 %, higher than 92 %) speaks against it."
    )


def test_the_same_in_french() -> None:
    assert said(BUY, language="fr") == (
        "ACHETER à 70,0 % : son rendement sur 120 séances (+34,0 %, au-dessus de 92 % de son marché) et son écart"
        " au plus haut d'un an (-2,0 %, au-dessus de 88 %) plaident en ce sens ; sa volatilité sur 20 séances"
        " (30,0 % par an, au-dessous de 80 %) plaide contre."
    )
    assert said(SELL, language="fr").startswith("VENDRE à 70,0 % : sa volatilité sur 20 séances")


# --- HOLD, and why

LEANING = (
    " Its 120-day return (+34.0 %, higher than 92 % of its market) speaks for a rise; its 20-day volatility"
    " (30.0 % a year, lower than 80 %) speaks for a fall."
)
TENDANCE = (
    " Son rendement sur 120 séances (+34,0 %, au-dessus de 92 % de son marché) plaide pour une hausse ; sa"
    " volatilité sur 20 séances (30,0 % par an, au-dessous de 80 %) plaide pour une baisse."
)
UNSURE, EVEN = (0.30, 0.33, 0.37), (0.3, 0.4, 0.3)


def test_an_unsure_hold() -> None:
    assert said(UNSURE) == (
        "HOLD: a rise (37.0 %) is likelier than a fall (30.0 %), but the conservative profile asks for 40 %."
        + LEANING
    )
    assert said(UNSURE[::-1]).startswith("HOLD: a fall (37.0 %) is likelier than a rise (30.0 %), but")
    assert said(UNSURE, language="fr") == (
        "CONSERVER : une hausse (37,0 %) est plus probable qu'une baisse (30,0 %), mais le profil prudent demande"
        " 40 %." + TENDANCE
    )


def test_a_hold_because_of_volatility() -> None:
    shown = LEANING.replace("30.0 % a year", "63.5 % a year")
    assert said(BUY, vol_20d=0.04) == (
        "HOLD: a rise is likely enough (70.0 %), but its volatility of 63.5 % a year is above the 35 % that the"
        " conservative profile bears." + shown
    )
    assert said(BUY, vol_20d=0.04, language="fr").startswith(
        "CONSERVER : une hausse est assez probable (70,0 %), mais sa volatilité de 63,5 % par an dépasse les 35 %"
        " que le profil prudent supporte. "
    )
    assert said(BUY, vol_20d=None).startswith(
        "HOLD: a rise is likely enough (70.0 %), but its volatility is not known, and the conservative profile"
        " bears 35 % a year. "
    )
    assert said(BUY, vol_20d=None, language="fr").startswith(
        "CONSERVER : une hausse est assez probable (70,0 %), mais sa volatilité est inconnue, et le profil prudent"
        " supporte 35 % par an. "
    )


def test_a_hold_because_the_positions_are_taken() -> None:
    assert said(*[BUY] * 11) == (
        "HOLD: a rise is likely enough (70.0 %), but it is number 11 in its market, and the conservative profile"
        " takes 10." + LEANING
    )
    assert said(*[BUY] * 11, language="fr").startswith(
        "CONSERVER : une hausse est assez probable (70,0 %), mais c'est le n° 11 de son marché, et le profil"
        " prudent en retient 10. "
    )


def test_a_hold_because_the_bolder_profile_holds() -> None:
    divided = {10: BUY, 20: EVEN, 40: BUY}
    assert said(divided) == (
        "HOLD: a rise is likely enough (70.0 %), but the moderate profile, which dares more, does not advise it."
        + LEANING
    )
    assert said(divided, language="fr").startswith(
        "CONSERVER : une hausse est assez probable (70,0 %), mais le profil modéré, plus hardi, ne la"
        " retient pas. "
    )


def test_a_hold_because_nothing_is_likelier() -> None:
    assert said(EVEN, row=2) == "HOLD: a rise and a fall are equally likely (30.0 %)." + LEANING
    assert said(EVEN, row=2, language="fr") == (
        "CONSERVER : une hausse et une baisse sont aussi probables l'une que l'autre (30,0 %)." + TENDANCE
    )


# --- HOLD, because no version passed its gate

FLAW = {"kind": "unskilled", "rank_ic": -0.0123, "rank_ic_t": -0.5, "least": 1.0}
NAMED = {"challenger": "v2024.02.01", "champion": "v2024.01.02"}


def silence(kind: str, language: str, **numbers: Any) -> str:
    reason = "Refused, and it was said so before flaws were kept."
    return explain_abstention(
        kind, dt.date(2024, 2, 1), reason, {"versions": NAMED, **numbers}, sentences(language)
    )


def test_a_hold_because_no_version_has_passed_says_which_was_refused_and_why() -> None:
    assert silence("refused", "en", flaw=FLAW) == (
        "HOLD: no model is admitted to advise. Version v2024.02.01, examined on 2024-02-01, was refused: it shows"
        " no skill on sessions that it had not seen (mean rank IC -0.0123, t -0.50, and it takes a t of 1)."
        " HOLD is therefore published for every instrument."
    )
    assert silence("refused", "fr", flaw=FLAW) == (
        "CONSERVER : aucun modèle n'est admis à conseiller. La version v2024.02.01, examinée le 2024-02-01, a été"
        " refusée : elle n'a pas fait ses preuves sur des séances qu'elle n'avait pas vues (IC de rang moyen"
        " -0,0123, t -0,50, et il faut un t de 1). CONSERVER est donc publié pour tous les titres."
    )


def test_a_hold_because_the_last_version_was_withdrawn_names_both() -> None:
    assert silence("withdrawn", "en", flaw={"kind": "short", "sessions": 3, "least": 12}) == (
        "HOLD: no model is admitted to advise any more. Version v2024.02.01, examined on 2024-02-01, was to follow"
        " v2024.01.02 with the same recipe, and was refused: its record has 3 sampled sessions, and it takes 12."
        " v2024.01.02 was withdrawn with it, and HOLD is therefore published for every instrument."
    )
    assert silence("withdrawn", "fr", flaw={"kind": "short", "sessions": 3, "least": 12}) == (
        "CONSERVER : plus aucun modèle n'est admis à conseiller. La version v2024.02.01, examinée le 2024-02-01,"
        " devait succéder à v2024.01.02 avec la même recette, et a été refusée : son historique compte 3 séances"
        " retenues, et il en faut 12. v2024.01.02 a été retirée avec elle, et CONSERVER est donc publié pour tous"
        " les titres."
    )


def test_a_decision_that_is_older_than_the_sentences_is_told_as_it_is_on_record() -> None:
    assert "was refused: Refused, and it was said so before flaws were kept. HOLD is" in silence("refused", "en")
    assert "le motif est consigné en anglais : « Refused, and it was" in silence("refused", "fr")


# --- features in words


def test_a_lack_of_reasons_and_a_missing_value_are_said() -> None:
    assert said(BUY, shares={}) == "BUY at 70.0 %: nothing speaks for it; nothing speaks against it."
    assert said(BUY, shares={}, language="fr").endswith("rien ne plaide en ce sens ; rien ne plaide contre.")
    alone = said(BUY, shares={"rsi_14_rank": 0.1}, rsi_14=None, rsi_14_rank=None)
    assert alone == (
        "BUY at 70.0 %: its relative strength index (not known) speaks for it; nothing speaks against it."
    )


def test_a_model_of_one_feature_has_its_reasons() -> None:
    rows = pl.DataFrame({"contributions": [{"ret_5d": 0.1}, {"ret_5d": -0.1}], "ret_5d": [0.02, -0.02]})
    assert reasons(rows, sentences("en"))["BUY"].to_list() == [
        "its 5-day return (+2.0 %) speaks for it; nothing speaks against it.",
        "nothing speaks for it; its 5-day return (-2.0 %) speaks against it.",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("feature", [*SEEN, *MODEL_FEATURES])
def test_every_feature_of_the_model_has_its_words(feature: str, language: str) -> None:
    name = feature.removesuffix("_rank")
    rows = pl.DataFrame({name: [0.5, None]}).with_columns(pl.lit(0.25).alias(feature))
    known, unknown = told(feature, rows, language)
    assert "_" not in known, "no code in a sentence"
    assert re.search(r"\d", known)
    assert getattr(PHRASES[name], language) in unknown


def test_no_two_features_are_called_the_same_and_none_is_left_over() -> None:
    assert set(PHRASES) == {*RANKED, *CONTEXT}
    for language in LANGUAGES:
        assert len({getattr(phrase, language) for phrase in PHRASES.values()}) == len(PHRASES)


def test_a_feature_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the feature 'moon' has no words: give it a phrase in words\.PHRASES$"):
        told("moon_rank", pl.DataFrame({"moon": [1.0], "moon_rank": [0.5]}), "en")


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
    assert told(feature, rows, "en")[0] == f"{PHRASES[feature].en} ({english})"
    assert told(feature, rows, "fr")[0] == f"{PHRASES[feature].fr} ({french})"


@pytest.mark.parametrize(
    ("rank", "place"),
    [
        (0.999, "higher than 99 %"),
        (0.57, "higher than 57 %"),
        (0.29, "lower than 71 %"),
        (0.001, "lower than 99 %"),
    ],
)
def test_a_rank_never_claims_more_than_it_is(rank: float, place: str) -> None:
    rows = pl.DataFrame({"ret_5d": [0.01], "ret_5d_rank": [rank]})
    assert told("ret_5d_rank", rows, "en")[0].endswith(f"{place}{OF_ITS_MARKET})")


@settings(max_examples=20)
@given(st.lists(st.floats(-1, 1), min_size=len(SEEN), max_size=len(SEEN)))
def test_what_is_named_is_what_counts_most(shares: list[float]) -> None:
    drawn = dict(zip(SEEN, shares, strict=True))
    pro, contra = said(BUY, shares=drawn).split("; ")
    ordered = sorted(drawn, key=lambda name: -drawn[name])
    for name in [name for name in ordered[:2] if drawn[name] > 0]:
        if sum(share == drawn[name] for share in shares) == 1:
            assert PHRASES[name.removesuffix("_rank")].en in pro
    if drawn[ordered[-1]] < drawn[ordered[-2]] and drawn[ordered[-1]] < 0:
        assert PHRASES[ordered[-1].removesuffix("_rank")].en in contra
    assert OF_ITS_MARKET not in pro + contra
    assert f"{pro}; {contra}".count("of its market") <= 1


# --- languages


def test_both_languages_say_the_same_things() -> None:
    english, french = (SENTENCES[language] for language in LANGUAGES)
    for name in ("labels", "profiles", "outcomes", "refused", "silenced", "flaws"):
        one, other = getattr(english, name), getattr(french, name)
        assert one.keys() == other.keys()
        for key, text in one.items():
            places = (set(re.findall(r"{(\w+)}", each)) for each in (text, other[key]))
            assert next(places) == next(places), key


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^there is no language 'de': choose en or fr$"):
        advice(BUY, language="de")
