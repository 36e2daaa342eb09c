"""Sentences: what a justification says, in English and French.

What belongs here: whole sentences with named places, one set for each language, and the setting that chooses.
Kept elsewhere: what features are called (`words.py`), what is put into the places (`justification.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from boursomatic_assets.words import LANGUAGES

SETTING = "BOURSOMATIC_LANGUAGE"
"""The environment variable that chooses one of LANGUAGES."""


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
        silenced: A HOLD because no model may speak.
        no_model: Why none may, for `signals.advise`.
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
    silenced: str
    no_model: str


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
    silenced="{said}: {why}.",
    no_model="no model has shown skill on sessions that it had not seen",
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
    silenced="{said} : {why}.",
    no_model="aucun modèle n'a fait ses preuves sur des séances qu'il n'avait pas vues",
)

SENTENCES = dict(zip(LANGUAGES, (ENGLISH, FRENCH), strict=True))


def sentences(language: str) -> Sentences:
    """Return the sentences of a language.

    Raises:
        ValueError: There is no such language.
    """
    if language not in SENTENCES:
        raise ValueError(f"there is no language {language!r}: set {SETTING} to {' or '.join(LANGUAGES)}")
    return SENTENCES[language]
