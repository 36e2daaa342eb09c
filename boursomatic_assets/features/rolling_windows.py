"""Windows of an array: each full run of so many neighbours, joined halves first.

What belongs here: sums, extremes and moments of windows, in an order that the window's length alone fixes.
Kept elsewhere: which row sees a window at all (`panel.py`).

Values are in order of time. A result has one value per full window, so `bars - 1` fewer than the array.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from boursomatic_assets.arrays import Floats

Parts = tuple[Floats, ...]
Join = Callable[[Parts, Parts, int, int], Parts]
"""What is known of n newer and m older values together, from what is known of either."""


def folded(values: Floats, bars: int, join: np.ufunc) -> Floats:
    """Each full window of so many values joined, halves first: an order that `bars` alone fixes."""
    if bars == 1:
        return values
    half = bars // 2
    part = folded(values, half, join)
    whole: Floats = join(part[half:], part[:-half])
    return whole if bars == 2 * half else join(values[2 * half :], whole[:-1])


def moments(values: Floats, bars: int) -> tuple[Floats, Floats]:
    """Mean of each full window, and the sum of squared distances from it, joined as `folded` does.

    Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", equations 2.1.
    """
    if bars == 1:
        return values, np.zeros_like(values)
    half = bars // 2
    mean, squares = moments(values, half)
    mean, apart = _joined(mean[half:], mean[:-half], half, half)
    if half > 1:  # a single value has no distance from its mean
        apart += squares[half:]
        apart += squares[:-half]
    if bars == 2 * half:
        return mean, apart
    mean, more = _joined(values[2 * half :], mean[:-1], 1, 2 * half)
    more += apart[:-1]
    return mean, more


def _joined(newer: Floats, older: Floats, n: int, m: int) -> tuple[Floats, Floats]:
    """The mean of n newer and m older values, from theirs, and what the squared distances grow by."""
    gap = older - newer
    mean = gap * (m / (n + m))
    mean += newer
    gap *= gap
    gap *= n * m / (n + m)
    return mean, gap


def products(values: Floats, others: Floats, bars: int) -> tuple[Floats, Floats, Floats]:
    """Squared distances of each full window from its mean, those of the others, and products of both, summed."""
    nothing = np.zeros_like(values)
    _, _, squares, of_others, both = _together((values, others, nothing, nothing, nothing), bars, _products)
    return squares, of_others, both


def cubes(values: Floats, bars: int) -> tuple[Floats, Floats, Floats]:
    """Mean of each full window, and the sums of squared and of cubed distances from it."""
    nothing = np.zeros_like(values)
    mean, squares, third = _together((values, nothing, nothing), bars, _cubes)
    return mean, squares, third


def _together(parts: Parts, bars: int, join: Join) -> Parts:
    """What `folded` is for one array, for several that must be joined together."""
    if bars == 1:
        return parts
    half = bars // 2
    whole = _together(parts, half, join)
    whole = join(_newer(whole, half), _older(whole, half), half, half)
    return whole if bars == 2 * half else join(_newer(parts, 2 * half), _older(whole, 1), 1, 2 * half)


def _newer(parts: Parts, bars: int) -> Parts:
    return tuple(part[bars:] for part in parts)


def _older(parts: Parts, bars: int) -> Parts:
    return tuple(part[:-bars] for part in parts)


def _products(newer: Parts, older: Parts, n: int, m: int) -> Parts:
    """Pébay 2008, SAND2008-6212, the pairwise update of a co-moment."""
    gap, gap_of_others = older[0] - newer[0], older[1] - newer[1]
    weight = n * m / (n + m)
    return (
        newer[0] + gap * (m / (n + m)),
        newer[1] + gap_of_others * (m / (n + m)),
        newer[2] + older[2] + gap * gap * weight,
        newer[3] + older[3] + gap_of_others * gap_of_others * weight,
        newer[4] + older[4] + gap * gap_of_others * weight,
    )


def _cubes(newer: Parts, older: Parts, n: int, m: int) -> Parts:
    """Pébay 2008, SAND2008-6212, the pairwise update of the second and the third moment."""
    gap, both = older[0] - newer[0], n + m
    apart = gap * gap * (n * m / both)
    lean = gap * apart * ((n - m) / both) + 3 * gap * (n * older[1] - m * newer[1]) / both
    return newer[0] + gap * (m / both), newer[1] + older[1] + apart, newer[2] + older[2] + lean
