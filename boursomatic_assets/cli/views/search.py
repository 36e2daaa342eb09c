"""What the command line shows of a search: the recommendations that were found, each with its justification.

What belongs here: their rows, and the sentences about what was found. Kept elsewhere: options (`cli/results.py`),
the search itself (`tables/search/`).
"""

from typing import Any

import polars as pl
from sqlalchemy import Table, Text, cast, select

from boursomatic_assets.schema import Instrument, Recommendation
from boursomatic_assets.tables.reading import fetch
from boursomatic_assets.tables.search.advice import Found

_RECOMMENDATIONS: Table = Recommendation.__table__
_INSTRUMENTS: Table = Instrument.__table__


def rows_of(found: Found) -> pl.DataFrame:
    """The recommendations of a search, the newest session first.

    Returns:
        symbol, exchange, profile, label, as_of, justification, id.
    """
    r, i = _RECOMMENDATIONS.c, _INSTRUMENTS.c
    return fetch(
        select(i.symbol, i.exchange, r.profile, r.label, r.as_of, r.justification, cast(r.id, Text).label("id"))
        .join_from(_RECOMMENDATIONS, _INSTRUMENTS, r.instrument_id == i.id)
        .where(r.id.in_(found.ids), r.superseded_at.is_(None))
        .order_by(r.as_of.desc(), i.exchange, i.symbol, r.profile)
    )


def notes_of(found: Found, shown: pl.DataFrame) -> list[str]:
    """How many were found, and how words that nothing has were taken, a sentence each."""
    notes = [
        f"nothing has the word {word!r}: it is taken for {', '.join(names)}"
        for word, names in found.read_as.items()
    ]
    notes += [f"no justification and no instrument has the word {word!r}" for word in found.unknown]
    if found.is_more:
        return [*notes, f"the newest {shown.height:,}, and there are more: --limit shows them"]
    return [*notes, f"found: {shown.height:,}" if shown.height else "no recommendation has all of these words"]


def as_text(shown: pl.DataFrame) -> str:
    """Each recommendation with its justification, in two lines."""
    return "\n".join(map(_as_lines, shown.iter_rows(named=True)))


def _as_lines(row: dict[str, Any]) -> str:
    told = f"{row['as_of']:%Y-%m-%d}  {row['symbol']}@{row['exchange']}  {row['profile']}  {row['label']}"
    return f"{told}\n  {row['justification']}" if row["justification"] else told
