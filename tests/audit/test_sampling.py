"""The choice of a random sample: as large as asked for, spread over sessions, and the same for the same seed."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boursomatic_assets.audit.sampling import MOST_SESSIONS, draw_sessions
from boursomatic_assets.audit.stored import PublishedSession
from boursomatic_assets.calendars.markets import MARKETS

START = dt.datetime(2024, 1, 1, 21)


def sessions(counts: list[int]) -> dict[PublishedSession, int]:
    return {PublishedSession(MARKETS["US"], START + dt.timedelta(n)): rows for n, rows in enumerate(counts)}


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 500), st.integers(0, 9))
def test_a_sample_has_its_size_or_all_rows(counts: list[int], size: int, seed: int) -> None:
    drawn = draw_sessions(sessions(counts), size, np.random.default_rng(seed))
    assert sum(drawn.values()) == min(size, sum(counts))
    assert all(0 < rows <= sessions(counts)[session] for session, rows in drawn.items())


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (100, 100), (MOST_SESSIONS, MOST_SESSIONS), (10_000, 295)])
def test_a_sample_is_spread_over_many_sessions(size: int, expected: int) -> None:
    drawn = draw_sessions(sessions([1_500] * 2_000), size, np.random.default_rng(0))
    assert len(drawn) == expected


def test_the_same_seed_draws_the_same_sessions() -> None:
    one, again, other = (
        draw_sessions(sessions([36] * 500), 50, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert one == again != other
