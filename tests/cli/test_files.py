"""`boursomatic files inspect`: what each file is, what is asked and refused, and what is to be stated."""

import json
from pathlib import Path

import pytest
from worlds.commands import boursomatic, error_line
from worlds.deliveries import HEADER, NEXT_ROW, ROW, deliver

from boursomatic_assets.sources.files.source import Files

QUARTERS = ("09:30", "09:45")
ASKED = HEADER.replace("Date", "Datetime") + "".join(f"2024-06-13 {at}:00,10,12,9,11,500\n" for at in QUARTERS)


@pytest.fixture
def folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a sound file, one with a bad row, one that asks, and one that is none of bars."""
    files = {
        "KO.csv": HEADER + ROW + NEXT_ROW,
        "paris/MC.PA.csv": HEADER + ROW + "2024-06-14,ten,13,10,12,600\n",
        "intraday/IBM.csv": ASKED,
        "readme.txt": "not bars",
    }
    deliver(tmp_path / "bars", files)
    monkeypatch.setenv("BOURSOMATIC_FILES", str(tmp_path / "bars"))
    return tmp_path / "bars"


def test_each_file_is_shown_with_its_notation_and_what_is_asked_or_refused(folder: Path) -> None:
    shown = boursomatic("files", "inspect")
    header, ko, paris, *others = shown.stdout.splitlines()
    assert header.split()[:3] == ["file", "recognised", "as"]
    assert ko.startswith("KO.csv ") and ko.split()[-4:] == ["KO", "2024-06-13", "2024-06-14", "2"]
    assert "comma, decimal ., year first" in ko
    assert "MC.PA" in paris
    assert others[0] == "paris/MC.PA.csv: 1 row, in line 3: price is of an unknown form"
    assert others[1].startswith("intraday/IBM.csv: times such as 2024-06-13 09:30:00 have no offset from UTC")
    assert others[2] == "no bars: readme.txt (passed over)"
    assert others[-2:] == ['"intraday/IBM.csv":', '  zone: "?"  # such as America/New_York']


def test_a_market_has_its_own_files_and_those_that_may_be_its_own(folder: Path) -> None:
    found = json.loads(boursomatic("files", "inspect", "--market", "EURONEXT", "--json").stdout)
    assert [one["file"] for one in found] == ["intraday/IBM.csv", "paris/MC.PA.csv"]


def test_what_is_to_be_stated_is_written_and_asked_for_until_it_is(folder: Path) -> None:
    (folder / "columns.yaml").write_text('"KO.csv": {dates: dmy}')
    before = (folder / "columns.yaml").read_text()
    boursomatic("files", "inspect", "--write")
    written = (folder / "columns.yaml").read_text()
    assert written == f'{before}\n"intraday/IBM.csv":\n  zone: "?"  # such as America/New_York\n'
    assert "zone of 'intraday/IBM.csv' is '?'" in boursomatic("files", "inspect").stdout
    (folder / "columns.yaml").write_text(written.replace("?", "America/New_York"))
    assert Files(folder).files()["problem"].is_null().all()


def test_files_that_ask_for_the_same_share_a_pattern(home: Path, tmp_path: Path) -> None:
    deliver(tmp_path, {f"{symbol}.csv": ASKED for symbol in ("KO", "IBM", "MSFT")})
    assert '"*.csv":\n  zone: "?"' in boursomatic("files", "inspect", str(tmp_path)).stdout


def test_a_folder_that_is_not_set_is_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOURSOMATIC_FILES", raising=False)
    line = error_line(boursomatic("files", "inspect"))
    assert line == "error: BOURSOMATIC_FILES is not set: set it to the folder with the files of bars, or name one"


def test_a_folder_that_is_none_is_named(home: Path, tmp_path: Path) -> None:
    line = error_line(boursomatic("files", "inspect", str(tmp_path / "gone")))
    assert line == f"error: {tmp_path / 'gone'} is no folder: name the folder with the files of bars"
