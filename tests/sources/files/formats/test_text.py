"""Lines of a text: each is a bar, blank, a comment, header or footer, or is refused by its number."""

import time
from pathlib import Path

import pytest
from worlds.deliveries import HEADER, NEXT_ROW, ROW, deliver, everything, faults, problems, report, sound

from boursomatic_assets.sources.files.formats.text import split_records

NOTED = HEADER.replace("Volume", "Volume,Note")
CELLS, NEXT_CELLS = ROW.strip(), NEXT_ROW.strip()


def lines_of(folder: Path, content: str | bytes) -> list[int]:
    """The numbers of the lines that are delivered as bars, good or bad."""
    source = deliver(folder, {"KO.csv": content})
    counts = report(source, "KO.csv")
    kinds = ("header", "blank", "comments", "footer", "delivered")
    assert counts["lines"] == sum(counts.get(kind, 0) for kind in kinds)
    lines: list[int] = everything(source)["line"].sort().to_list()
    assert len(lines) == counts.get("delivered", 0)
    return lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "end"])
def test_a_line_ends_as_on_any_system(tmp_path: Path, end: str, last: str) -> None:
    content = (HEADER + ROW + NEXT_ROW).replace("\n", end)
    assert lines_of(tmp_path, content if last else content.removesuffix(end)) == [2, 3]


def test_ends_of_several_systems_may_be_in_one_file(tmp_path: Path) -> None:
    assert lines_of(tmp_path, f"{HEADER.strip()}\r\n{CELLS}\r{NEXT_CELLS}\n") == [2, 3]


def test_a_stray_quotation_mark_hides_no_line(tmp_path: Path) -> None:
    notes = ["plain", 'pipe of 12" width', "plain", 'tube of 6" width', "plain"]
    rows = "".join(f"2024-06-{10 + day},10,12,9,11,500,{note}\n" for day, note in enumerate(notes))
    assert lines_of(tmp_path, NOTED + rows) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("note", ['"never closed', 'closed" alone', '""', '"', '"a" b', '"a"" b'])
def test_a_quoted_cell_that_never_closes_ends_with_its_line(tmp_path: Path, note: str) -> None:
    content = f"{NOTED}{CELLS},{note}\n{NEXT_CELLS},plain\n"
    assert lines_of(tmp_path, content) == [2, 3]
    assert sound(deliver(tmp_path, {}))["c"].to_list() == [11, 12]


@pytest.mark.parametrize(
    "notes", [("plain", '"opens', "plain", 'closes"'), ('"', "plain", '"', "plain"), ('"', '"', "x", "x")]
)
def test_two_stray_quotation_marks_take_no_line_between_them(tmp_path: Path, notes: tuple[str, ...]) -> None:
    """A cell that holds a whole line of cells is none."""
    rows = "".join(f"2024-06-{10 + day},10,12,9,11,500,{note}\n" for day, note in enumerate(notes))
    assert lines_of(tmp_path, NOTED + rows) == [2, 3, 4, 5]


def test_quotation_marks_that_all_stay_open_cost_no_more_than_others() -> None:
    lines = ['2024-06-13,10,12,9,11,500,"open'] * 20_000
    started = time.process_time()
    assert len(list(split_records(lines, ",", 7))) == len(lines)
    assert time.process_time() - started < 5


