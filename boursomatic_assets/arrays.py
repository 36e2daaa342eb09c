"""Kinds of arrays, and the units of time in them.

What belongs here: types and numbers that every room counts with.
Kept elsewhere: when a market trades (`calendars/`).
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]
"""Places in another array."""

Masks = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

MICROSECONDS_PER_DAY = 86_400_000_000
SESSIONS_PER_YEAR = 252

KEY = ("instrument_id", "ts")
"""The columns that identify a row of bars, features, predictions or labels."""
