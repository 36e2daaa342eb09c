"""The folder: which files are read, which are passed over, and what folders say of the files below them."""

import gzip
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from worlds.deliveries import HEADER, ROW, deliver, everything, problems, report, sound
from worlds.workbooks import workbook

from boursomatic_assets.sources import FILES
from boursomatic_assets.sources.files.folder import list_files, may_name_symbol
from boursomatic_assets.sources.files.source import Files

BARS = HEADER + ROW

NO_BARS = [
    *("README", "readme.txt", "Read Me.txt", "LICENSE", "desktop.ini", "Thumbs.db", ".DS_Store", "notes.md"),
    *("checksums.txt", "MD5SUMS", "KO.csv.md5", "KO.csv.sha256", "KO.csv.asc", "_SUCCESS", "_metadata", "x.log"),
    *("~$KO.xlsx", ".hidden/KO.csv", "__MACOSX/._KO.csv", "$RECYCLE.BIN/KO.csv", "lost+found/KO.csv"),
    *("below/columns.yaml", "columns.yml"),
]


def names(folder: Path) -> list[str]:
    return [file.name for file in list_files(folder).files]


def zipped(**members: bytes | str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), member)
    return content.getvalue()


def test_what_is_no_file_of_bars_is_passed_over_by_name(tmp_path: Path) -> None:
    source = deliver(tmp_path, dict.fromkeys((*NO_BARS, "KO.csv"), BARS))
    told = source.files()
    assert told.schema == pl.Schema(FILES)
    assert set(told.filter("passed_over")["file"]) == set(NO_BARS)
    assert told.filter(~pl.col("passed_over"))["file"].to_list() == ["KO.csv"]


@pytest.mark.parametrize("name", ["KO.csv.bak", "notice.txt", "KO.asc", "package.json"])
def test_what_could_be_bars_is_not_passed_over(tmp_path: Path, name: str) -> None:
    deliver(tmp_path, {name: BARS})
    assert names(tmp_path) == [name]


def test_the_declarations_are_no_file_of_the_delivery(tmp_path: Path) -> None:
    source = deliver(tmp_path, {"KO.csv": BARS}, declared="")
    (tmp_path / "columns.yaml").write_text("{}")
    assert source.files()["file"].to_list() == ["KO.csv"]


@pytest.mark.parametrize(
    "name",
    ["prices", "daily", "part-0", "part-a", "june", "final", "close", "data-b", "my prices", "2024", "KO_2024"],
)
def test_an_ordinary_word_names_no_symbol(tmp_path: Path, name: str) -> None:
    told = problems(deliver(tmp_path, {f"{name}.csv": BARS}))[f"{name}.csv"]
    assert told == (
        f"{name}.csv: no column names the symbol, and {name!r} is none: name the file after it, or state `symbol:`"
        " for it in columns.yaml"
    )


@pytest.mark.parametrize("name", ["KO", "brk-b", "MC.PA", "aapl.us", "ALL", "ON", "A"])
def test_a_symbol_names_a_file(name: str) -> None:
    assert may_name_symbol(name)


def test_folders_beside_each_other_that_are_named_after_symbols_say_whose_bars_they_hold(tmp_path: Path) -> None:
    files = ("KO/prices.csv", "IBM/prices.csv", "IBM/2023.csv", "MC.PA/prices.csv")
    found = sound(deliver(tmp_path, dict.fromkeys(files, BARS)))
    assert found["symbol"].to_list() == ["IBM", "IBM", "KO", "MC.PA"]


@pytest.mark.parametrize(
    "files", [["KO/prices.csv"], ["2023/prices.csv", "2024/prices.csv"], ["A/prices.csv", "B/prices.csv"]]
)
def test_other_folders_say_nothing(tmp_path: Path, files: list[str]) -> None:
    """One folder alone may be anything; years are no symbols; single letters may be where names begin."""
    assert list(problems(deliver(tmp_path, dict.fromkeys(files, BARS)))) == files


def test_a_folder_and_a_file_that_may_both_be_symbols_are_asked_about(tmp_path: Path) -> None:
    source = deliver(tmp_path, dict.fromkeys(["SPDRS/KO.csv", "ISHRS/KO.csv"], BARS))
    told = "no column names the symbol, and it may be SPDRS or KO: state `symbol:` for it in columns.yaml"
    assert problems(source)["SPDRS/KO.csv"] == f"SPDRS/KO.csv: {told}"


