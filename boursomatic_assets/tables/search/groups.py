"""Groups: of which instruments the justification must have which words.

What belongs here: the groups of a search, and the condition of each. Kept elsewhere: the words (`words.py`), the
instruments that they name (`names.py`), where the rows of a group are looked for (`advice.py`).

A word is found in the justification or in the names of the instrument. Instruments that lack the same words in
their names are a group, and all words that they lack must be in the justification.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from boursomatic_assets.tables.search.words import Word


@dataclass(frozen=True)
class Group:
    """Instruments that lack the same words in their names.

    Attributes:
        words: what the justification must have; and, with `left_out`, what it must not have.
        instruments: their ids; None: all instruments.
        not_of: ids of instruments that are left out.
    """

    words: tuple[Word, ...]
    instruments: list[str] | None
    not_of: list[str]

    @property
    def query(self) -> str:
        """A tsquery of all words; empty if the justification may have any."""
        return " & ".join(f"{'!' if word.left_out else ''}({word.query})" for word in self.words if word.query)

    def condition(self, suffix: str) -> tuple[str, dict[str, object]]:
        """SQL for the rows of the group, and its parameters, whose names end with a suffix."""
        values = {"query": self.query, "instruments": self.instruments, "not_of": self.not_of}
        conditions = {
            f"words @@ CAST(:query{suffix} AS tsquery)": self.query,
            f"instrument_id = ANY (CAST(:instruments{suffix} AS uuid[]))": self.instruments is not None,
            f"NOT instrument_id = ANY (CAST(:not_of{suffix} AS uuid[]))": self.not_of,
        }
        holding = [condition for condition, holds in conditions.items() if holds] or ["true"]
        return f"({' AND '.join(holding)})", {f"{name}{suffix}": value for name, value in values.items()}

    @property
    def has_words(self) -> bool:
        """Whether an index of words can find it: one that is left out leads to no row."""
        return any(not word.left_out for word in self.words)


def groups_of(words: Sequence[Word], named: Sequence[set[str]], listed: Collection[str] | None) -> Iterator[Group]:
    """The groups of a search.

    Args:
        words: all words.
        named: the ids of the instruments that each of them names.
        listed: the ids of the instruments that are asked for; None: all.
    """
    left_out = tuple(word for word in words if word.left_out)
    not_of = set[str]().union(*(ids for word, ids in zip(words, named, strict=True) if word.left_out))
    asked = [(word, ids) for word, ids in zip(words, named, strict=True) if not word.left_out]
    candidates = set[str]().union(*(ids for _, ids in asked)) - not_of
    lacking: dict[tuple[Word, ...], list[str]] = {}
    for identifier in candidates if listed is None else candidates.intersection(listed):
        lacks = tuple(word for word, ids in asked if identifier not in ids)
        lacking.setdefault(lacks, []).append(identifier)
    for lacks, instruments in lacking.items():
        if all(word.query for word in lacks):
            yield Group((*lacks, *left_out), instruments, [])
    if all(word.query for word, _ in asked):
        instruments_or_all = None if listed is None else list(listed)
        yield Group((*(word for word, _ in asked), *left_out), instruments_or_all, sorted(not_of))
