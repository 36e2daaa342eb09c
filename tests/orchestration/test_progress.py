"""How far a step is, in words for people."""

import pytest
from worlds.frames import slice_of

from boursomatic_assets.orchestration.progress import Progress, describe, duration


@pytest.mark.parametrize(
    ("done", "rows", "seconds", "line"),
    [
        (412, 1_234_567, 38.0, "bars: 412 of 2,583 sessions, 1.2 M rows, 38 s, about 3 min left"),
        (2_583, 26_950, 240.0, "bars: 2,583 of 2,583 sessions, 26,950 rows, 4 min"),
        (2_000, 10, 0.25, "bars: 2,000 of 2,583 sessions, 10 rows, 0.2 s, about 0.1 s left"),
        (0, 0, 1.0, "bars: 0 of 2,583 sessions, 0 rows, 1 s"),
    ],
)
def test_a_line_says_how_far_a_step_is(done: int, rows: int, seconds: float, line: str) -> None:
    assert describe("bars", done, 2_583, rows, seconds) == line


@pytest.mark.parametrize(
    ("seconds", "words"), [(89, "89 s"), (91, "2 min"), (5_300, "88 min"), (5_401, "1.5 h"), (40_000, "11.1 h")]
)
def test_a_time_is_read_at_a_glance(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_pieces_add_up_without_the_days_on_which_the_market_is_closed() -> None:
    lines = list[str]()
    parts = [slice_of("US", "2025-01-08", "2025-01-09"), slice_of("US", "2025-01-13")]
    progress = Progress("bars", parts, lines.append)
    for part in parts:
        progress.add(part, 1_000)
    assert [line.partition(" rows")[0] for line in lines] == [
        "bars: 1 of 2 sessions, 1,000",
        "bars: 2 of 2 sessions, 2,000",
    ]
