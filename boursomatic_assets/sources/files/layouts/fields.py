"""Fields: which of our columns a header is, by its words.

What belongs here: what vendors call our columns, which of several names is the better one, whose names they are.
Kept elsewhere: where the headers are (`layout.py`).
"""

from collections.abc import Sequence

from boursomatic_assets.sources import DECLARATIONS_FILE, UNSTATED, SourceError
from boursomatic_assets.sources.files.declarations import Declaration

FIELDS = {
    "ts": ("ts", "datetime", "date/time", "date", "timestamp", "day", "trade date", "trading date", "t"),
    "clock": ("time",),
    "symbol": ("symbol", "ticker"),
    "exchange": ("exchange",),
    "interval": ("interval", "per"),
    "o": ("o", "open", "ouverture", "ouv.", "opening price", "open price", "px_open"),
    "h": ("h", "high", "haut", "plus haut", "high price", "px_high"),
    "l": ("l", "low", "bas", "plus bas", "low price", "px_low"),
    "c": (
        "c",
        "close",
        "clôture",
        "cloture",
        "closing price",
        "close price",
        "close/last",
        "last",
        "dernier",
        "price",
        "px_last",
    ),
    "v": ("v", "volume", "vol", "vol.", "number of shares", "titres", "nombre de titres", "px_volume"),
}
"""Our names and what vendors call them, French ones too, the better name first; small letters, without <>.

An adjusted close is none."""

_FIELD_OF_WORD = {word: field for field, words in FIELDS.items() for word in words}

WORDS = tuple(_FIELD_OF_WORD)
"""All words that name a column of ours."""

_RANK_OF_WORD = {word: rank for words in FIELDS.values() for rank, word in enumerate(words)}

NEEDED = ("ts", *"ohlcv")

MEANINGS = {"ts": "date", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
"""What each needed column is to a person."""

IDENTIFIERS = frozenset(
    (
        "isin",
        "cusip",
        "sedol",
        "figi",
        "wkn",
        "ric",
        "permno",
        "name",
        "company",
        "instrument",
        "security",
        "issuer",
    )
)
"""Headers, in small letters, of columns that say whose bar a row is without saying its symbol."""


def word_of(header: str) -> str:
    """A header in small letters, without <> and quotation marks around it."""
    return header.strip('<> "').lower()


def field_of(header: str) -> str | None:
    """Our column that a header is called after; None: it is none."""
    return _FIELD_OF_WORD.get(word_of(header))


def columns_by_field(
    headers: Sequence[str], unique: Sequence[str], name: str, declared: Declaration
) -> dict[str, str]:
    """Which column each field is: as declared, or the one with the best name.

    Raises:
        SourceError: two columns have a name for the same field, and none is better, or a declared one is missing.
    """
    declared_fields: dict[str, str] = {header: field for field, header in declared.columns}
    if missing := [header for header in declared_fields if header not in unique]:
        raise SourceError(
            f"{name}: {DECLARATIONS_FILE} names the column {missing[0]!r}, which it lacks;"
            f" found {', '.join(unique[:30])}"
        )
    columns = {declared_fields[header]: header for header in unique if header in declared_fields}
    claims: dict[str, list[tuple[int, str]]] = {}
    for written, header in zip(headers, unique, strict=True):
        if (field := field_of(written)) and field not in columns:
            claims.setdefault(field, []).append((_RANK_OF_WORD[word_of(written)], header))
    for field, ranked in claims.items():
        (rank, best), *others = sorted(ranked)
        if others and others[0][0] == rank:
            raise SourceError(
                f"{name}: the columns {best!r} and {others[0][1]!r} both claim to be {field}: name one of them"
                f" under `columns:` in {DECLARATIONS_FILE}",
                columns=f"{{{field}: {UNSTATED}}}  # {best!r} or {others[0][1]!r}",
            )
        columns[field] = best
    return columns


def vendor_of(headers: Sequence[str], stooq: bool) -> str | None:
    """Whose layout some headers are."""
    words = set(map(word_of, headers))
    if stooq:
        return "Stooq"
    if {"adj close"} <= words or {"dividends", "stock splits"} <= words:
        return "Yahoo"
    if {"tickvol", "spread"} <= words:
        return "MetaTrader"
    if {"number of shares", "turnover"} <= words:
        return "Euronext"
    if "close/last" in words:
        return "Nasdaq"
    return None
