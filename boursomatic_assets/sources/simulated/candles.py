"""Candles: daily and 15m bars around the closes of simulated sessions.

What belongs here: all that follows from a session's closes and its random numbers alone, in whole cents and
shares. Only sums, products and roundings, whose last bit is the same in arrays of any length.
Kept elsewhere: closes (`paths.py`), random numbers (`draws.py`), frames (`source.py`).
"""

from typing import NamedTuple

import numpy as np

from boursomatic_assets.arrays import Floats

Uniforms = tuple[Floats, Floats, Floats, Floats]


class Candles(NamedTuple):
    """Arrays of one shape: prices in whole cents, volume in whole shares."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def daily_candles(
    before: Floats, close: Floats, sigma: Floats, usual: Floats, shares: Floats, drawn: Uniforms
) -> Candles:
    """Daily bars: a gap at the open, wicks above and below, and more volume the further a price went.

    Args:
        before: closes of the sessions before, for shares as they were in the first session.
        close: closes, for the same shares.
        sigma: standard deviation of an instrument's own moves.
        usual: its usual volume.
        shares: what one share of the first session has become; bars are per share of the day.
        drawn: uniform numbers: gap, wick above, wick below, volume.
    """
    gap, above, below, busy = drawn
    move = close - before
    opening = before + 0.4 * move + before * sigma * 0.6 * (2 * gap - 1)
    high = np.maximum(opening, close) * (1 + 1.2 * sigma * above * above)
    low = np.minimum(opening, close) * (1 - 1.2 * sigma * below * below)
    volume = usual * (0.6 + 0.4 * np.abs(move) / (before * sigma)) * (0.6 + 0.8 * busy)
    opening, high, low, close = (np.maximum(np.rint(price / shares), 1) for price in (opening, high, low, close))
    return Candles(opening, high, low, close, np.rint(volume * shares))


def candles_15m(day: Candles, drawn: Uniforms) -> Candles:
    """The 15m bars that add up to each day's, along a new last axis as long as drawn's.

    They open where the day opens, each where the one before it closed, and close where the day closes; one
    reaches the day's high, one its low, and their volumes add up to the day's.

    Args:
        day: daily bars.
        drawn: uniform numbers: step, wick above, wick below, volume.
    """
    step, above, below, busy = drawn
    opening, high, low, close, volume = (values[..., None] for values in day)
    count = step.shape[-1]
    share, room = np.arange(1, count + 1) / count, (high - low) / np.sqrt(count)
    walked = np.cumsum(step - 0.5, axis=-1)
    bridge = walked - share * walked[..., -1:]
    closes = np.rint(np.clip(opening + (close - opening) * share + 1.7 * room * bridge, low, high))
    opens = np.concatenate([opening, closes[..., :-1]], axis=-1)
    highs = np.minimum(np.rint(np.maximum(opens, closes) + room * above * above), high)
    lows = np.maximum(np.rint(np.minimum(opens, closes) - room * below * below), low)
    np.put_along_axis(highs, highs.argmax(axis=-1, keepdims=True), high, axis=-1)
    np.put_along_axis(lows, lows.argmin(axis=-1, keepdims=True), low, axis=-1)
    traded = np.cumsum(0.5 + busy, axis=-1)
    total = np.rint(volume * (traded / traded[..., -1:]))
    return Candles(opens, highs, lows, closes, np.diff(total, axis=-1, prepend=0))
