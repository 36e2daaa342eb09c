"""Asset checks of instruments.

What belongs here: what counts as a violation in `instruments`.
"""

from sqlalchemy import Connection

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.checks._counting import count_duplicates, count_violations
from boursomatic_assets.checks.invariant import Finding, invariant


@invariant("instruments")
def one_row_per_symbol_and_exchange(connection: Connection) -> Finding:
    """No symbol is listed twice on an exchange, and a unique index enforces it."""
    return count_duplicates(connection, "uq_instruments_symbol_exchange", "instruments", "symbol, exchange")


@invariant("instruments")
def exchanges_are_known(connection: Connection) -> Finding:
    """Every instrument's exchange belongs to one of the two markets."""
    known_exchanges = [exchange for market in MARKETS.values() for exchange in market.exchanges]
    return count_violations(connection, "instruments WHERE exchange <> ALL(:known)", {"known": known_exchanges})
