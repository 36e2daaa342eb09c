"""The ledger of files is what a source says of its files now, whatever their names, and whoever records it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.frames import query_rows

from boursomatic_assets.sources import FILES
from boursomatic_assets.tables.deliveries import files
from boursomatic_assets.tables.frames import FrameError


def report(name: str, delivered: int = 10, **said: Any) -> dict[str, Any]:
    """What is said of a file of one header and some delivered lines."""
    counts = {"lines": delivered + 1, "header": 1, "blank": 0, "comments": 0, "footer": 0, "delivered": delivered}
    return {"file": name, "recognised": "CSV", **counts, "problem": None, "passed_over": False, **said}


def record(*reports: dict[str, Any], source: str = "files", run: str | None = "first") -> None:
    files.record(pl.DataFrame(reports, schema=FILES), source, run)


def recorded(engine: Engine, columns: str = "file, delivered, run_id") -> list[Any]:
    return query_rows(engine, f'SELECT {columns} FROM {files.PRESENT_FILES} t ORDER BY source, file COLLATE "C"')


def test_a_report_is_recorded_with_its_run(migrated: Engine) -> None:
    asked = report("b.csv", 0, recognised=None, problem="state its zone", header=0, lines=7)
    record(report("a.csv"), asked, report("readme.md", 0, recognised=None, passed_over=True))
    every = (
        "source, file, recognised, lines, header, blank, comments, footer, delivered, problem, passed_over, run_id"
    )
    assert recorded(migrated, every) == [
        ("files", "a.csv", "CSV", 11, 1, 0, 0, 0, 10, None, False, "first"),
        ("files", "b.csv", None, 7, 0, 0, 0, 0, 0, "state its zone", False, "first"),
        ("files", "readme.md", None, 1, 1, 0, 0, 0, 0, None, True, "first"),
    ]


def test_an_unchanged_file_keeps_its_run_and_time_and_a_changed_one_is_read_anew(migrated: Engine) -> None:
    record(report("a.csv"), report("b.csv"), report("c.csv", problem="state its zone"))
    before = recorded(migrated, "file, id, read_at")
    record(report("a.csv"), report("b.csv", 11), report("c.csv"), run="second")
    assert recorded(migrated) == [("a.csv", 10, "first"), ("b.csv", 11, "second"), ("c.csv", 10, "second")]
    after = recorded(migrated, "file, id, read_at")
    assert after[0] == before[0]
    assert after[1][2] > before[1][2]


def test_what_was_said_of_a_file_before_stays(migrated: Engine) -> None:
    record(report("a.csv"))
    record(report("a.csv", problem="state its zone"), run="second")
    record(run="third")
    record(report("a.csv"), run="fourth")
    log = query_rows(migrated, "SELECT run_id, problem, gone FROM delivered_files ORDER BY read_at")
    assert log == [
        ("first", None, False),
        ("second", "state its zone", False),
        ("third", "state its zone", True),
        ("fourth", None, False),
    ]


def test_files_that_are_gone_are_of_their_source_alone(migrated: Engine) -> None:
    record(report("a.csv"), report("b.csv"))
    record(report("a.csv"), source="other")
    record(report("b.csv"), run=None)
    assert recorded(migrated, "source, file") == [("files", "b.csv"), ("other", "a.csv")]
    record()
    assert recorded(migrated, "source, file") == [("other", "a.csv")]


def test_texts_that_are_too_long_are_cut(migrated: Engine) -> None:
    long = "folder/" * 100 + "a.csv"
    record(report(long, recognised="r" * 201, problem="é" * 1001))
    ((name, recognised, problem),) = recorded(migrated, "file, recognised, problem")
    assert recognised == "r" * 199 + "…"
    assert problem == "é" * 999 + "…"
    assert name == "…" + long[-499:]


def test_files_whose_stored_names_are_equal_are_numbered(migrated: Engine) -> None:
    """Names that end alike, two members of a zip archive with one name, and a name that looks like a number."""
    end = "x" * 600
    record(
        report(f"a{end}", 1), report(f"b{end}", 2), report("z.csv", 3), report("z.csv (2)", 4), report("z.csv", 5)
    )
    names = recorded(migrated, "delivered, right(file, 9)")
    assert sorted(names) == [(1, "x" * 9), (2, "xxxxx (2)"), (3, "z.csv"), (4, "z.csv (2)"), (5, "z.csv (3)")]
    assert {len(name) for _, name in recorded(migrated, "delivered, file") if name[0] == "…"} == {500}


ODD_NAMES = {
    "a\udcff.csv": r"a\xff.csv",
    "a\x00.csv": r"a\x00.csv",
    "two\nlines.csv": r"two\nlines.csv",
    "\ud800.csv": r"\ud800.csv",
    "\\.": "\\.",
    'say "é", 数.csv': 'say "é", 数.csv',
    r"a\xff.csv": r"a\xff.csv (2)",
}


def test_odd_names_and_texts_are_stored_with_backslash_escapes(migrated: Engine) -> None:
    """The frame cannot hold bytes that are no UTF-8 but as objects."""
    odd = pl.DataFrame([report("", number) for number in range(len(ODD_NAMES))], schema=FILES)
    names = pl.Series(list(ODD_NAMES), dtype=pl.Object)
    files.record(odd.with_columns(file=names, problem=names), "files", "first")
    stored = query_rows(migrated, "SELECT file, problem FROM delivered_files ORDER BY delivered")
    assert [name for name, _ in stored] == list(ODD_NAMES.values())
    assert [problem for _, problem in stored] == [said.removesuffix(" (2)") for said in ODD_NAMES.values()]


def test_a_report_without_a_count_is_refused_and_changes_nothing(migrated: Engine) -> None:
    record(report("a.csv"))
    with pytest.raises(FrameError, match="column 'lines' has 1 nulls"):
        record(report("b.csv", lines=None))
    assert recorded(migrated) == [("a.csv", 10, "first")]


def test_runs_that_record_at_the_same_time_leave_what_one_of_them_says(migrated: Engine) -> None:
    """Each says something else of the same files, in another order: without the lock they would deadlock."""
    names = [f"{number}.csv" for number in range(200)]

    def record_all(run: int) -> None:
        record(*(report(name, run) for name in names[:: 1 if run % 2 else -1]), run=str(run))

    with ThreadPoolExecutor(4) as runs:
        list(runs.map(record_all, range(12)))
    ((count, kinds),) = query_rows(
        migrated, f"SELECT count(*), count(DISTINCT (delivered, run_id)) FROM {files.PRESENT_FILES} t"
    )
    assert (count, kinds) == (200, 1)
