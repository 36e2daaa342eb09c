"""Random numbers of the simulated market, each found by its name.

What belongs here: numbers in order (streams: a path remembers the sessions before) and numbers by place (draws:
a candle does not). Neither depends on what else is asked for, nor on how long the calendar is.
Kept elsewhere: what they move (`paths.py`, `candles.py`).
"""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from boursomatic_assets.arrays import Floats, Ints

Keys = npt.NDArray[np.uint64]


def random_stream(name: str) -> np.random.Generator:
    """The numbers of this name, from the first one on."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()))


def keys_of_names(names: Iterable[str]) -> Keys:
    """One key per name."""
    digests = (hashlib.sha256(name.encode()).digest()[:8] for name in names)
    return np.array([int.from_bytes(digest) for digest in digests], np.uint64)


def draw_uniforms(key: Keys, position: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """Four uniform numbers in [0, 1) for each key and place, which broadcast: an output of SplitMix64, quartered.

    Ints are whole numbers, and numbers of neighbours have nothing in common (Steele, Lea and Flood 2014). Each
    has 16 bits, which is plenty for a price in cents.
    """
    bits = key + position.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> 30)) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> 27)) * np.uint64(0x94D049BB133111EB)
    bits ^= bits >> 31
    first, second, third, fourth = ((bits >> shift & 0xFFFF) * 2.0**-16 for shift in (0, 16, 32, 48))
    return first, second, third, fourth