def test_a_file_below_a_folder_of_its_own_name_is_clear(tmp_path: Path) -> None:
    found = sound(deliver(tmp_path, dict.fromkeys(["US/KO/KO.csv", "US/IBM/IBM.csv", "eu/KO.csv"], BARS)))
    assert found["symbol"].to_list() == ["IBM", "KO", "KO"]


@pytest.mark.parametrize(
    ("folder", "symbol", "exchange"),
    [
        ("symbol=KO", "KO", "US"),
        ("ticker=KO", "KO", "US"),
        ("symbol=BRK%2FB", "BRK.B", "US"),
        ("exchange=XPAR/symbol=MC", "MC.PA", "EURONEXT"),
        ("market=x/Symbol=MC.PA/year=2024", "MC.PA", "EURONEXT"),
    ],
)
def test_folders_of_a_dataset_say_what_they_hold(tmp_path: Path, folder: str, symbol: str, exchange: str) -> None:
    found = sound(deliver(tmp_path, {f"{folder}/part-0.csv": BARS}))
    assert found.select("symbol", "exchange").rows() == [(symbol, exchange)]


def test_folders_of_a_dataset_say_dates_too(tmp_path: Path) -> None:
    header, row = (line.split(",", 1)[1] for line in (HEADER, ROW))
    source = deliver(tmp_path, {"symbol=KO/date=2024-06-13/a.csv": f"{header}\n{row}Total,,,,\n"})
    assert sound(source)["ts"].dt.date().cast(pl.String).to_list() == ["2024-06-13"]
    counts = report(source, "symbol=KO/date=2024-06-13/a.csv")
    assert counts == {"recognised": "text", "lines": 4, "header": 1, "blank": 1, "footer": 1, "delivered": 1}


def test_members_of_an_archive_are_files(tmp_path: Path) -> None:
    members = {
        "KO_csv": BARS,
        "below__IBM_csv": BARS,
        "README_txt": "",
        "MC_PA_csv_gz": gzip.compress(BARS.encode()),
    }
    source = deliver(tmp_path, {"all.dat": zipped(**members), "X.gz": gzip.compress(BARS.encode())})
    assert everything(source)["file"].to_list() == [
        *("X.gz", "all.dat/KO.csv", "all.dat/below/IBM.csv"),
        "all.dat/MC.PA.csv.gz",
    ]
    assert source.files().filter("passed_over")["file"].to_list() == ["all.dat/README.txt"]


def test_a_workbook_is_one_file_although_it_is_an_archive(tmp_path: Path) -> None:
    book = workbook([HEADER.strip().split(","), ["2024-06-13", 10, 12, 9, 11, 500]])
    source = deliver(tmp_path, {"KO.xlsx": book, "all.zip": zipped(IBM_xlsx=book)})
    assert sound(source)["symbol"].to_list() == ["IBM", "KO"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(BARS.encode() * 1000)[:-20], "cannot be unpacked: it is damaged, cut short"),
        (zipped(KO_csv=BARS * 1000)[:-30], "cannot be unpacked: it is damaged, cut short"),
        (zipped(x_zip=zipped(KO_csv=BARS)), "a workbook, or an archive, that cannot be read"),
    ],
)
def test_a_damaged_archive_is_told_and_the_others_go_on(tmp_path: Path, content: bytes, why: str) -> None:
    source = deliver(tmp_path, {"x.dat": content, "KO.csv": BARS})
    assert sound(source)["symbol"].to_list() == ["KO"]
    (told,) = problems(source).values()
    assert why in told


