"""Noise: how often each profile says BUY or SELL on histories that hold nothing, and on some that hold a little.

What belongs here: the histories that are counted, the shares with their intervals, the lines.
Kept elsewhere: how histories are made (`helpers/noise_histories.py`), and what the platform publishes on them
(`helpers/noise_published.py`).

Each history is simulated and walked through by the platform's own code, with its own defaults, from bars to
labels. BOURSOMATIC_BENCH_HISTORIES says how many there are of each kind without a signal; of that with one there
are a third as many. Each is written to standard error as soon as it is done, after five seconds of a core or more.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from helpers.harness import Line
from helpers.noise_histories import INSTRUMENTS, KINDS
from helpers.noise_published import MONTHS, Spoken, spoken
from scipy.stats import binomtest

from boursomatic_assets.advice.profiles import RISK_PROFILES, RiskProfile

HISTORIES = 67
"""Of each kind without a signal: 201 together."""

FIRST_SEED = 1000

SILENT = ("walks", "shuffled sessions", "shifted labels")
"""The kinds without a signal."""

AIMS = {"conservative": 0.01, "moderate": 0.10, "aggressive": 0.27}
"""Most histories of 3 years without a signal in which a profile may speak; of the moderate 6 % are expected."""


def lines() -> Iterator[Line]:
    """How often each profile spoke, by kind."""
    histories = walked(int(os.environ.get("BOURSOMATIC_BENCH_HISTORIES", HISTORIES)))
    yield from _silence("all three kinds together", [one for one in histories if one.kind in SILENT])
    for kind in KINDS:
        of_kind = [one for one in histories if one.kind == kind]
        yield from _silence(kind, of_kind) if kind in SILENT else _power(kind, of_kind)


def walked(count: int) -> list[Spoken]:
    """So many histories of each silent kind and a third as many others, in a process for each core."""
    os.environ["POLARS_MAX_THREADS"] = "1"  # for the processes that are started now
    tasks = [
        (kind, FIRST_SEED + number)
        for number in range(count)
        for kind in KINDS
        if kind in SILENT or number < count / 3
    ]
    found = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        try:
            for done in as_completed([pool.submit(spoken, *task) for task in tasks]):
                found.append(done.result())
                print(json.dumps(dataclasses.asdict(found[-1])), file=sys.stderr, flush=True)
        finally:
            pool.shutdown(cancel_futures=True)  # after an error the others would go on for an hour
    return sorted(found, key=lambda one: one.seed)


def _silence(kind: str, histories: list[Spoken]) -> Iterator[Line]:
    for profile in RISK_PROFILES:
        spoke, low, figure = _share(profile.name, histories)
        aim = AIMS[profile.name]
        met = "met" if spoke <= aim else "above, but the interval holds it" if low <= aim else "not met"
        proven = sum(one.evidence[profile.name] >= profile.evidence for one in histories)
        note = f"{met}; the evidence reached {profile.evidence:g} to 1 in {proven / len(histories):.1%}"
        yield Line(_work(kind, profile), _sizes(histories), figure, f"at most {aim:.0%}", note)


def _power(kind: str, histories: list[Spoken]) -> Iterator[Line]:
    mean = sum(one.rank_ic for one in histories) / len(histories)
    for profile in RISK_PROFILES:
        *_, figure = _share(profile.name, histories)
        note = f"mean rank IC of the models' records: {mean:.3f}"
        yield Line(_work(kind, profile), _sizes(histories), figure, "told", note)


def _work(kind: str, profile: RiskProfile) -> str:
    return f"{kind}: {profile.name} ever says BUY or SELL"


def _share(profile: str, histories: list[Spoken]) -> tuple[float, float, str]:
    """The share of histories in which a profile spoke, the low end of its 95 % Wilson interval, and the text."""
    spoke = sum(profile in one.said for one in histories)
    share, interval = spoke / len(histories), binomtest(spoke, len(histories)).proportion_ci(method="wilson")
    return share, interval.low, f"{share:.1%} [{interval.low:.1%}, {interval.high:.1%}]"


def _sizes(histories: list[Spoken]) -> str:
    return f"{len(histories)} histories of {MONTHS} months, {2 * INSTRUMENTS} instruments"
