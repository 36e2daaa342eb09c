"""Asset checks of instruments.

What belongs here: what counts as a violation in `instruments`.
Kept elsewhere: which instruments may be one share (`tables/aliases/candidates.py`).
"""

from sqlalchemy import Connection

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.checks.findings.counting import count_duplicates, count_violations
from boursomatic_assets.checks.invariant import Finding, invariant
from boursomatic_assets.tables.aliases.candidates import find_candidates


@invariant("instruments")
def one_row_per_symbol_and_exchange(connection: Connection) -> Finding:
    """No symbol is listed twice on an exchange, and a unique index enforces it."""
    return count_duplicates(connection, "uq_instruments_symbol_exchange", "instruments", "symbol, exchange")


@invariant("instruments")
def exchanges_are_known(connection: Connection) -> Finding:
    """Every instrument's exchange belongs to one of the two markets."""
    known_exchanges = [exchange for market in MARKETS.values() for exchange in market.exchanges]
    return count_violations(connection, "instruments WHERE exchange <> ALL(:known)", {"known": known_exchanges})


@invariant("instruments", blocking=False)
def no_symbol_has_two_instruments(connection: Connection) -> Finding:
    """No symbol has bars under two exchanges of one market, or in two spellings: that may be one share.

    The command that merges such instruments is named. A share that moved to another exchange, or that vendors list
    under different ones, is one series afterwards.
    """
    candidates = find_candidates(connection)
    return Finding(warnings=len(candidates), figures={"candidates": list(map(str, candidates))})