def test_links_are_followed_once(tmp_path: Path) -> None:
    deliver(tmp_path, {"a/KO.csv": BARS})
    (tmp_path / "elsewhere").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "IBM.csv").symlink_to(tmp_path / "a" / "KO.csv")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing")
    source = Files(tmp_path)
    assert sound(source)["symbol"].to_list() == ["IBM", "KO"]
    assert problems(source) == {
        "a/up": "a/up: is a link to ., which is read already",
        "elsewhere": "elsewhere: is a link to a, which is read already",
        "gone.csv": "gone.csv: is a link to nothing",
    }


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder of bars, of which a link leads to a folder and to files beside it."""
    folder = tmp_path / "bars"
    deliver(folder, {"KO.csv": BARS})
    deliver(tmp_path / "private", {"IBM.csv": BARS})
    (tmp_path / "secret").write_text("root:s3cret\n")
    (folder / "below").symlink_to(tmp_path / "private")
    (folder / "MC.PA.csv").symlink_to(tmp_path / "secret")
    (folder / "up.csv").symlink_to("../secret")
    (folder / "instruments.csv").symlink_to(tmp_path / "secret")
    return folder


def test_a_link_that_leaves_the_folder_is_named_and_not_followed(beside: Path) -> None:
    source, links = Files(beside), ["MC.PA.csv", "below", "instruments.csv", "up.csv"]
    told = problems(source)
    assert sorted(told) == links
    assert set(told.values()) == {
        f"{link}: is a link that leaves the folder: set BOURSOMATIC_FOREIGN_LINKS=1 if it is to be followed"
        for link in links
    }
    assert sound(source)["symbol"].to_list() == ["KO"]
    everywhere = str([source.files().rows(), everything(source).rows()])
    assert "s3cret" not in everywhere


def test_a_link_that_leaves_the_folder_is_followed_if_a_setting_says_so(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_FOREIGN_LINKS", "1")
    assert sound(Files(beside))["symbol"].to_list() == ["IBM", "KO"]


def test_declarations_are_not_read_beyond_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret: [")
    deliver(tmp_path / "bars", {"KO.csv": BARS})
    (tmp_path / "bars/columns.yaml").symlink_to(tmp_path / "secret")
    (told,) = problems(Files(tmp_path / "bars")).values()
    assert "columns.yaml is a link that leaves the folder" in told
    assert "s3cret" not in told


def test_a_folder_that_is_a_link_itself_is_read(tmp_path: Path) -> None:
    deliver(tmp_path / "bars", {"a/KO.csv": BARS})
    (tmp_path / "link").symlink_to(tmp_path / "bars")
    assert problems(Files(tmp_path / "link")) == {}
    assert sound(Files(tmp_path / "link"))["symbol"].to_list() == ["KO"]


def test_a_name_with_odd_bytes_is_read_and_shown_with_escapes(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/soci\xe9t\xe9 \n.csv", "w") as opened:  # noqa: PTH123 a path of bytes
        opened.write("Symbol," + HEADER + "KO," + ROW)
    source = Files(tmp_path)
    assert sound(source)["symbol"].to_list() == ["KO"]
    assert source.files()["file"].to_list() == ["soci\\xe9t\\xe9 \\n.csv"]


def test_what_is_neither_a_file_nor_a_folder_is_told(tmp_path: Path) -> None:
    deliver(tmp_path, {"KO.csv": BARS})
    os.mkfifo(tmp_path / "pipe.csv")
    assert problems(Files(tmp_path)) == {"pipe.csv": "pipe.csv: is neither a file nor a folder"}


AS_NOBODY = """
import os, sys
from pathlib import Path
from boursomatic_assets.sources.files.source import Files
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for row in Files(Path(sys.argv[1])).files().iter_rows(named=True):
    print(row["file"], row["delivered"], row["problem"], sep="|")
"""


@pytest.fixture
def readable_by_all() -> Iterator[Path]:
    """A folder that a user without rights may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for below in folder.iterdir():
            below.chmod(0o755)


@pytest.mark.slow
def test_what_may_not_be_opened_is_told_and_the_others_go_on(readable_by_all: Path) -> None:
    """In a process of a user without rights, as root may open all files."""
    deliver(readable_by_all, {"KO.csv": BARS, "IBM.csv": BARS, "closed/PEP.csv": BARS})
    (readable_by_all / "IBM.csv").chmod(0)
    (readable_by_all / "closed").chmod(0)
    command = [sys.executable, "-c", AS_NOBODY, str(readable_by_all)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "IBM.csv|0|IBM.csv: may not be opened: Permission denied",
        "KO.csv|1|None",
        "closed|0|closed: may not be entered: Permission denied",
    ]
