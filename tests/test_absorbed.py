"""Absorbed errors are logged and counted, and fail a test that does not expect them."""

import logging
import re
from pathlib import Path

import pytest

import boursomatic_assets
from boursomatic_assets import absorbed

pytest_plugins = ["pytester"]

NO_COLUMN = re.compile(r"_horizontal\(\s*pl\.lit\(|filter\(\s*pl\.lit\(")
"""Predicates that read no column if there is nothing to compare."""


def test_an_absorbed_error_is_a_line_in_the_log(absorbed_errors: list[str]) -> None:
    absorbed.record(ValueError("no bars\nof that day"), "asked again")
    assert absorbed_errors == ["asked again, after ValueError: no bars"]


def test_its_traceback_is_in_the_log_at_level_debug(
    absorbed_errors: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, absorbed.__name__):
        absorbed.record(ValueError("no bars"), "asked again")
    assert caplog.records[-1].exc_info
    assert str(caplog.records[-1].exc_info[1]) == "no bars"


def test_an_error_without_a_message_is_recorded_by_its_type(absorbed_errors: list[str]) -> None:
    absorbed.record(MemoryError(), "done in halves")
    assert absorbed_errors == ["done in halves, after MemoryError: no message"]


def test_errors_are_collected_in_every_open_block(absorbed_errors: list[str]) -> None:
    with absorbed.collected() as outer:
        with absorbed.collected() as inner:
            absorbed.record(ValueError("first"), "asked again")
        absorbed.record(ValueError("second"), "asked again")
    absorbed.record(ValueError("third"), "asked again")
    assert (len(outer), len(inner)) == (2, 1)
    assert absorbed.summary(outer) == "2 errors, the first: asked again, after ValueError: first"
    assert absorbed.summary(inner) == "1 error, the first: asked again, after ValueError: first"


def test_no_frame_is_filtered_by_a_predicate_that_reads_no_column() -> None:
    """Polars 2.1 refuses some on large frames (`slices.outside`)."""
    files = Path(boursomatic_assets.__file__).parent.rglob("*.py")
    assert [file.name for file in files if NO_COLUMN.search(file.read_text())] == []


ABSORBING = """
from boursomatic_assets import absorbed


def test_that_does_not_expect_it():
    absorbed.record(ValueError("no bars"), "asked again")


def test_that_expects_it(absorbed_errors):
    absorbed.record(ValueError("no bars"), "asked again")
"""


@pytest.mark.usefixtures("absorbed_errors")
def test_a_test_that_does_not_expect_absorbed_errors_fails(pytester: pytest.Pytester) -> None:
    (pytester.path / "of_the_suite.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    pytester.makeconftest("from of_the_suite import absorbed_error_log, absorbed_errors")
    pytester.makepyfile(ABSORBING)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*errors were absorbed*", "*asked again, after ValueError: no bars*"])
