"""Terms: what people call what justifications describe.

What belongs here: terms of the field, each with the features that it stands for, or whether it says that a value
is higher or lower than others. Kept elsewhere: how justifications name these (`english.py`, `french.py`).
"""

import unicodedata
from typing import Final

from boursomatic_assets.language.english import ENGLISH
from boursomatic_assets.language.french import FRENCH

FEATURES: Final = {
    "momentum": ("momentum_12_1", "ret_120d", "ret_60d"),
    "reversal": ("ret_1d", "ret_5d"),
    "liquidity": ("illiquidity_60d", "volume_trend"),
}
HIGHER: Final = {"strong", "high", "fort", "forte", "forts", "fortes", "eleve", "elevee", "eleves", "elevees"}
LOWER: Final = {"weak", "low", "faible", "faibles"}


def phrases_of(term: str) -> list[str]:
    """How justifications say what a term says, in every language; nothing for a word that is no such term."""
    word, phrases = _plain(term.lower()), list[str]()
    for wording in (ENGLISH, FRENCH):
        phrases += [wording.features[feature] for feature in FEATURES.get(word, ())]
        phrases += [wording.above] if word in HIGHER else []
        phrases += [wording.below] if word in LOWER else []
    return phrases


def _plain(word: str) -> str:
    """A word without its accents."""
    return "".join(one for one in unicodedata.normalize("NFD", word) if not unicodedata.combining(one))
