"""Language: what people read of features, decisions and recommendations, in English and French.

What belongs here: the texts of each language in a file of its own, and how numbers are written in them.
Kept elsewhere: which text is chosen (`advice/justification.py`), messages and errors (in English, where they
arise).
"""

from boursomatic_assets.language.english import ENGLISH
from boursomatic_assets.language.french import FRENCH
from boursomatic_assets.language.wording import Wording

__all__ = ["ENGLISH", "FRENCH", "WORDINGS", "Wording", "wording_of"]

WORDINGS = {wording.code: wording for wording in (ENGLISH, FRENCH)}
"""By the code of the language: en, fr."""


def wording_of(language: str) -> Wording:
    """Return the wording of a language.

    Raises:
        ValueError: There is no such language.
    """
    if language not in WORDINGS:
        raise ValueError(f"there is no language {language!r}: choose {' or '.join(WORDINGS)}")
    return WORDINGS[language]
