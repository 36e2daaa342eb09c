"""Sentences: what a justification says, in English and French.

What belongs here: whole sentences with named places, one set for each language.
Kept elsewhere: what features are called (`words.py`), what is put into the places (`justification.py`), what makes
a version fail its gate (`learning/gate.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boursomatic_assets.language.words import LANGUAGES

FIGURES = {"rank_ic": ".4f", "rank_ic_t": ".2f", "log_loss": ".6f", "log_loss_no_skill": ".6f"}
"""How the figures of a flaw are written; others with the digits that they have."""


@dataclass(frozen=True)
class Sentences:
    """What one language says.

    Attributes:
        code: One of `words.LANGUAGES`.
        labels: How the labels are said.
        profiles: How the profiles are said.
        outcomes: How what a BUY or SELL expects is said.
        advised: The opening of a BUY or SELL.
        refused: Why a profile's HOLD is no BUY or SELL, by the refusals of `signals`.
        speaks: None, one or two features and a side that they speak for.
        sides: For an advice, against it, for a rise, for a fall.
        both: Two of those as one sentence.
        silenced: A HOLD because no model may speak, by the kinds of decisions that lead to it.
        flaws: Why a version failed its gate, by the flaws of `learning.gate`.
        unspecified: The same of a decision that is older than these sentences, in the words of its record.
    """

    code: str
    labels: Mapping[str, str]
    profiles: Mapping[str, str]
    outcomes: Mapping[str, str]
    advised: str
    refused: Mapping[str, str]
    speaks: tuple[str, str, str]
    sides: tuple[str, str, str, str]
    both: str
    silenced: Mapping[str, str]
    flaws: Mapping[str, str]
    unspecified: str

    def flaw(self, found: Mapping[str, Any]) -> str:
        """Say what made a version fail: its `kind`, with the figures that it was judged by."""
        texts = {name: format(value, FIGURES.get(name, "g")) for name, value in found.items() if name != "kind"}
        if self.code == "fr":
            texts = {name: text.replace(".", ",") for name, text in texts.items()}
        return self.flaws[found["kind"]].format(**texts)


ENGLISH = Sentences(
    code="en",
    labels={"BUY": "BUY", "HOLD": "HOLD", "SELL": "SELL"},
    profiles={"conservative": "conservative", "moderate": "moderate", "aggressive": "aggressive"},
    outcomes={"BUY": "a rise", "SELL": "a fall"},
    advised="{said} at {chance} %: ",
    refused={
        "even": "{said}: a rise and a fall are equally likely ({chance} %). ",
        "unsure": "{said}: {ahead} ({chance} %) is likelier than {behind} ({other} %), but the {profile} profile"
        " asks for {minimum}. ",
        "volatile": "{said}: {ahead} is likely enough ({chance} %), but its volatility of {volatility} % a year is"
        " above the {limit} that the {profile} profile bears. ",
        "unmeasured": "{said}: {ahead} is likely enough ({chance} %), but its volatility is not known, and the"
        " {profile} profile bears {limit} a year. ",
        "alone": "{said}: {ahead} is likely enough ({chance} %), but the {bolder} profile, which dares more, does"
        " not advise it. ",
        "full": "{said}: {ahead} is likely enough ({chance} %), but it is number {place} in its market,"
        " and the {profile} profile takes {positions}. ",
    },
    speaks=("nothing speaks {}", "{} speaks {}", "{} and {} speak {}"),
    sides=("for it", "against it", "for a rise", "for a fall"),
    both="{}; {}.",
    silenced={
        "refused": "{said}: no model is admitted to advise. Version {version}, examined on {date}, was refused:"
        " {why}. {said} is therefore published for every instrument.",
        "withdrawn": "{said}: no model is admitted to advise any more. Version {version}, examined on {date}, was"
        " to follow {former} with the same recipe, and was refused: {why}. {former} was withdrawn with it, and"
        " {said} is therefore published for every instrument.",
    },
    flaws={
        "short": "its record has {sessions} sampled sessions, and it takes {least}",
        "unmeasured": "its record has no mean rank IC to judge it by",
        "unskilled": "it shows no skill on sessions that it had not seen (mean rank IC {rank_ic}, t {rank_ic_t},"
        " and it takes a t of {least})",
        "uncalibrated": "its probabilities are worse than those without any skill (log loss {log_loss}, and it"
        " takes {log_loss_no_skill} + {tolerance})",
    },
    unspecified="{reason}",
)

FRENCH = Sentences(
    code="fr",
    labels={"BUY": "ACHETER", "HOLD": "CONSERVER", "SELL": "VENDRE"},
    profiles={"conservative": "prudent", "moderate": "modéré", "aggressive": "dynamique"},
    outcomes={"BUY": "une hausse", "SELL": "une baisse"},
    advised="{said} à {chance} % : ",
    refused={
        "even": "{said} : une hausse et une baisse sont aussi probables l'une que l'autre ({chance} %). ",
        "unsure": "{said} : {ahead} ({chance} %) est plus probable qu'{behind} ({other} %), mais le profil"
        " {profile} demande {minimum}. ",
        "volatile": "{said} : {ahead} est assez probable ({chance} %), mais sa volatilité de {volatility} % par an"
        " dépasse les {limit} que le profil {profile} supporte. ",
        "unmeasured": "{said} : {ahead} est assez probable ({chance} %), mais sa volatilité est inconnue, et le"
        " profil {profile} supporte {limit} par an. ",
        "alone": "{said} : {ahead} est assez probable ({chance} %), mais le profil {bolder}, plus hardi, ne"
        " la retient pas. ",
        "full": "{said} : {ahead} est assez probable ({chance} %), mais c'est le n° {place} de son marché, et le"
        " profil {profile} en retient {positions}. ",
    },
    speaks=("rien ne plaide {}", "{} plaide {}", "{} et {} plaident {}"),
    sides=("en ce sens", "contre", "pour une hausse", "pour une baisse"),
    both="{} ; {}.",
    silenced={
        "refused": "{said} : aucun modèle n'est admis à conseiller. La version {version}, examinée le {date}, a"
        " été refusée : {why}. {said} est donc publié pour tous les titres.",
        "withdrawn": "{said} : plus aucun modèle n'est admis à conseiller. La version {version}, examinée le"
        " {date}, devait succéder à {former} avec la même recette, et a été refusée : {why}. {former} a été"
        " retirée avec elle, et {said} est donc publié pour tous les titres.",
    },
    flaws={
        "short": "son historique compte {sessions} séances retenues, et il en faut {least}",
        "unmeasured": "son historique n'a pas d'IC de rang moyen qui permette de la juger",
        "unskilled": "elle n'a pas fait ses preuves sur des séances qu'elle n'avait pas vues (IC de rang moyen"
        " {rank_ic}, t {rank_ic_t}, et il faut un t de {least})",
        "uncalibrated": "ses probabilités sont moins bonnes que sans aucun savoir (perte logarithmique {log_loss},"
        " et il faut {log_loss_no_skill} + {tolerance})",
    },
    unspecified="le motif est consigné en anglais : « {reason} »",
)

SENTENCES = dict(zip(LANGUAGES, (ENGLISH, FRENCH), strict=True))


def sentences(language: str) -> Sentences:
    """Return the sentences of a language.

    Raises:
        ValueError: There is no such language.
    """
    if language not in SENTENCES:
        raise ValueError(f"there is no language {language!r}: choose {' or '.join(LANGUAGES)}")
    return SENTENCES[language]
