"""Names that a delivery or a person makes up: stored verbatim or refused with a reason, and never executed."""

import datetime as dt
import json
import shutil
from pathlib import Path

import dagster as dg
import hypothesis
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from sqlalchemy import Engine, inspect
from worlds.commands import boursomatic
from worlds.platform import contents, platform, rows

from boursomatic_assets.orchestration.io_manager import PostgresIOManager
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS
from boursomatic_assets.orchestration.resources import BarSource
from boursomatic_assets.sources.files.formats.contents import printable
from boursomatic_assets.sources.symbols import canonical
from boursomatic_assets.tables.deliveries.files import PRESENT_FILES

PIECES = [
    *("'", '"', ";", "--", "/*", "\\", "%s", "{0}", "$1", "\0", "\n", "\t", " ", "|", "..", "/", "‮", "\u200b"),
    *("DROP TABLE instruments", "') OR '1'='1", "KO", "КО", "ΚΟ", "é", "𝐊𝐎", "\ud7ff", "NULL", "=1+1", "<script>"),
]
HOSTILE = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
)
FILE_NAMES = HOSTILE.map(lambda name: name.replace("/", "_").replace("\0", "_")[:40]).filter(
    lambda name: name.strip(".")
)
DAY = dt.date(2024, 6, 3)

examples = hypothesis.settings(
    phases=[Phase.generate],  # a smaller example would take minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


def deliver(folder: Path, names: list[tuple[str, str]], file: str) -> None:
    """A file with a bar of each symbol and exchange, and of a share that is well known."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    listed = [("KO", "NYSE"), *names]
    bar = {"ts": dt.datetime(2024, 6, 3), "o": 10.0, "h": 12.0, "l": 9.0, "c": 11.0, "v": 5.0, "interval": "daily"}
    frame = pl.DataFrame([{"symbol": symbol, "exchange": exchange, **bar} for symbol, exchange in listed])
    frame.write_parquet(folder / f"{file}.parquet")


def load() -> dg.ExecuteInProcessResult:
    """Load the day's bars of the US, through the real assets and checks."""
    return dg.materialize(
        [*(platform.assets or ()), *(platform.asset_checks or ())],
        selection=dg.AssetSelection.assets("instruments", "price_bars"),
        resources={"io_manager": PostgresIOManager(), "source": BarSource()},
        partition_key=f"{DAY}|US",
        raise_on_error=False,
    )


@pytest.mark.parametrize("deliveries", [3, pytest.param(8, marks=pytest.mark.drill)])
def test_symbols_exchanges_and_file_names_are_stored_verbatim_or_refused(
    migrated: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deliveries: int
) -> None:
    """Eight deliveries are a drill; its short twin has the first three of them."""
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "files")
    monkeypatch.setenv("BOURSOMATIC_FILES", str(tmp_path / "bars"))
    tables = set(inspect(migrated).get_table_names())

    @hypothesis.settings(examples, max_examples=deliveries)
    @given(
        names=st.lists(st.tuples(HOSTILE, HOSTILE | st.just("NYSE")), min_size=10, max_size=60), file=FILE_NAMES
    )
    def check(names: list[tuple[str, str]], file: str) -> None:
        deliver(tmp_path / "bars", names, file)
        result = load()
        assert result.success, result.all_events[-1]
        assert set(inspect(migrated).get_table_names()) == tables
        assert rows(migrated, "SELECT FROM instruments WHERE symbol = 'KO'"), "the neighbour is there"
        refused = rows(migrated, "SELECT raw::text AS raw, file FROM rejected_bars")
        raws = {json.loads(row["raw"])["symbol"] for row in refused}
        known = {row["symbol"] for row in rows(migrated, "SELECT symbol FROM instruments")}
        assert "KO" in known, "the neighbour is there"
        lost = [symbol for symbol, _ in names if symbol not in raws and canonical(symbol) not in known]
        assert lost == []
        (told,) = rows(migrated, f"SELECT file, problem FROM {PRESENT_FILES} t")
        assert told == {"file": printable(f"{file}.parquet"), "problem": None}
        assert {row["file"] for row in refused} == {told["file"]}

    check()


@examples
@given(key=HOSTILE | st.tuples(HOSTILE, HOSTILE).map("|".join) | HOSTILE.map(lambda text: f"{DAY}|{text}"))
def test_a_partition_key_is_one_of_the_calendar_or_refused(key: str) -> None:
    assert not MARKET_SESSIONS.has_partition_key(key)


@pytest.mark.parametrize("command", ["bars {} --from 2024-02-28", "recommendations --symbol {}", "reload {}"])
def test_a_symbol_on_the_command_line_is_refused_in_one_line_and_changes_nothing(
    readable: Engine, command: str
) -> None:
    before = contents(readable)

    @hypothesis.settings(examples, max_examples=15)
    @given(name=HOSTILE.filter(lambda name: not name.startswith("-")))
    def check(name: str) -> None:
        words = [word.replace("{}", name) for word in command.split()]
        result = boursomatic(*words)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.stderr.startswith("error: ")
        assert "Traceback" not in result.output

    check()
    assert contents(readable) == before
