"""`boursomatic rejected`: the ledger of rejected rows, and judging them again."""

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.commands import boursomatic, error_line
from worlds.frames import delivered_bars, instruments, slice_of
from worlds.platform import LAST, check, rows

from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.tables.deliveries import rejected_rows

MONDAY, TUESDAY = "2024-06-10", "2024-06-11"


def reject(engine: Engine, market: str, *rows: pl.DataFrame) -> None:
    part = slice_of(market, MONDAY, TUESDAY)
    delivery = apply_contract(pl.concat(rows), part, instruments(), "files")
    with engine.begin() as connection:
        rejected_rows.record(connection, part, delivery, "run")


def bad(symbol: str, date: str, file: str, line: int, **changed: object) -> pl.DataFrame:
    raw = json.dumps({"Ticker": symbol, "Close": None, "remark": 'say "hi",\n' + "x" * 100})
    return delivered_bars(symbol, date, file=file, line=line, raw=raw, **({"c": None} | changed))


@pytest.fixture
def ledger(migrated: Engine) -> Engine:
    """Rejected rows of two files in both markets: without a price, without a volume, without a time."""
    reject(
        migrated,
        "US",
        *(bad("ACME", MONDAY, "us/a_b.csv", line) for line in (10, 2)),
        bad("BOLT", TUESDAY, "us/A%B.csv", 7, c=10.0, v=None),
        bad("BOLT", TUESDAY, "us/axb.csv", 8, ts=None),
    )
    reject(migrated, "EURONEXT", bad("LUXE", MONDAY, "=paris.csv", 3))
    return migrated


def listed(*words: str) -> list[tuple[str, int]]:
    shown = json.loads(boursomatic("rejected", "--json", *words).stdout)
    return [(row["file"], row["line"]) for row in shown]


def test_the_table_shows_the_newest_session_first_and_counts_by_reason(ledger: Engine) -> None:
    result = boursomatic("rejected")
    assert result.exit_code == 0
    table, totals = (result.stdout.splitlines()[3:8], result.stdout.splitlines()[9:])
    assert [line.split("|")[1].split()[:5] for line in table] == [
        ["US", "us/axb.csv:8", "BOLT", "time", "is"],
        ["US", "2024-06-11", "us/A%B.csv:7", "BOLT", "volume"],
        ["EURONEXT", "2024-06-10", "=paris.csv:3", "LUXE", "price"],
        ["US", "2024-06-10", "us/a_b.csv:2", "ACME", "price"],
        ["US", "2024-06-10", "us/a_b.csv:10", "ACME", "price"],
    ]
    assert 'LUXE,,say "hi", xxx' in table[2]
    assert "x…" in table[2]
    assert totals == [
        "        3 x price is missing",
        "        1 x time is missing or unreadable",
        "        1 x volume is missing",
        "        5 rejected rows",
    ]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ((), [8, 7, 3, 2, 10]),
        (("--reason", "VOLUME"), [7]),
        (("--file", "A_B"), [2, 10]),
        (("--file", "a%b"), [7]),
        (("--file", "\\"), []),
        (("--date", MONDAY), [3, 2, 10]),
        (("--market", "EURONEXT"), [3]),
        (("--market", "US", "--reason", "missing", "--date", MONDAY), [2, 10]),
        (("--limit", "2"), [8, 7]),
    ],
)
def test_rows_are_chosen_by_options(ledger: Engine, words: tuple[str, ...], lines: list[int]) -> None:
    assert [line for _, line in listed(*words)] == lines


def test_a_limited_table_says_how_many_there_are(ledger: Engine) -> None:
    result = boursomatic("rejected", "--limit", "2", "--market", "US")
    assert result.stdout.count(".csv:") == 2
    assert result.stdout.endswith("4 rejected rows, 2 of them shown: `--limit 4` shows all\n")


def test_csv_and_json_have_every_row_whole(ledger: Engine) -> None:
    shown = json.loads(boursomatic("rejected", "--json").stdout)
    stored = rows(ledger, "SELECT id::text, raw, to_char(rejected_at, 'YYYY-MM-DD') AS day FROM rejected_bars")
    assert {row["id"]: json.loads(row["raw"]) for row in shown} == {row["id"]: row["raw"] for row in stored}
    assert {row["rejected_at"][:10] for row in shown} == {row["day"] for row in stored}
    text = boursomatic("rejected", "--csv").stdout_bytes.decode()
    assert text.count("\r\n") == len(shown) + 1
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    as_texts = [{name: "" if value is None else str(value) for name, value in row.items()} for row in shown]
    assert [row | {"file": row["file"].removeprefix("'")} for row in table] == as_texts
    assert table[2]["file"] == "'=paris.csv", "a spreadsheet would compute it"


def test_without_rejected_rows_there_is_nothing_to_show(migrated: Engine) -> None:
    for words, shown in (((), "no rejected row\n"), (("--json",), "[]\n"), (("replay",), "no rejected row\n")):
        result = boursomatic("rejected", *words)
        assert (result.exit_code, result.stdout) == (0, shown)
    header = boursomatic("rejected", "--csv").stdout
    assert header.startswith("id,market,session,source,file,line,raw,")
    assert header.count("\n") == 1


@pytest.mark.parametrize("words", [("--market", "US", "replay"), ("--csv", "--json"), ("--limit", "0")])
def test_options_that_would_be_ignored_are_a_wrong_call(migrated: Engine, words: tuple[str, ...]) -> None:
    result = boursomatic("rejected", *words)
    assert result.exit_code == 2
    error_line(result)


def test_a_replay_stores_what_a_new_statement_makes_valid(
    dagster_home: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, day = tmp_path / "bars", str(LAST)
    folder.mkdir()
    monkeypatch.setenv("BOURSOMATIC_FILES", str(folder))
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "files")
    (folder / "new.csv").write_text(
        f"symbol,exchange,ts,o,h,l,c,v\nNEW,MARS,{day},10,11,9,10,500\nNEW,MARS,{day},10,11,9,ten,500\n"
    )
    assert boursomatic("materialize", "price_bars", day, "US").exit_code == 0
    (folder / "columns.yaml").write_text("new.csv: {exchange: NYSE}")
    assert boursomatic("rejected", "replay").stdout.splitlines() == [
        *("        2 rows were judged again", "        0 are stored as bars", "        0 repeat a bar"),
        "        2 stay rejected",
        *("            1 x instrument is unknown", "            1 x price is of an unknown form"),
        "what the source lists now becomes known with `boursomatic materialize instruments DATE MARKET`",
    ]
    assert boursomatic("materialize", "instruments", day, "US").exit_code == 0
    dry = boursomatic("rejected", "replay", "--dry-run").stdout.splitlines()
    assert dry[-1] == "nothing was written: this was a dry run"
    result = boursomatic("rejected", "replay")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        *("        2 rows were judged again", "        1 are stored as bars", "        0 repeat a bar"),
        *("        1 stay rejected", "            1 x price is of an unknown form"),
        "`boursomatic refresh` computes what became stale",
    ]
    assert result.stdout.splitlines()[:-1] == dry[:-1]
    assert rows(dagster_home, "SELECT c FROM price_bars WHERE ts = :day AND c = 10", day=LAST) == [{"c": 10.0}]
    assert check("every_delivered_row_is_accounted_for").passed
    assert f"stale:            features US {day} .. {day} (1 sessions)" in boursomatic("status").stdout
