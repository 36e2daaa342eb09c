"""Rolling windows of an array: statistics of each full window, merged from those of its halves.

What belongs here: sums, extremes and moments of windows, in an order that the window's length alone fixes.
Kept elsewhere: which rows have enough history for a window (`panel.py`).

Values are in order of time. A result has one value per full window, so `bars - 1` fewer than the array.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from boursomatic_assets.arrays import Floats

Statistics = tuple[Floats, ...]
Merge = Callable[[Statistics, Statistics, int, int], Statistics]
"""The statistics of n newer and m older values together, from those of each: (newer, older, n, m)."""


def reduce_windows(values: Floats, bars: int, join: np.ufunc) -> Floats:
    """Each full window of so many values reduced by `join`, halves first: an order that `bars` alone fixes."""
    if bars == 1:
        return values
    half = bars // 2
    part = reduce_windows(values, half, join)
    whole: Floats = join(part[half:], part[:-half])
    return whole if bars == 2 * half else join(values[2 * half :], whole[:-1])


def moments(values: Floats, bars: int) -> tuple[Floats, Floats]:
    """Mean of each full window, and the sum of squared distances from it, merged as `reduce_windows` does.

    Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", equations 2.1.
    """
    if bars == 1:
        return values, np.zeros_like(values)
    half = bars // 2
    mean, squares = moments(values, half)
    mean, apart = _merge_means(mean[half:], mean[:-half], half, half)
    if half > 1:  # a single value has no distance from its mean
        apart += squares[half:]
        apart += squares[:-half]
    if bars == 2 * half:
        return mean, apart
    mean, more = _merge_means(values[2 * half :], mean[:-1], 1, 2 * half)
    more += apart[:-1]
    return mean, more


def _merge_means(newer: Floats, older: Floats, n: int, m: int) -> tuple[Floats, Floats]:
    """The mean of n newer and m older values, from theirs, and the increase of the squared distances."""
    gap = older - newer
    mean = gap * (m / (n + m))
    mean += newer
    gap *= gap
    gap *= n * m / (n + m)
    return mean, gap


def co_moments(values: Floats, others: Floats, bars: int) -> tuple[Floats, Floats, Floats]:
    """Squared distances of each full window from its mean, those of the others, and products of both, summed."""
    nothing = np.zeros_like(values)
    _, _, squares, of_others, both = _reduce_jointly(
        (values, others, nothing, nothing, nothing), bars, _merge_co_moments
    )
    return squares, of_others, both


def third_moments(values: Floats, bars: int) -> tuple[Floats, Floats, Floats]:
    """Mean of each full window, and the sums of squared and of cubed distances from it."""
    nothing = np.zeros_like(values)
    mean, squares, third = _reduce_jointly((values, nothing, nothing), bars, _merge_third_moments)
    return mean, squares, third


def _reduce_jointly(parts: Statistics, bars: int, join: Merge) -> Statistics:
    """As `reduce_windows`, for several statistics that are merged together."""
    if bars == 1:
        return parts
    half = bars // 2
    whole = _reduce_jointly(parts, half, join)
    whole = join(_drop_oldest(whole, half), _drop_newest(whole, half), half, half)
    return whole if bars == 2 * half else join(_drop_oldest(parts, 2 * half), _drop_newest(whole, 1), 1, 2 * half)


def _drop_oldest(parts: Statistics, bars: int) -> Statistics:
    return tuple(part[bars:] for part in parts)


def _drop_newest(parts: Statistics, bars: int) -> Statistics:
    return tuple(part[:-bars] for part in parts)


def _merge_co_moments(newer: Statistics, older: Statistics, n: int, m: int) -> Statistics:
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


def _merge_third_moments(newer: Statistics, older: Statistics, n: int, m: int) -> Statistics:
    """Pébay 2008, SAND2008-6212, the pairwise update of the second and the third moment."""
    gap, both = older[0] - newer[0], n + m
    apart = gap * gap * (n * m / both)
    lean = gap * apart * ((n - m) / both) + 3 * gap * (n * older[1] - m * newer[1]) / both
    return newer[0] + gap * (m / both), newer[1] + older[1] + apart, newer[2] + older[2] + lean
