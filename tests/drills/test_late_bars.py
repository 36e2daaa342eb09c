"""Late, corrected and withdrawn bars: only what they touch changes, what is stale is named, advice stays.

A file delivers a session again and again: with a changed bar, with an added one, without one, and as it was. After
each delivery the rows that it did not touch are the very rows of before, with their times; `status` names features
as stale where bars changed, and not where none did; and what was published stays as it is.

The long drill does so in all 24 orders on a history with advice, its short twin in one on bars alone. Through
backfills of a platform and back: `tests/tables/test_staleness.py`, `tests/cli/test_why_changed.py`.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from worlds.forks import ForkingPlace

SESSION = "2023-12-20"
COMPUTE = ("materialize", "price_bars", SESSION, "US")
FEATURES = ("materialize", "features", SESSION, "US")

ROWS = (
    "SELECT i.symbol, b.id::text, b.created_at, b.updated_at, c FROM price_bars b JOIN instruments i"
    f" ON i.id = b.instrument_id WHERE b.interval = 'daily' AND ts = '{SESSION}' AND exchange <> 'EURONEXT'"
)
EXPORT = (
    "SELECT symbol, exchange, ts::date::text AS date, o AS open, h AS high, l AS low, c AS close, v AS volume"
    f" FROM price_bars b JOIN instruments i ON i.id = b.instrument_id WHERE b.interval = 'daily'"
    f" AND ts = '{SESSION}' AND exchange <> 'EURONEXT' ORDER BY 1"
)
HEADER = ("symbol", "exchange", "date", "open", "high", "low", "close", "volume")
PUBLISHED = "SELECT to_jsonb(r)::text FROM recommendations r ORDER BY r.id"
STALE = f"features US {SESSION}"


@dataclass
class Deliveries:
    """What a vendor's file holds, by symbol.

    Attributes:
        folder: Where the file is.
        first: The bars as they were first.
        bars: Those of the next delivery.
    """

    folder: Path
    first: dict[str, tuple[Any, ...]]
    bars: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.symbols = sorted(self.first)
        late = self.symbols[0]  # it comes with "add"
        self.bars = {symbol: bar for symbol, bar in self.first.items() if symbol != late}

    def change(self) -> set[str]:
        """Correct a close."""
        symbol = self.symbols[1]
        *rest, high, low, _, volume = self.bars[symbol]
        self.bars[symbol] = (*rest, high, low, (high + 2 * low) / 3, volume)
        return {symbol}

    def add(self) -> set[str]:
        """Deliver the bar that was late."""
        self.bars[self.symbols[0]] = self.first[self.symbols[0]]
        return {self.symbols[0]}

    def remove(self) -> set[str]:
        """Withdraw a bar."""
        del self.bars[self.symbols[2]]
        return {self.symbols[2]}

    def send_again(self) -> set[str]:
        """Deliver the same once more."""
        return set()

    def write(self) -> None:
        """Put the file where the source finds it."""
        frame = pl.DataFrame([list(bar) for bar in self.bars.values()], schema=list(HEADER), orient="row")
        self.folder.mkdir(exist_ok=True)
        frame.write_csv(self.folder / "bars.csv")


EVENTS: dict[str, Callable[[Deliveries], set[str]]] = {
    "change": Deliveries.change,
    "add": Deliveries.add,
    "remove": Deliveries.remove,
    "re-send": Deliveries.send_again,
}


def test_a_session_that_comes_again_and_again(small: ForkingPlace) -> None:
    small.done(*COMPUTE)
    in_order(small, "again", ("re-send", "change", "add", "remove"))


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize("order", list(itertools.permutations(EVENTS)), ids=" ".join)
def test_in_every_order_below_advice(history: ForkingPlace, order: tuple[str, ...]) -> None:
    in_order(history, " ".join(order), order)


def in_order(place: ForkingPlace, name: str, order: tuple[str, ...]) -> None:
    """Deliver a session again and again, with one event after the other."""
    first = {str(row[0]): row for row in place.rows(EXPORT)}
    deliveries = Deliveries(place.home.parent / f"late {name}", first)
    place.settings |= {"BOURSOMATIC_SOURCE": "files", "BOURSOMATIC_FILES": str(deliveries.folder)}
    with_features = bool(place.rows("SELECT 1 FROM features LIMIT 1"))
    deliveries.write()
    place.done(*COMPUTE)
    before, published = rows(place), place.rows(PUBLISHED)
    for event in order:
        if with_features:
            place.done(*FEATURES)
            assert STALE not in place.done("status")
        touched = EVENTS[event](deliveries)
        deliveries.write()
        place.done(*COMPUTE)
        after = rows(place)
        assert after.keys() == deliveries.bars.keys(), event
        assert {symbol for symbol in before.keys() | after if before.get(symbol) != after.get(symbol)} == touched
        assert place.rows(PUBLISHED) == published
        if with_features:
            assert (STALE in place.done("status")) == bool(touched), event
        before = after


def rows(place: ForkingPlace) -> dict[str, tuple[object, ...]]:
    """The stored rows of the session, by symbol, with their ids and times."""
    return {str(symbol): tuple(row) for symbol, *row in place.rows(ROWS)}
