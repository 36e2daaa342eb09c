"""Advice: the newest recommendations that have all words of a search.

What belongs here: the search. Kept elsewhere: the words (`words.py`), the instruments that they name (`names.py`),
what must be where (`groups.py`).

All groups are looked for among the newest rows first, where frequent words are found at once. If they do not
suffice, each is looked for through the index of words, or row by row if it has few instruments. No other plan is
possible, whatever the statistics say.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from boursomatic_assets import database
from boursomatic_assets.tables.search.groups import Group, groups_of
from boursomatic_assets.tables.search.names import instruments_named, instruments_nearly_named, instruments_of
from boursomatic_assets.tables.search.words import Word, read_words

NEWEST = 5_000
"""So many rows are looked through before an index of words is: it takes about ten milliseconds."""

FEW = 0.06
"""The share of all instruments up to which their rows are looked through rather than those that have the words."""

BEGINNING = dt.datetime(1, 1, 1)

SETTINGS = {
    **dict.fromkeys(("enable_seqscan", "enable_sort", "jit"), "off"),
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_custom_plan",
    "statement_timeout": "20s",
}
"""The plans of a search depend on no statistics: an index gives the order, or the rows that have the words."""

_SET = text(
    "SELECT set_config(name, value, true)"
    " FROM unnest(CAST(:names AS text[]), CAST(:values AS text[])) AS setting (name, value)"
)

_AMONG_NEWEST = """
SELECT id, as_of FROM (
    SELECT * FROM recommendation_words WHERE as_of >= :since ORDER BY as_of DESC, id DESC LIMIT :newest
) AS newest
WHERE {condition} ORDER BY as_of DESC, id DESC LIMIT :most
"""

_BY_WORDS = """
SELECT id, as_of FROM (
    SELECT * FROM recommendation_words WHERE words @@ CAST(:query0 AS tsquery) OFFSET 0
) AS having_words
WHERE as_of >= :since AND {condition} ORDER BY as_of DESC, id DESC LIMIT :most
"""

_BY_INSTRUMENTS = """
SELECT id, as_of FROM unnest(CAST(:instruments0 AS uuid[])) AS one (instrument) CROSS JOIN LATERAL (
    SELECT * FROM recommendation_words
    WHERE instrument_id = instrument AND as_of >= :since AND {condition} ORDER BY as_of DESC, id DESC LIMIT :most
) AS its
ORDER BY as_of DESC, id DESC LIMIT :most
"""

_IS_MORE = text(
    "SELECT EXISTS (SELECT FROM recommendation_words WHERE as_of >= :since ORDER BY as_of DESC OFFSET :newest)"
)

_HAS = text("SELECT EXISTS (SELECT FROM recommendation_words WHERE words @@ CAST(:query AS tsquery))")


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        ids: recommendations, the newest first.
        is_more: there are more than these.
        read_as: words that nothing has, each with the names for which it was taken.
        unknown: words that nothing has, and no name is like.
    """

    ids: Sequence[str]
    is_more: bool = False
    read_as: dict[str, list[str]] = field(default_factory=dict)
    unknown: Sequence[str] = ()


@dataclass(frozen=True)
class Search:
    """A search within one transaction.

    Attributes:
        connection: the transaction, with SETTINGS.
        since: the first session.
        profile: one risk profile; None: all.
        exchanges: those of one market; empty: all.
        limit: how many recommendations are asked for.
    """

    connection: Connection
    since: dt.datetime
    profile: str | None
    exchanges: Sequence[str]
    limit: int

    def newest(self, words: Sequence[Word], named: Sequence[set[str]]) -> list[str]:
        """The ids of the newest recommendations that have the words, one more than asked for if there are more.

        Args:
            words: all words.
            named: the instruments that each of them names.
        """
        listed = instruments_of(self.connection, self.exchanges) if self.exchanges else None
        groups = list(groups_of(words, named, listed))
        times = self._run(_AMONG_NEWEST, *groups)
        if len(times) <= self.limit and self._has_others():
            for group in groups:
                times |= self._among_all(group)
        return sorted(times, key=lambda identifier: (times[identifier], identifier), reverse=True)[
            : self.limit + 1
        ]

    def _has_others(self) -> bool:
        """Whether there are rows beside the NEWEST ones."""
        return bool(self.connection.scalar(_IS_MORE, {"since": self.since, "newest": NEWEST}))

    def _among_all(self, group: Group) -> dict[str, dt.datetime]:
        """Look for a group among all rows, by what is rarer: its words, or its instruments."""
        count = self.connection.scalar(text("SELECT count(*) FROM instruments")) or 0
        if group.has_words and (group.instruments is None or len(group.instruments) > FEW * count):
            return self._run(_BY_WORDS, group)
        return self._run(_BY_INSTRUMENTS, group)

    def _run(self, statement: str, *groups: Group) -> dict[str, dt.datetime]:
        """The times of the recommendations of some groups, by id."""
        conditions, values = [], dict[str, Any]()
        for place, group in enumerate(groups):
            condition, own = group.condition(str(place))
            conditions.append(condition)
            values |= own
        of_profile = "profile = :profile AND " if self.profile else ""
        condition = f"{of_profile}({' OR '.join(conditions) or 'false'})"
        values |= {"profile": self.profile, "since": self.since, "newest": NEWEST, "most": self.limit + 1}
        found = self.connection.execute(text(statement.format(condition=condition)), values)
        return {str(row.id): row.as_of for row in found}

    def has(self, word: Word) -> bool:
        """Whether any justification has a word."""
        return bool(word.query and self.connection.scalar(_HAS, {"query": word.query}))


def search(
    typed: str,
    *,
    since: dt.date | None = None,
    profile: str | None = None,
    exchanges: Sequence[str] = (),
    limit: int = 20,
) -> Found:
    """The newest recommendations that stand and have all words, in their text or in their instrument's names.

    A word that nothing has is taken for the names that are the most like it.

    Raises:
        ValueError: there is no word to search for, or there are too many.
    """
    first = dt.datetime.combine(since, dt.time()) if since else BEGINNING
    with _reading() as connection:
        words, named = _words_and_names(connection, typed)
        asked = Search(connection, first, profile, exchanges, limit)
        ids = asked.newest(words, named)
        read_as: dict[str, list[str]] = {}
        if not ids:
            for word, ids_named in zip(words, named, strict=True):
                if not (word.left_out or ids_named or asked.has(word)):
                    near = instruments_nearly_named(connection, word)
                    ids_named.update(near)
                    read_as[word.text] = [*near.values()]
            if read_as and all(read_as.values()):
                ids = asked.newest(words, named)
    nothing = [word for word, names in read_as.items() if not names]
    return Found(ids[:limit], len(ids) > limit, {} if nothing else read_as, nothing)


def _words_and_names(connection: Connection, typed: str) -> tuple[list[Word], list[set[str]]]:
    """The words of a search, and the instruments that each names; without frequent words that name none."""
    words = read_words(connection, typed)
    named = instruments_named(connection, words)
    both = [(word, ids) for word, ids in zip(words, named, strict=True) if word.query or ids]
    if all(word.left_out for word, _ in both):
        raise ValueError(f"there is no word to search for in {typed[:80]!r}: name one that not every text has")
    return [word for word, _ in both], [ids for _, ids in both]


@contextmanager
def _reading() -> Iterator[Connection]:
    with database.engine().begin() as connection:
        connection.execute(_SET, {"names": list(SETTINGS), "values": list(SETTINGS.values())})
        yield connection
