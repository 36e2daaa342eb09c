"""Look-back blocks: how far back a row looks, and Wilder's recursion over exactly that look-back.

What belongs here: blocks of sessions, where their look-back starts, and the recursive sums from there on.
Kept elsewhere: windows of a plain number of bars (`panel.py`, `rolling_windows.py`).

The row of session ordinal k uses the bars of its own instrument with ordinal in [start(k), k], where
start(k) = (k // BLOCK) * BLOCK - WARM_UP, and nothing else. All sessions of a block share that start, so a
recursion runs once per block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np

from boursomatic_assets.arrays import Floats, Ints

BLOCK = 64
"""Sessions that share the start of their look-back."""

WARM_UP = 250
"""Sessions from the start of a look-back to its block: (13/14)**250 leaves 1e-8 of a Wilder mean's seed."""

LOOKBACK = WARM_UP + BLOCK - 1
"""Sessions whose bars must be loaded before the first session to compute."""

WILDER_BARS = 14
"""Values in Wilder's mean, and in the plain mean that it starts from."""

Numbers = TypeVar("Numbers", Floats, Ints)

_BLOCK_BITS = BLOCK.bit_length() - 1  # a power of two: shifts are faster than divisions

_HEAD_LENGTH = -WARM_UP % BLOCK
"""Sessions at the start of a block that lie before the start of the look-back of a later block."""