def test_a_quotation_mark_before_a_date_makes_that_line_bad_alone(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": f'{HEADER}"{CELLS}\n{NEXT_ROW}'})
    assert faults(source) == {2: "time is of an unknown form"}
    assert sound(source)["c"].to_list() == [12]


def test_a_cell_of_two_lines_is_one_record_and_the_lines_after_it_keep_their_numbers(tmp_path: Path) -> None:
    content = (
        f'{NOTED}{CELLS},"two\nlines"\n{NEXT_CELLS},x\n2024-06-17,10,12,9,11,500,"three\n\nlines"\n2024-06-18,?\n'
    )
    source = deliver(tmp_path, {"KO.csv": content})
    assert everything(source).sort("line")["line"].to_list() == [2, 4, 5, 8]
    assert report(source, "KO.csv")["lines"] == 5


def test_a_header_may_have_a_cell_of_two_lines(tmp_path: Path) -> None:
    assert lines_of(tmp_path, f'Date,Open,High,Low,Close,"Volume\n(shares)"\n{ROW}{NEXT_ROW}') == [3, 4]


def test_a_quoted_cell_may_hold_separators_and_quotation_marks(tmp_path: Path) -> None:
    source = deliver(
        tmp_path, {"KO.csv": f'{NOTED}{CELLS},"a, ""b"""\n"2024-06-14","11","13","10","12","600","x"\n'}
    )
    assert sound(source)["c"].to_list() == [11, 12]


def test_records_are_split_as_python_does_where_quotation_marks_enclose_cells() -> None:
    lines = ["a,b", '"a,1",b', '"a', 'b",c', 'd"e,f', "", "g,h"]
    assert list(split_records(lines, ",", 2)) == [
        (1, ["a", "b"]),
        (2, ["a,1", "b"]),
        (3, ["a\nb", "c"]),
        (5, ['d"e', "f"]),
        (6, [""]),
        (7, ["g", "h"]),
    ]


def test_blank_lines_comments_and_footers_are_named(tmp_path: Path) -> None:
    content = (
        f"# made by hand\n\n{HEADER}\n{ROW}// a remark\n,,,,,\n   \n{NEXT_ROW}Total,,,,,1100\nSource: a vendor\n"
    )
    source = deliver(tmp_path, {"KO.csv": content})
    assert report(source, "KO.csv") == {
        "recognised": "text",
        "lines": 11,
        "header": 3,
        "blank": 3,
        "comments": 1,
        "footer": 2,
        "delivered": 2,
    }


def test_a_total_among_bars_is_refused_and_not_a_footer(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": f"{HEADER}{ROW}Total,,,,,500\n{NEXT_ROW}"})
    assert faults(source) == {3: "time is of an unknown form"}


def test_a_header_may_be_repeated(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": HEADER + ROW + HEADER + NEXT_ROW})
    assert report(source, "KO.csv") == {"recognised": "text", "lines": 4, "header": 2, "delivered": 2}


def test_another_header_among_bars_is_told_as_bars_below_it_would_be_misread(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": f"{HEADER}{ROW}Date,Close,High,Low,Open,Volume\n{NEXT_ROW}"})
    assert problems(source) == {
        "KO.csv": "KO.csv: line 3 is another header than the first one: split the file there"
    }


def test_a_bar_above_the_header_is_told(tmp_path: Path) -> None:
    told = (
        "line 1 looks like a bar and is above the header: move it below, or state `skip:` for it in columns.yaml"
    )
    assert problems(deliver(tmp_path, {"KO.csv": ROW + HEADER + NEXT_ROW})) == {"KO.csv": f"KO.csv: {told}"}
    assert sound(deliver(tmp_path, {}, declared="'*': {skip: 1}"))["c"].to_list() == [12]


def test_a_footer_is_known_by_its_first_cell_whatever_that_column_is(tmp_path: Path) -> None:
    content = f"Name,Symbol,{HEADER}Coke,KO,{ROW}# a remark\nTotal,,,,,,,500\nSource: a vendor\n"
    counts = {"lines": 5, "header": 1, "comments": 1, "footer": 2, "delivered": 1}
    assert report(deliver(tmp_path, {"bars.csv": content}), "bars.csv") == {"recognised": "text"} | counts


def test_a_bar_of_a_share_that_is_called_like_a_total_is_no_footer(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"bars.csv": f"Symbol,{HEADER}KO,{ROW}SUM,2024-06-31,10,12,9,11,500\n"})
    assert faults(source) == {3: "time is of an unknown form"}


@pytest.mark.parametrize("note", ["x", '"x"', 'a 12" pipe'])
def test_a_line_with_too_many_cells_is_refused_alone(tmp_path: Path, note: str) -> None:
    source = deliver(tmp_path, {"KO.csv": f"{NOTED}{CELLS},{note}\n{NEXT_CELLS},x,7\n"})
    assert faults(source) == {3: "line has more cells than headers"}
    assert sound(source)["c"].to_list() == [11]


@pytest.mark.parametrize("note", ["x", 'a 12" pipe'])
def test_a_line_that_is_cut_is_refused_alone(tmp_path: Path, note: str) -> None:
    """The volume may have been 5000: nobody can know."""
    source = deliver(tmp_path, {"KO.csv": f"{NOTED}{CELLS},{note}\n{NEXT_CELLS},x\n2024-06-17,10,12,9,11,500\n"})
    assert faults(source) == {4: "line has fewer cells than headers"}


def test_cells_that_most_lines_leave_away_at_their_end_are_not_needed(tmp_path: Path) -> None:
    source = deliver(
        tmp_path, {"KO.csv": f"{NOTED}{ROW}{NEXT_CELLS},x\n2024-06-17,10,12,9,11,500\n2024-06-18,10\n"}
    )
    assert faults(source) == {5: "line has fewer cells than headers"}


def test_each_line_may_end_with_a_separator(tmp_path: Path) -> None:
    content = HEADER + ROW.replace("\n", ",\n") + NEXT_ROW.replace("\n", ",\n")
    source = deliver(tmp_path, {"KO.csv": content})
    assert sound(source)["v"].to_list() == [500, 600]
    (tmp_path / "KO.csv").write_text(content + "2024-06-17,10,12,9,11,500,7\n")
    assert faults(source) == {4: "line has more cells than headers"}


def test_a_header_alone_delivers_nothing(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": HEADER + "\n"})
    assert everything(source).is_empty()
    assert report(source, "KO.csv") == {"recognised": "text", "lines": 2, "header": 1, "blank": 1}


@pytest.mark.parametrize("content", [b"\x89PNG\0\0\0\n", b"Date,Open\n2024\0,1\n"])
def test_what_holds_zero_bytes_is_no_text(tmp_path: Path, content: bytes) -> None:
    told = problems(deliver(tmp_path, {"KO.csv": content}))["KO.csv"]
    assert told.startswith("KO.csv: neither text, Parquet, Arrow nor a workbook")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_told(tmp_path: Path, content: bytes) -> None:
    assert problems(deliver(tmp_path, {"KO.csv": content})) == {
        "KO.csv": "KO.csv: cannot be read as csv: it is empty"
    }
