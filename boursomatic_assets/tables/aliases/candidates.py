"""Candidates: instruments of one market that may be one share, because their symbols differ by spelling at most.

What belongs here: finding them, and the command that merges them. Whether they are one share, a person decides.
Kept elsewhere: the merge (`merge.py`), the check that warns (`checks/instruments.py`).
"""

import datetime as dt
import shlex
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection, text

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.tables.aliases.names import Name
from boursomatic_assets.tables.reading import cold

# Only candidates are looked up in price_bars, whatever the statistics say: the CTEs are computed before the join.
_ALIKE = (
    "WITH named AS MATERIALIZED (SELECT i.id, i.symbol, i.exchange, m.market,"
    "   regexp_replace(upper(btrim(i.symbol)), '[ ./_-]+', '.', 'g') AS spelling FROM instruments i"
    "   JOIN unnest(CAST(:exchanges AS text[]), CAST(:markets AS text[])) AS m(exchange, market)"
    "   USING (exchange)),"
    " counted AS MATERIALIZED ("
    "   SELECT *, count(*) OVER (PARTITION BY market, spelling) AS alike FROM named),"
    " candidates AS MATERIALIZED (SELECT * FROM counted WHERE alike > 1)"
)
_ANY_ALIKE = text(f"{_ALIKE} SELECT EXISTS (SELECT FROM candidates)")
_SAME_SPELLING = text(
    f"{_ALIKE}, moved AS MATERIALIZED (SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:firsts AS timestamp[]),"
    "   CAST(:lasts AS timestamp[])) AS m(id, first, last))"
    " SELECT c.market, c.spelling, c.symbol, c.exchange, bars.first, bars.last FROM candidates c"
    " CROSS JOIN LATERAL (SELECT min(first)::date AS first, max(last)::date AS last FROM ("
    "   SELECT min(b.ts) AS first, max(b.ts) AS last FROM price_bars b WHERE b.instrument_id = c.id"
    "   UNION ALL SELECT m.first, m.last FROM moved m WHERE m.id = c.id) AS ends) bars"
    " WHERE bars.first IS NOT NULL ORDER BY c.market, c.spelling, c.exchange, c.symbol"
)


@dataclass(frozen=True)
class Listing:
    """An instrument by its name, with the dates of its first and last bar."""

    name: Name
    first: dt.date
    last: dt.date

    def __str__(self) -> str:
        dates = dict.fromkeys((self.first.isoformat(), self.last.isoformat()))
        return f"{self.name} {' .. '.join(dates)}"


@dataclass(frozen=True)
class Candidates:
    """Instruments with bars that may be one share.

    Attributes:
        spelling: their symbol in capitals, with a point before the class of shares.
        listings: two or more of them, in order of exchange and symbol.
    """

    spelling: str
    listings: tuple[Listing, ...]

    @property
    def target(self) -> Name:
        """The name to merge the others into: the one delivered last, on a named exchange, plainly spelled.

        An exchange that is called like its market, such as US, is what a vendor says who names none.
        """

        def rank(listing: Listing) -> tuple[object, ...]:
            symbol, exchange = listing.name
            return (
                listing.last,
                exchange not in MARKETS or len(MARKETS[exchange].exchanges) == 1,
                symbol == self.spelling,
            )

        return max(self.listings, key=rank).name

    @property
    def command(self) -> str:
        """The command that merges them."""
        others = [str(listing.name) for listing in self.listings if listing.name != self.target]
        return shlex.join(["boursomatic", "instruments", "merge", *others, "--into", str(self.target)])

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.listings))}: `{self.command}`"


def find_candidates(connection: Connection) -> list[Candidates]:
    """The instruments of one market, with bars of any interval, whose symbols are spelled alike.

    Case, blanks, and the sign before a class of shares (BRK.B, BRK-B, BRK/B, BRK B) make no difference. An
    instrument that was merged has no bars.
    """
    pairs = [(exchange, market.name) for market in MARKETS.values() for exchange in market.exchanges]
    exchanges, markets = zip(*pairs, strict=True)
    of_markets = {"exchanges": list(exchanges), "markets": list(markets)}
    if not connection.scalar(_ANY_ALIKE, of_markets):
        return []
    moved = dict(zip(("ids", "firsts", "lasts"), cold.ends().to_dict(as_series=False).values(), strict=True))
    rows = connection.execute(_SAME_SPELLING, of_markets | moved)
    alike = [
        Candidates(spelling, tuple(Listing(Name(row.symbol, row.exchange), row.first, row.last) for row in group))
        for (_, spelling), group in groupby(rows, key=lambda row: (row.market, row.spelling))
    ]
    return [candidates for candidates in alike if len(candidates.listings) > 1]
