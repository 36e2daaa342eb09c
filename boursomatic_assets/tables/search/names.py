"""Names: which instruments a word names, by symbol, name or sector, also if a name is misspelt.

What belongs here: the questions to `instruments`. Kept elsewhere: the words (`words.py`), other names of an
instrument (`tables/aliases/`).
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from boursomatic_assets.tables.search.words import Word

LEAST_LIKENESS = 0.5
"""The least share of a word's trigrams that a name has, if the word is that name misspelt."""

_NAMED = text("""
SELECT place, i.id::text
FROM unnest(CAST(:queries AS tsquery[])) WITH ORDINALITY AS asked (query, place)
JOIN instruments i ON i.words @@ query
UNION
SELECT place, i.id::text
FROM unnest(CAST(:texts AS text[])) WITH ORDINALITY AS asked (symbol, place) JOIN instruments i USING (symbol)
""")

_NEAR = text("""
SELECT i.id::text, i.name FROM instruments i WHERE CAST(:word AS text) <% i.name
ORDER BY word_similarity(:word, i.name) DESC, i.name LIMIT :most
""")

_LISTED = text("SELECT id::text FROM instruments WHERE exchange = ANY (CAST(:exchanges AS text[]))")


def instruments_named(connection: Connection, words: Sequence[Word]) -> list[set[str]]:
    """The ids of the instruments that each word names."""
    named: list[set[str]] = [set() for _ in words]
    asked = {"queries": [word.query for word in words], "texts": [word.text for word in words]}
    for place, identifier in connection.execute(_NAMED, asked):
        named[place - 1].add(identifier)
    return named


def instruments_nearly_named(connection: Connection, word: Word, most: int = 5) -> dict[str, str]:
    """The ids and names of the instruments whose names are the most like a word."""
    likeness = text("SELECT set_config('pg_trgm.word_similarity_threshold', :least, true)")
    connection.execute(likeness, {"least": str(LEAST_LIKENESS)})
    return dict(connection.execute(_NEAR, {"word": word.text, "most": most}).all())


def instruments_of(connection: Connection, exchanges: Sequence[str]) -> set[str]:
    """The ids of the instruments of some exchanges."""
    return {*connection.scalars(_LISTED, {"exchanges": list(exchanges)})}
