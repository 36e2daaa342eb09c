"""Closing prices of the simulated market, session by session, and who trades in which session.

What belongs here: all that depends on the sessions before, so that it starts at the first one whatever is asked
for: random walks, splits, halts, first and last sessions.
Kept elsewhere: the rest of a bar (`candles.py`), random numbers (`draws.py`).

A close is a random walk (market, sector and own moves with fat tails, clustered volatility and rare jumps) with
a planted signal: a share of each of an instrument's own moves fades again, half of it in three weeks. So what
fell behind its peers over the last weeks tends to outrun them over the next ones: a low rsi_14 or ret_20d is
good news, as in real markets (short-term reversal, Lehmann 1990, Jegadeesh 1990), only far stronger. Without the
signal nothing in the past tells how instruments will rank: every move is symmetric, and independent of all before.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from boursomatic_assets.arrays import SESSIONS_PER_YEAR, Floats, Masks
from boursomatic_assets.sources.simulated.draws import random_stream

Cents = npt.NDArray[np.int32]


FADING_SHARE = 0.4
"""Share of an instrument's own move that fades again, where the signal has its usual strength of 1. At 2.5 nothing
would be left of a move: `settings/` allows 2."""

FADING_PERSISTENCE = 0.95
"""Share of what fades that is left one session later: half after 13.5 sessions. So the returns of the next 10, 20
and 40 sessions are about equally predictable."""

JUMP_PROBABILITY = 2 / SESSIONS_PER_YEAR
"""Chance of a jump in a session, as after a company's news: up to JUMP_SIZE up or down, in log price."""
JUMP_SIZE = 0.15

SPLIT_ABOVE = 200_00
"""Cents: a share that closes at it or above is two shares from the next session on."""

LATE_SHARE = 1 / 4
"""Share of instruments whose bars begin late, at any time in LATE_SESSIONS sessions."""
LATE_SESSIONS = 25 * SESSIONS_PER_YEAR

MEAN_LIFE = 200 * SESSIONS_PER_YEAR
"""Mean sessions until an instrument is delisted: five of a thousand in a year."""

HALT_PROBABILITY = 1 / (20 * SESSIONS_PER_YEAR)
"""Chance that an instrument is halted before a session, for 1 to MAX_HALT sessions without a bar."""
MAX_HALT = 5

NAMES_PER_BATCH = 128
"""Instruments computed at once: few enough for memory, many enough for numpy."""


@dataclass(frozen=True)
class Walk:
    """Random columns over so many sessions, one per name.

    Without `events` nothing jumps, and everyone trades in every session. `signal` is the strength of the planted
    signal, from 0 to 2: 0 makes random walks; all moves are the same at any strength, and only what is
    left of them later differs.
    """

    seed: int
    market: str
    sessions: int
    events: bool
    signal: float

    def volatility(self, names: list[str]) -> Floats:
        """Standard deviation of each name's own moves in a session, in log price."""
        restless: Floats = 0.009 + 0.007 * self._traits("traits", names)[2]
        return restless

    def closes(self, names: list[str], sectors: list[str]) -> Cents:
        """Closing prices in cents, sessions x names, for shares as they were in the first session."""
        groups, sector = np.unique(sectors, return_inverse=True)
        market, shared = self._moves([self.market]), self._moves(groups.tolist())
        closes = np.empty((self.sessions, len(names)), np.int32)
        for first in range(0, len(names), NAMES_PER_BATCH):
            part = slice(first, first + NAMES_PER_BATCH)
            (level, beta, _), own = self._traits("traits", names[part]), self._own_moves(names[part])
            moves = own + 0.005 * shared[:, sector[part]] + 0.008 * (0.7 + 0.6 * beta) * market
            value = np.log(20) + 1.8 * level + np.cumsum(moves + 0.0002, axis=0)
            if self.signal:
                faded = np.cumsum(own, axis=0) - _autoregress(own, FADING_PERSISTENCE)
                value -= self.signal * FADING_SHARE * faded
            closes[:, part] = np.clip(np.rint(100 * np.exp(value)), 1, 2e9)
        return closes

    def trading(self, names: list[str]) -> Masks:
        """In which sessions each name has a bar, sessions x names."""
        if not self.events:
            return np.ones((self.sessions, len(names)), bool)
        late, begin, life = self._traits("life", names)
        first = np.where(late < LATE_SHARE, begin * LATE_SESSIONS, 0)
        last = first - np.log1p(-life) * MEAN_LIFE
        session = np.arange(self.sessions)[:, None]
        trading: Masks = (session >= first) & (session <= last)
        for column, name in enumerate(names):
            chance = self._stream("halt", name).random(self.sessions)
            for row in np.flatnonzero(chance < HALT_PROBABILITY):
                trading[row : row + 1 + int(chance[row] / HALT_PROBABILITY * MAX_HALT), column] = False
        return trading

    def _own_moves(self, names: list[str]) -> Floats:
        own: Floats = self.volatility(names) * self._moves(names)
        if not self.events:
            return own
        news = np.column_stack([self._stream("news", name).random(self.sessions) for name in names])
        return own + np.where(news < JUMP_PROBABILITY, JUMP_SIZE * (2 * news / JUMP_PROBABILITY - 1), 0)

    def _moves(self, names: list[str]) -> Floats:
        """Columns of about unit variance with fat tails (Student's t, 5 degrees) and clustered volatility."""
        shocks = np.column_stack([self._stream("moves", name).standard_t(5, self.sessions) for name in names])
        turbulence = 0.5 * _autoregress(self._normals("turbulence", names) * np.sqrt(1 - 0.97**2), 0.97)
        moves: Floats = shocks * np.sqrt(3 / 5) * np.exp(turbulence - 0.5**2)
        return moves

    def _normals(self, part: str, names: list[str]) -> Floats:
        return np.column_stack([self._stream(part, name).standard_normal(self.sessions) for name in names])

    def _traits(self, part: str, names: list[str]) -> Floats:
        """Three uniform numbers per name, as three rows."""
        return np.column_stack([self._stream(part, name).random(3) for name in names])

    def _stream(self, part: str, name: str) -> np.random.Generator:
        return random_stream(f"{self.seed} {self.market} {part} {name}")


def shares_after_splits(closes: Cents) -> Cents:
    """What one share of the first session has become by each session, sessions x names."""
    highest = np.maximum.accumulate(closes, axis=0)
    before = np.concatenate([highest[:1], highest[:-1]])
    _, doublings = np.frexp(before / SPLIT_ABOVE)
    return 1 << np.maximum(doublings, 0)


def _autoregress(shocks: Floats, kept: float) -> Floats:
    """First-order autoregression: each row keeps a share of the row before it."""
    path: Floats = shocks.copy()
    for row in range(1, len(path)):
        path[row] += kept * path[row - 1]
    return path
