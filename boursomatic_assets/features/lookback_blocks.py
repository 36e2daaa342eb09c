"""How far back a row looks, and Wilder's recursion over exactly that.

What belongs here: blocks of sessions, their anchors, and the sums that start there.
Kept elsewhere: windows of a plain number of bars (`panel.py`).

The row of session ordinal k sees its own instrument's bars with ordinal in [anchor(k), k], where
anchor(k) = (k // BLOCK) * BLOCK - WARM_UP, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np

from boursomatic_assets.arrays import Floats, Ints

BLOCK = 64
"""Sessions that share one anchor."""

WARM_UP = 250
"""Sessions between an anchor and its block: (13/14)**250 leaves 1e-8 of a Wilder mean's seed."""

LOOKBACK = WARM_UP + BLOCK - 1
"""Sessions before the first wanted one whose bars a row must be given."""

SEED = 14
"""Values in Wilder's mean, and in the plain mean that it starts from."""

Numbers = TypeVar("Numbers", Floats, Ints)

_BITS = BLOCK.bit_length() - 1  # a power of two: shifts are faster than divisions

_HEAD = -WARM_UP % BLOCK
"""Sessions of a block that come before the one where a later block has its anchor."""

_BLOCKS = -(-WARM_UP // BLOCK)
"""Blocks that a block sees before itself, the oldest of them without its head."""

_LEFT = np.multiply.accumulate(np.append(1.0, np.full(LOOKBACK + 1, 1 - 1 / SEED)))
"""What Wilder's recursion leaves of a value so many bars later."""

_SEEDS = np.arange(1, SEED)[:, None]
"""The values that weigh more in the plain mean than they would in the recursion, counted from the oldest bar."""


@dataclass(frozen=True)
class Runs:
    """Bars in order of instrument and session, cut where blocks begin and where anchors are.

    Each block of an instrument is a lane of two runs, a head and a tail, either of which may be empty. Four
    empty lanes stand before each instrument, so whatever a lane sees lies in the eight runs before its tail.
    """

    first: Ints
    """The first row of each instrument."""
    ordinal: Ints
    """The session ordinal of each row."""

    @cached_property
    def seen(self) -> Ints:
        """How many bars before its own each row sees."""
        seen: Ints = self._row - self._by_row(self._oldest[self._filled // 2])
        return seen

    def blind(self, bars: int) -> Ints:
        """The rows that see fewer bars before their own."""
        young = self._young if bars <= BLOCK else self._row
        return young[self.seen[young] < bars]

    def wilder_mean(self, values: Floats) -> Floats:
        """Wilder's 14-bar mean of what each row sees; NaN on the first 14 bars."""
        return self._by_bar(self._sums(values)) * self._shrunk

    def wilder_share(self, values: Floats, others: Floats) -> Floats:
        """Wilder's mean of values by that of others, 0 where that is 0; NaN on the first 14 bars."""
        whole = self._sums(others)
        share = self._sums(values)
        share /= whole
        share[whole == 0.0] = 0.0
        return self._by_bar(share)

    def _sums(self, values: Floats) -> Floats:
        """Wilder's sums, of sessions by lanes, divided by what is left of each run's first value.

        The oldest bar's value does not count, since a change leans on the bar before it. The recursion
        s -> 13/14 s + value is a plain sum of values divided by what is left of them: so a run is summed once,
        for all that see it, and what they see before it is put in front.
        """
        sums = np.zeros((BLOCK, self._oldest.size))
        cells = sums.reshape(-1)
        cells[self._cell] = values * self._grown
        cells[self._cell[self._start[self._filled]]] = 0.0
        head, tail = sums[:_HEAD], sums[_HEAD:]
        for run in (head, tail):
            for older, newer in pairwise(run):
                newer += older
        for run, front in zip((head, tail), self._fronts(values, head[-1], tail[-1]), strict=True):
            run += front
        return sums

    def _by_bar(self, of_cells: Floats) -> Floats:
        values = of_cells.reshape(-1).take(self._cell)
        values[self.blind(SEED)] = np.nan
        return values

    def _fronts(self, values: Floats, *sums: Floats) -> tuple[Floats, Floats]:
        """What stands before the sums of the heads and of the tails, which are without their first values.

        The first value after a run leans on the run's last bar: so it is seen by those who see the run, and the
        run passes it on together with its own sum.
        """
        length, ends = self._length, np.stack(sums, axis=1).reshape(-1)
        after = values.take(self._start + length, mode="clip")
        passed = np.where(length > 0, ends * _LEFT[length] + after, 0.0)
        seed = values.take(self._oldest + _SEEDS, mode="clip") * (1 / _LEFT[SEED] - 1 / _LEFT[_SEEDS])
        head = _in_turn(passed.take(self._behind) * self._left) + _in_turn(seed) * _LEFT[self._before]
        return head, head * _LEFT[length[::2]] + passed[::2]

    @cached_property
    def _behind(self) -> Ints:
        """The runs that each lane sees before its own, oldest first."""
        heads = 2 * np.arange(self._length.size // 2)
        behind: Ints = np.maximum(heads + np.arange(1 - 2 * _BLOCKS, 0)[:, None], 0)
        return behind

    @cached_property
    def _before(self) -> Ints:
        """How many bars each lane sees before its own."""
        return _in_turn(self._length.take(self._behind))

    @cached_property
    def _left(self) -> Floats:
        """What is left of what those runs pass on."""
        newer = self._before - np.add.accumulate(self._length.take(self._behind))
        return _LEFT.take(newer)

    @cached_property
    def _oldest(self) -> Ints:
        """The row of the oldest bar that each lane sees."""
        return self._start[::2] - self._before

    @cached_property
    def _row(self) -> Ints:
        return np.arange(self.ordinal.size)

    @cached_property
    def _young(self) -> Ints:
        """The rows that see less than a block before their own bar: few, in a long history."""
        return np.flatnonzero(self.seen < BLOCK)

    @cached_property
    def _block(self) -> Ints:
        return self.ordinal >> _BITS

    @cached_property
    def _offset(self) -> Ints:
        return self.ordinal & BLOCK - 1

    @cached_property
    def _cuts(self) -> tuple[Ints, Ints]:
        """The first row of each run that has bars, and the run's number; those of lane i are 2 i and 2 i + 1."""
        key = (self._block << 1) + (self._offset >= _HEAD)
        begins = np.append(True, key[1:] != key[:-1])[: key.size]
        begins[self.first] = True
        row = np.flatnonzero(begins)
        end = np.append(self.first[1:], key.size)[: self.first.size]
        oldest, newest = self._block[self.first], self._block[end - 1]
        lanes = np.cumsum(newest - oldest + 1 + _BLOCKS)
        shift = np.repeat(lanes - 1 - newest, np.diff(np.searchsorted(row, np.append(self.first, key.size))))
        return row, key[row] + 2 * shift

    @property
    def _filled(self) -> Ints:
        return self._cuts[1]

    @cached_property
    def _length(self) -> Ints:
        """Bars of each run."""
        row, run = self._cuts
        length = np.zeros(2 * (run.max(initial=-1) // 2 + 1), np.int64)
        length[run] = np.diff(np.append(row, self.ordinal.size))
        return length

    @cached_property
    def _start(self) -> Ints:
        """The first row of each run; of an empty one, the next one's."""
        return np.cumsum(self._length) - self._length

    @cached_property
    def _cell(self) -> Ints:
        """Where each row lies in an array of sessions by lanes."""
        return self._offset * (self._length.size // 2) + self._by_row(self._filled // 2)

    @cached_property
    def _place(self) -> Ints:
        """The place of each row in its run."""
        return self._row - self._by_row(self._start[self._filled])

    @cached_property
    def _grown(self) -> Floats:
        return (1 / _LEFT).take(self._place)

    @cached_property
    def _shrunk(self) -> Floats:
        return (_LEFT / SEED).take(self._place)

    def _by_row(self, of_filled: Ints) -> Ints:
        return np.repeat(of_filled, self._length[self._filled])


def _in_turn(parts: Numbers) -> Numbers:
    """The sum of an array's rows, first to last."""
    total: Numbers = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total
