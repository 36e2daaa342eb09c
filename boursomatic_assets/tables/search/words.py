"""Words: what somebody types, as the words and phrases that he asks for.

What belongs here: quotes, a minus before what is left out, words that are too frequent to be asked for, and
queries by both stems. Kept elsewhere: terms of the field (`language/terms.py`), where the words are looked for
(`advice.py`).
"""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, text

from boursomatic_assets.language.terms import phrases_of

LONGEST, MOST_WORDS = 1_000, 10
"""Characters and words of a search: more of them help nobody, and each costs time."""

_PARTS = re.compile(r'(?P<minus>-?)"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+)')

_QUERIES = text("""
SELECT numnode(english) > 0 AND numnode(french) > 0, (english || french)::text
FROM unnest(CAST(:texts AS text[])) WITH ORDINALITY AS asked (written, place),
    phraseto_tsquery('public.english_words', written) AS english,
    phraseto_tsquery('public.french_words', written) AS french
ORDER BY place
""")


@dataclass(frozen=True)
class Word:
    """A word or a phrase that is asked for.

    Attributes:
        text: as it was typed.
        query: a tsquery of its stems; empty for a word that is too frequent in one of the languages.
        left_out: advice that has it is not asked for.
    """

    text: str
    query: str
    left_out: bool = False


def read_words(connection: Connection, typed: str) -> list[Word]:
    """The words and phrases of a search.

    Raises:
        ValueError: there are too many.
    """
    if len(typed) > LONGEST:
        raise ValueError(f"a search has at most {LONGEST:,} characters, not {len(typed):,}: shorten it")
    parts = list(_parts(typed))
    if len(parts) > MOST_WORDS:
        raise ValueError(f"a search has at most {MOST_WORDS} words, not {len(parts):,}: leave some out")
    return [Word(part, _query(connection, part), left_out) for part, left_out in parts]


def _query(connection: Connection, part: str) -> str:
    """A tsquery of a word or phrase, or of what justifications say instead of it."""
    texts = [part, *phrases_of(part)]
    found = connection.execute(_QUERIES, {"texts": texts}).all()
    return " | ".join(query for asked, query in found if asked) if found[0][0] else ""


def _parts(typed: str) -> list[tuple[str, bool]]:
    """The words and phrases, and whether each is left out. What no text can hold is a space."""
    written = typed.encode("utf-8", "replace").decode().replace("\0", " ")
    found = []
    for part in _PARTS.finditer(written):
        word = part["word"] or ""
        content = (part["phrase"] or word.removeprefix("-")).strip()
        if content:
            found.append((content, bool(part["minus"]) or word.startswith("-")))
    return found