_EARLIER_BLOCKS = -(-WARM_UP // BLOCK)
"""Earlier blocks in a block's look-back; the oldest counts without its head."""

_DECAY = np.multiply.accumulate(np.append(1.0, np.full(LOOKBACK + 1, 1 - 1 / WILDER_BARS)))
"""Weight that is left of a value in Wilder's recursion, by bars since."""

_SEED_POSITIONS = np.arange(1, WILDER_BARS)[:, None]
"""The values that weigh more in the plain mean than they would in the recursion, counted from the oldest bar."""


@dataclass(frozen=True)
class LookbackBlocks:
    """The look-back of each bar, and Wilder's means over it, for bars in order of instrument and session.

    Terms: a *lane* is one block of one instrument. A lane has two *runs* of bars: its *head*, the first
    sessions of the block, which lie before the start of some later block's look-back, and its *tail*, the
    rest. A run may be empty. A look-back starts at the tail of the lane four blocks earlier and ends in the
    row's own lane; _EARLIER_BLOCKS empty lanes before each instrument keep it from reaching into another
    instrument. A *cell* is a place in an array of sessions of a block by lanes.

    Each run is summed once, and the sums of the runs that a look-back holds are combined with decayed weights:
    so a row is the same, to the last bit, wherever the loaded bars start.
    """

    first_rows: Ints
    """The first row of each instrument."""
    session_ordinals: Ints
    """The session ordinal of each row."""

    @cached_property
    def history_length(self) -> Ints:
        """How many earlier bars the look-back of each row holds."""
        length: Ints = self._rows - self._repeat_per_row(self._oldest_row[self._run_numbers // 2])
        return length

    def rows_in_warm_up(self, bars: int) -> Ints:
        """The rows that are still in a warm-up of so many bars: their look-back holds fewer earlier bars."""
        candidates = self._rows_with_short_history if bars <= BLOCK else self._rows
        return candidates[self.history_length[candidates] < bars]

    def wilder_mean(self, values: Floats) -> Floats:
        """Wilder's 14-bar mean over each row's look-back; NaN on the first 14 bars."""
        return self._cells_to_rows(self._wilder_sums(values)) * self._mean_weight

    def wilder_ratio(self, values: Floats, others: Floats) -> Floats:
        """Wilder's mean of values by that of others, 0 where that is 0; NaN on the first 14 bars."""
        whole = self._wilder_sums(others)
        share = self._wilder_sums(values)
        share /= whole
        share[whole == 0.0] = 0.0
        return self._cells_to_rows(share)

    def _wilder_sums(self, values: Floats) -> Floats:
        """Wilder's sums, an array of sessions by lanes, divided by the decay since each run's first value.

        The oldest bar's value does not count, since a change needs the bar before it. The recursion
        s -> 13/14 s + value is a plain sum of values divided by their decay: so a run is summed once, for all
        look-backs that hold it, and the sum of the runs before it is added.
        """
        sums = np.zeros((BLOCK, self._oldest_row.size))
        cells = sums.reshape(-1)
        cells[self._cell_indices] = values * self._inverse_decay
        cells[self._cell_indices[self._run_starts[self._run_numbers]]] = 0.0
        head, tail = sums[:_HEAD_LENGTH], sums[_HEAD_LENGTH:]
        for run in (head, tail):
            for older, newer in pairwise(run):
                newer += older
        for run, front in zip((head, tail), self._carried_sums(values, head[-1], tail[-1]), strict=True):
            run += front
        return sums

    def _cells_to_rows(self, of_cells: Floats) -> Floats:
        values = of_cells.reshape(-1).take(self._cell_indices)
        values[self.rows_in_warm_up(WILDER_BARS)] = np.nan
        return values

    def _carried_sums(self, values: Floats, *sums: Floats) -> tuple[Floats, Floats]:
        """The sums of the earlier runs, to add to the heads and to the tails, which lack their first values.

        The first value after a run needs the run's last bar: so it counts in each look-back that holds the run,
        and is carried on together with the run's own sum.
        """
        length, ends = self._run_lengths, np.stack(sums, axis=1).reshape(-1)
        after = values.take(self._run_starts + length, mode="clip")
        passed = np.where(length > 0, ends * _DECAY[length] + after, 0.0)
        seed = values.take(self._oldest_row + _SEED_POSITIONS, mode="clip") * (
            1 / _DECAY[WILDER_BARS] - 1 / _DECAY[_SEED_POSITIONS]
        )
        head = (
            _sum_in_order(passed.take(self._earlier_runs) * self._carried_weights)
            + _sum_in_order(seed) * _DECAY[self._bars_before_lane]
        )
        return head, head * _DECAY[length[::2]] + passed[::2]

    @cached_property
    def _earlier_runs(self) -> Ints:
        """The earlier runs in each lane's look-back, oldest first."""
        heads = 2 * np.arange(self._run_lengths.size // 2)
        behind: Ints = np.maximum(heads + np.arange(1 - 2 * _EARLIER_BLOCKS, 0)[:, None], 0)
        return behind

    @cached_property
    def _bars_before_lane(self) -> Ints:
        """How many bars each lane's look-back holds before the lane."""
        return _sum_in_order(self._run_lengths.take(self._earlier_runs))

    @cached_property
    def _carried_weights(self) -> Floats:
        """The decayed weights of the sums that the earlier runs carry on."""
        newer = self._bars_before_lane - np.add.accumulate(self._run_lengths.take(self._earlier_runs))
        return _DECAY.take(newer)

    @cached_property
    def _oldest_row(self) -> Ints:
        """The row of the oldest bar in each lane's look-back."""
        return self._run_starts[::2] - self._bars_before_lane

    @cached_property
    def _rows(self) -> Ints:
        return np.arange(self.session_ordinals.size)

    @cached_property
    def _rows_with_short_history(self) -> Ints:
        """The rows whose look-back holds less than BLOCK earlier bars: few, in a long history."""
        return np.flatnonzero(self.history_length < BLOCK)

    @cached_property
    def _block(self) -> Ints:
        return self.session_ordinals >> _BLOCK_BITS

    @cached_property
    def _offset_in_block(self) -> Ints:
        return self.session_ordinals & BLOCK - 1

    @cached_property
    def _filled_runs(self) -> tuple[Ints, Ints]:
        """The first row of each run that has bars, and the run's number; those of lane i are 2 i and 2 i + 1."""
        key = (self._block << 1) + (self._offset_in_block >= _HEAD_LENGTH)
        begins = np.append(True, key[1:] != key[:-1])[: key.size]
        begins[self.first_rows] = True
        row = np.flatnonzero(begins)
        end = np.append(self.first_rows[1:], key.size)[: self.first_rows.size]
        oldest, newest = self._block[self.first_rows], self._block[end - 1]
        lanes = np.cumsum(newest - oldest + 1 + _EARLIER_BLOCKS)
        shift = np.repeat(lanes - 1 - newest, np.diff(np.searchsorted(row, np.append(self.first_rows, key.size))))
        return row, key[row] + 2 * shift

    @property
    def _run_numbers(self) -> Ints:
        return self._filled_runs[1]

    @cached_property
    def _run_lengths(self) -> Ints:
        """Bars of each run."""
        row, run = self._filled_runs
        length = np.zeros(2 * (run.max(initial=-1) // 2 + 1), np.int64)
        length[run] = np.diff(np.append(row, self.session_ordinals.size))
        return length

    @cached_property
    def _run_starts(self) -> Ints:
        """The first row of each run; of an empty one, the next one's."""
        return np.cumsum(self._run_lengths) - self._run_lengths

    @cached_property
    def _cell_indices(self) -> Ints:
        """The cell of each row in an array of sessions by lanes."""
        return self._offset_in_block * (self._run_lengths.size // 2) + self._repeat_per_row(self._run_numbers // 2)

    @cached_property
    def _position_in_run(self) -> Ints:
        """The position of each row in its run."""
        return self._rows - self._repeat_per_row(self._run_starts[self._run_numbers])

    @cached_property
    def _inverse_decay(self) -> Floats:
        return (1 / _DECAY).take(self._position_in_run)

    @cached_property
    def _mean_weight(self) -> Floats:
        return (_DECAY / WILDER_BARS).take(self._position_in_run)

    def _repeat_per_row(self, of_filled: Ints) -> Ints:
        return np.repeat(of_filled, self._run_lengths[self._run_numbers])


def _sum_in_order(parts: Numbers) -> Numbers:
    """The sum of an array's rows, first to last."""
    total: Numbers = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total
