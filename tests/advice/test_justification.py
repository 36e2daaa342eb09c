"""Justifications: golden sentences in both languages, and that every feature has its wording."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.recommendations import (
    BUY,
    CONTEXT,
    HOLD,
    HORIZONS,
    MODEL_INPUTS,
    RANKED,
    SELL,
    Chance,
    closes,
    features,
    maker,
    predictions,
    recommend_by_hand,
)

from boursomatic_assets.advice.justification import describe_evidence, explain_abstention
from boursomatic_assets.advice.profiles import VIEW_OF_HOLD
from boursomatic_assets.advice.signals import recommend
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.features.additional_features import MODEL_FEATURES
from boursomatic_assets.language import ENGLISH, FRENCH, WORDINGS, Wording, wording_of
from boursomatic_assets.language.units import UNITS
from boursomatic_assets.language.wording import OF_ITS_MARKET

HIGH = "its distance from the year's high (-2.0 %, higher than 88 %)"
RETURNED = "Its 120-day return (+34.0 %, higher than 92 % of its market)"
WORTH = dict.fromkeys(HORIZONS, ("BUY", "SELL"))


def justification(*chances: Chance | Mapping[int, Chance], row: int = 0, **given: Any) -> str:
    """The justification for the conservative (row 0), moderate (1) or aggressive (2) profile, last instrument."""
    return str(recommend_by_hand(*chances, **given)["justification"].tail(3)[row])


# --- BUY and SELL


def test_a_buy_names_its_third_the_features_for_it_and_against_it_and_the_evidence() -> None:
    assert justification(BUY) == (
        "BUY: 70.0 % to end the next 40 sessions in the best third of its market (33.3 % by chance)."
        f" {RETURNED} and {HIGH} speak for it;"
        " its 20-day volatility (30.0 % a year, lower than 80 %) speaks against it. Evidence 100 to 1."
    )


def test_for_a_sell_the_same_features_change_sides() -> None:
    assert justification(SELL) == (
        "SELL: 70.0 % to end the next 40 sessions in the worst third of its market (33.3 % by chance)."
        " Its 20-day volatility (30.0 % a year, lower than 80 % of its market) and"
        " the market's 20-day volatility (14.3 % a year) speak for it;"
        " its 120-day return (+34.0 %, higher than 92 %) speaks against it. Evidence 100 to 1."
    )


def test_the_same_in_french() -> None:
    assert justification(BUY, language="fr") == (
        "ACHETER : 70,0 % de finir les 40 prochaines séances dans le meilleur tiers de son marché (33,3 % par"
        " hasard). Son rendement sur 120 séances (+34,0 %, au-dessus de 92 % de son marché) et son écart"
        " au plus haut d'un an (-2,0 %, au-dessus de 88 %) plaident en ce sens ; sa volatilité sur 20 séances"
        " (30,0 % par an, au-dessous de 80 %) plaide contre. Preuves : 100 contre 1."
    )
    assert justification(SELL, language="fr").startswith(
        "VENDRE : 70,0 % de finir les 40 prochaines séances dans le moins bon tiers de son marché (33,3 % par"
        " hasard). Sa volatilité sur 20 séances"
    )


def test_each_profile_speaks_of_its_own_horizon_and_evidence() -> None:
    chances = {10: (0.2, 0.3, 0.5), 20: (0.1, 0.3, 0.6), 40: (0.1, 0.2, 0.7)}
    for row, (horizon, percent, ratio) in enumerate(((40, 70, 35), (20, 60, 25.5), (10, 50, 15))):
        found = justification(chances, row=row, standing=Standing({40: 35, 20: 25.5, 10: 15}, WORTH))
        assert found.startswith(f"BUY: {percent}.0 % to end the next {horizon} sessions in the best third")
        assert found.endswith(f" Evidence {ratio} to 1.")


# --- HOLD, and why

LEANING = (
    " Its 120-day return (+34.0 %, higher than 92 % of its market) speaks for a better place; its 20-day"
    " volatility (30.0 % a year, lower than 80 %) speaks for a worse one. Evidence 100 to 1."
)
TENDANCE = (
    " Son rendement sur 120 séances (+34,0 %, au-dessus de 92 % de son marché) plaide pour une meilleure place ;"
    " sa volatilité sur 20 séances (30,0 % par an, au-dessous de 80 %) plaide pour une moins bonne. Preuves : 100"
    " contre 1."
)
UNLIKELY = (0.30, 0.35, 0.35)
FADED = (0.34, 0.33, 0.33)


def test_a_hold_in_the_middle_of_its_market() -> None:
    assert justification(HOLD) == (
        "HOLD: its score is at neither end of its market's; 60.0 % to end the next 40 sessions in the middle third"
        " of its market (33.3 % by chance)." + LEANING
    )
    assert justification(HOLD, language="fr") == (
        "CONSERVER : son score n'est à aucune extrémité de son marché ; 60,0 % de finir les 40 prochaines séances"
        " dans le tiers du milieu de son marché (33,3 % par hasard)." + TENDANCE
    )
    assert "60.0 % to end the next 10 sessions" in justification(HOLD, row=2)


def test_a_hold_below_the_minimum_probability() -> None:
    assert justification(UNLIKELY) == (
        "HOLD: BUY has 35.0 % at its end of the scores, and the conservative profile asks for 35.33 %." + LEANING
    )
    assert justification(UNLIKELY[::-1]).startswith("HOLD: SELL has 35.0 % at its end of the scores, and")
    assert justification(UNLIKELY, language="fr") == (
        "CONSERVER : ACHETER a 35,0 % à son extrémité des scores, et le profil prudent demande 35,33 %." + TENDANCE
    )


def test_a_hold_whose_direction_is_less_likely_than_its_opposite_though_that_of_the_end_is_not() -> None:
    rows = predictions([BUY, FADED]).with_columns(direction=pl.lit("BUY"))
    for language, text in (
        ("en", "HOLD: BUY has 33.0 %, and the opposite 34.0 %. "),
        ("fr", "CONSERVER : ACHETER a 33,0 %, et l'inverse 34,0 %. "),
    ):
        held = recommend(rows, features(2), closes(2), maker(), language)
        assert held["justification"].tail(3)[0].startswith(text)


def test_a_hold_above_the_volatility_limit() -> None:
    evidence = LEANING.replace("30.0 % a year", "63.5 % a year")
    assert justification(BUY, vol_20d=0.04) == (
        "HOLD, without a view: its volatility of 63.5 % a year is above the 35 % that the conservative profile"
        " bears." + evidence
    )
    assert justification(BUY, vol_20d=0.04, language="fr").startswith(
        "CONSERVER, sans avis : sa volatilité de 63,5 % par an dépasse les 35 % que le profil prudent supporte. "
    )


def test_a_hold_of_unknown_volatility() -> None:
    assert justification(BUY, vol_20d=None).startswith(
        "HOLD, without a view: its volatility is not known, and the conservative profile bears 35 % a year. Its"
    )
    assert justification(BUY, vol_20d=None, language="fr").startswith(
        "CONSERVER, sans avis : sa volatilité est inconnue, et le profil prudent supporte 35 % par an. Son"
    )


def test_a_hold_beyond_the_number_of_positions() -> None:
    assert justification(*[BUY] * 11) == (
        "HOLD, with no place: BUY has 70.0 %, but it is number 11 in its market, and the conservative profile"
        " takes 10." + LEANING
    )
    assert justification(*[SELL] * 11).startswith("HOLD, with no place: SELL has 70.0 %, but it is number 11 in")
    assert justification(*[BUY] * 11, language="fr") == (
        "CONSERVER, sans place : ACHETER a 70,0 %, mais le titre est au rang 11 de son marché, et le profil"
        " prudent en prend 10." + TENDANCE
    )


def test_a_hold_because_the_bolder_profile_holds() -> None:
    divided = {10: BUY, 20: UNLIKELY[::-1], 40: BUY}
    assert justification(divided) == (
        "HOLD, with no place: the moderate profile, which dares more, does not advise BUY." + LEANING
    )
    assert justification(divided, language="fr") == (
        "CONSERVER, sans place : le profil modéré, qui ose davantage, ne conseille pas ACHETER." + TENDANCE
    )


# --- HOLD without a view, for want of evidence


def test_a_hold_for_too_little_evidence_says_how_much_there_is_and_is_asked_for() -> None:
    standing = Standing({10: 3, 20: 4.567, 40: 100}, WORTH)
    assert justification(BUY, standing=standing, row=1) == (
        "HOLD, without a view: the evidence for version v1 is 4.56 to 1 at 20 sessions, and the moderate profile"
        " asks for 5 to 1." + LEANING.replace("100 to 1", "4.56 to 1")
    )
    assert justification(BUY, standing=standing, row=1, language="fr") == (
        "CONSERVER, sans avis : les preuves en faveur de la version v1 sont de 4,56 contre 1 à 20 séances, et le"
        " profil modéré demande 5 contre 1." + TENDANCE.replace("100 contre 1", "4,56 contre 1")
    )


def test_a_hold_because_too_little_evidence_keeps_a_bolder_profile_from_speaking() -> None:
    """The moderate profile is the next bolder one, and has no view since the aggressive one has none."""
    standing = Standing({10: 1.5, 20: 300, 40: 300}, WORTH)
    assert justification(BUY, standing=standing, row=2).startswith(
        "HOLD, without a view: the evidence for version v1 is 1.5 to 1 at 10 sessions, and the aggressive profile"
        " asks for 2 to 1. Its"
    )
    for row, bolder, plus_hardi in ((1, "aggressive", "dynamique"), (0, "moderate", "modéré")):
        assert justification(BUY, standing=standing, row=row).startswith(
            f"HOLD, without a view: the {bolder} profile, which asks for less evidence, has no view either. Its"
        )
        assert justification(BUY, standing=standing, row=row, language="fr").startswith(
            f"CONSERVER, sans avis : le profil {plus_hardi}, qui demande moins de preuves, n'a pas d'avis non"
            " plus. Son"
        )


def test_a_hold_of_a_label_that_was_not_worth_more_than_the_rest() -> None:
    standing = Standing(dict.fromkeys(HORIZONS, 100.0), dict.fromkeys(HORIZONS, ("BUY",)))
    assert justification(SELL, standing=standing, row=1) == (
        "HOLD, without a view: on the record of 20 sessions SELL was not worth more than the rest." + LEANING
    )
    assert justification(SELL, standing=standing, row=1, language="fr") == (
        "CONSERVER, sans avis : sur l'historique à 20 séances, VENDRE n'a pas valu mieux que le reste." + TENDANCE
    )
    assert justification(BUY, standing=standing, row=1).startswith("BUY: 70.0 %")


@pytest.mark.parametrize(
    ("evidence", "english", "french"),
    [
        (0, "0", "0"),
        (0.3, "0.3", "0,3"),
        (4.9, "4.9", "4,9"),
        (4.9999, "4.99", "4,99"),
        (19.96, "19.9", "19,9"),
        (20.0, "20", "20"),
        (999.9, "999", "999"),
        (1234.9, "1234", "1234"),
        (2.5e7, "25000000", "25000000"),
    ],
)
def test_evidence_is_rounded_down_so_that_it_never_reads_as_more(
    evidence: float, english: str, french: str
) -> None:
    assert (ENGLISH.ratio(evidence), FRENCH.ratio(evidence)) == (english, french)


def test_an_abstention_is_the_whole_justification() -> None:
    assert justification(BUY, abstention="Nobody speaks.") == "Nobody speaks."


# --- HOLD, without a champion

UNPROVEN = {"kind": "unproven", "evidence": 1.2345, "least": 2.0, "horizon": 10}
DISPROVED = {"kind": "disproved", "against": 2.5, "least": 2.0, "horizon": 10}
NAMED = {"challenger": "v2024.02.01", "champion": "v2024.01.02"}


def abstention(kind: str, language: str, **numbers: Any) -> str:
    reason = "Refused, and it was said so before flaws were kept."
    return explain_abstention(
        kind, dt.date(2024, 2, 1), reason, {"versions": NAMED, **numbers}, wording_of(language)
    )


def test_an_abstention_after_a_refusal_names_the_version_and_the_flaw() -> None:
    assert abstention("refused", "en", flaw=UNPROVEN) == (
        "HOLD, without a view: no model is admitted to advise. Version v2024.02.01, examined on 2024-02-01, was"
        " refused: the evidence for it, on sessions that it had not seen, is 1.23 to 1 at 10 sessions, and it"
        " takes 2 to 1. HOLD is therefore published for every instrument."
    )
    assert abstention("refused", "fr", flaw=UNPROVEN) == (
        "CONSERVER, sans avis : aucun modèle n'est admis à conseiller. La version v2024.02.01, examinée le"
        " 2024-02-01, a été refusée : les preuves en sa faveur, sur des séances qu'elle n'avait pas vues, sont de"
        " 1,23 contre 1 à 10 séances, et il faut 2 contre 1. CONSERVER est donc publié pour tous les titres."
    )


def test_an_abstention_after_a_withdrawal_names_both_versions() -> None:
    assert abstention("withdrawn", "en", flaw=DISPROVED) == (
        "HOLD, without a view: no model is admitted to advise any more. Version v2024.02.01, examined on"
        " 2024-02-01, was to follow v2024.01.02 with the same recipe, and was refused: the evidence against it is"
        " 2.5 to 1 at 10 sessions, and 2 to 1 withdraws it. v2024.01.02 was withdrawn with it, and HOLD is"
        " therefore published for every instrument."
    )
    assert abstention("withdrawn", "fr", flaw=DISPROVED) == (
        "CONSERVER, sans avis : plus aucun modèle n'est admis à conseiller. La version v2024.02.01, examinée le"
        " 2024-02-01, devait succéder à v2024.01.02 avec la même recette, et a été refusée : les preuves contre"
        " elle sont de 2,5 contre 1 à 10 séances, et 2 contre 1 la retirent. v2024.01.02 a été retirée avec elle,"
        " et CONSERVER est donc publié pour tous les titres."
    )


FLAWS = {
    "short": (
        {"sessions": 3, "least": 12},
        "its record has 3 sampled sessions, and it takes 12",
        "son historique compte 3 séances retenues, et il en faut 12",
    ),
    "unmeasured": (
        {},
        "its record has no evidence to judge it by",
        "son historique n'a pas de preuves qui permettent de la juger",
    ),
    "unproven": (
        {"evidence": 1.999, "least": 2.0, "horizon": 10},
        "the evidence for it, on sessions that it had not seen, is 1.99 to 1 at 10 sessions, and it takes 2 to 1",
        "les preuves en sa faveur, sur des séances qu'elle n'avait pas vues, sont de 1,99 contre 1 à 10 séances,"
        " et il faut 2 contre 1",
    ),
    "disproved": (
        {"against": 12345.6, "least": 2.5, "horizon": 10},
        "the evidence against it is 12345 to 1 at 10 sessions, and 2.5 to 1 withdraws it",
        "les preuves contre elle sont de 12345 contre 1 à 10 séances, et 2,5 contre 1 la retirent",
    ),
    "unskilled": (
        {"rank_ic": -0.0123, "rank_ic_t": -0.5, "least": 1.0},
        "it shows no skill on sessions that it had not seen (mean rank IC -0.0123, t -0.50, and it takes a t"
        " of 1)",
        "elle n'a pas fait ses preuves sur des séances qu'elle n'avait pas vues (IC de rang moyen -0,0123, t"
        " -0,50, et il faut un t de 1)",
    ),
    "uncalibrated": (
        {"log_loss": 1.1, "log_loss_no_skill": 1.0986, "tolerance": 0.001},
        "its probabilities are worse than those without any skill (log loss 1.100000, and it takes 1.098600 +"
        " 0.001)",
        "ses probabilités sont moins bonnes que sans aucun savoir (perte logarithmique 1,100000, et il faut"
        " 1,098600 + 0,001)",
    ),
}
"""By kind: figures, English, French. The last two are of decisions that were stored before evidence was asked."""


@pytest.mark.parametrize("kind", FLAWS)
def test_every_flaw_is_told_with_its_figures_in_both_languages(kind: str) -> None:
    figures, english, french = FLAWS[kind]
    flaw = {"kind": kind, **figures}
    assert (ENGLISH.flaw(flaw), FRENCH.flaw(flaw)) == (english, french)


def test_no_flaw_is_left_out() -> None:
    assert FLAWS.keys() == ENGLISH.flaws.keys() == FRENCH.flaws.keys()


def test_an_abstention_without_a_stored_flaw_quotes_the_stored_reason() -> None:
    assert "was refused: Refused, and it was said so before flaws were kept. HOLD is" in abstention(
        "refused", "en"
    )
    assert "le motif est consigné en anglais : « Refused, and it was" in abstention("refused", "fr")


# --- features as text


def test_a_lack_of_contributions_and_a_missing_value_are_stated() -> None:
    opening = "BUY: 70.0 % to end the next 40 sessions in the best third of its market (33.3 % by chance)."
    nothing = " Nothing speaks for it; nothing speaks against it. Evidence 100 to 1."
    assert justification(BUY, shares={}) == opening + nothing
    assert justification(BUY, shares={}, language="fr").endswith(
        " Rien ne plaide en ce sens ; rien ne plaide contre. Preuves : 100 contre 1."
    )
    missing = justification(BUY, shares={"rsi_14_rank": 0.1}, rsi_14=None, rsi_14_rank=None)
    assert missing == (
        f"{opening} Its relative strength index (not known) speaks for it; nothing speaks against it."
        " Evidence 100 to 1."
    )


def test_a_model_of_one_feature_has_its_sides() -> None:
    rows = pl.DataFrame({"contributions": [{"ret_5d": 0.1}, {"ret_5d": -0.1}], "ret_5d": [0.02, -0.02]})
    assert describe_evidence(rows, ENGLISH)["BUY"].to_list() == [
        "Its 5-day return (+2.0 %) speaks for it; nothing speaks against it.",
        "Nothing speaks for it; its 5-day return (-2.0 %) speaks against it.",
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
    _, sides = justification(BUY, shares=drawn).split("(33.3 % by chance). ")
    pro, contra = (sides[0].lower() + sides[1:]).split("; ")
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
    for name in ("labels", "profiles", "thirds", "hold_reasons", "abstentions", "flaws", "units"):
        english, french = getattr(ENGLISH, name), getattr(FRENCH, name)
        assert english.keys() == french.keys()
        for key, text in english.items():
            places, french_places = (set(re.findall(r"{(\w*)}", each)) for each in (text, french[key]))
            assert places == french_places, key
    for name in ("opening", "evidence", "unspecified_flaw"):
        places, french_places = (set(re.findall(r"{(\w*)}", getattr(one, name))) for one in (ENGLISH, FRENCH))
        assert places == french_places, name


def test_each_reason_of_a_hold_has_its_sentence() -> None:
    """One for each condition that `decide_labels` asks for, and no other."""
    assert VIEW_OF_HOLD.keys() == ENGLISH.hold_reasons.keys()


def test_an_unknown_language_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^there is no language 'de': choose en or fr$"):
        recommend_by_hand(BUY, language="de")
