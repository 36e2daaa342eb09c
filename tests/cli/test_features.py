"""`boursomatic features`: the results of both commands on stored bars."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine
from worlds.commands import boursomatic, error_line
from worlds.frames import IDS, insert_instruments

from boursomatic_assets.arrays import Floats
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import slices_of
from boursomatic_assets.cli.main import main
from boursomatic_assets.features import compute, lookahead
from boursomatic_assets.features.indicators import FEATURES
from boursomatic_assets.features.panel import Panel
from boursomatic_assets.orchestration.partitions import partition_dates
from boursomatic_assets.sources.simulated.source import Simulated
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.grains import GRAINS

FIRST, LAST = dt.date(2022, 9, 1), dt.date(2024, 2, 29)


@pytest.fixture
def stored(migrated: Engine) -> Engine:
    """Bars of two instruments of each market, from the simulated source."""
    insert_instruments(migrated)
    for market, symbols in (("US", ("ACME", "BOLT")), ("EURONEXT", ("LUXE", "VINS"))):
        (part,) = slices_of(MARKETS[market], partition_dates(FIRST, LAST))
        bars = Simulated(instruments=2, events=False).bars(part.market, part.start, part.end)
        identifiers = dict(zip(bars["symbol"].unique().sort(), map(IDS.get, symbols), strict=True))
        rows = bars.with_columns(instrument_id=pl.col("symbol").replace_strict(identifiers))
        with migrated.begin() as connection:
            merging.replace(
                connection, GRAINS["price_bars"], part, rows.select("instrument_id", "ts", *"ohlcv", "interval")
            )
    return migrated


def run_check(name: str, *words: str) -> Result:
    return CliRunner().invoke(main, ["features", name, "--to", f"{LAST}", *words])


def test_the_shipped_features_do_not_look_ahead(stored: Engine) -> None:
    """Each session of the range but the last is a cut; the history before it is read too."""
    result = run_check("check-lookahead", "--from", "2024-01-02")
    assert result.output == "0 features look ahead, in 40 cuts of 2 instruments, 2024-01-02 .. 2024-02-29\n"
    assert result.exit_code == 0


def test_a_few_sessions_can_be_asked_for(stored: Engine) -> None:
    result = run_check("check-lookahead", "--from", "2023-01-03", "--cuts", "3")
    assert result.output == "0 features look ahead, in 3 cuts of 2 instruments, 2023-01-03 .. 2024-02-29\n"


def test_a_look_ahead_that_needs_a_years_history_is_found_in_the_first_month_of_the_range(
    stored: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late_lookahead(panel: Panel) -> Floats:
        return panel.require_history(250, np.append(panel.close[1:], np.nan))

    monkeypatch.setattr(compute, "FEATURES", (*FEATURES, late_lookahead))
    result = run_check("check-lookahead", "--from", "2024-02-01")
    assert result.output.startswith("LOOKS AHEAD  late_lookahead of ACME NYSE at 2024-02-01 is ")
    assert result.exit_code == 1


def test_an_instrument_that_is_left_out_for_what_it_does_later_is_reported(
    stored: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = lookahead.compute_features

    def of_winners(bars: pl.DataFrame, *asked: Any) -> pl.DataFrame:
        return computed(bars.filter((pl.col("c").last() > pl.col("c").get(-2)).over("instrument_id")), *asked)

    monkeypatch.setattr(lookahead, "compute_features", of_winners)
    result = run_check("check-lookahead", "--from", "2023-10-02")
    first, *_, last = result.output.splitlines()
    assert re.match(
        r"LOOKS AHEAD  the row of (ACME|BOLT) NYSE at 2023-10-\d\d is (missing|there) with later bars", first
    )
    assert re.search(r"with bars up to 2023-10-\d\d only; \d+ rows come or go$", first)
    assert " features look ahead and rows come or go, in 103 cuts of 2 instruments" in last
    assert result.exit_code == 1


def test_a_feature_that_looks_ahead_is_reported_with_instrument_and_session(
    stored: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def next_close(panel: Panel) -> Floats:
        return np.append(panel.close[1:], np.nan)

    monkeypatch.setattr(compute, "FEATURES", (*FEATURES, next_close))
    result = run_check("check-lookahead", "--market", "EURONEXT", "--from", "2023-06-01", "--cuts", "2")
    first, last = result.output.splitlines()
    assert first.startswith("LOOKS AHEAD  next_close of LUXE EURONEXT at ")
    assert last == "1 features look ahead, in 2 cuts of 2 instruments, 2023-06-01 .. 2024-02-29"
    assert result.exit_code == 1


def test_a_table_shows_the_history_that_each_feature_needs(stored: Engine) -> None:
    result = run_check("check-startup", "--from", "2022-09-01", "--cuts", "2")
    head, *rows, last = result.output.splitlines()
    assert head.split()[-5:] == ["20", "60", "120", "250", "313"]
    cells = {row.split()[0]: row.split()[1:] for row in rows}
    assert cells["ret_120d"] == ["null", "null", "0", "0", "0"]
    assert 0 < float(cells["rsi_14"][3]) < 1e-5
    assert len(cells) == len(FEATURES) + 38
    assert last == (
        "0 features need more than 313 sessions before theirs, in 2 instruments, 2022-09-01 .. 2024-02-29"
    )
    assert result.exit_code == 0


def test_a_feature_that_depends_on_the_range_fails(stored: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def volume_so_far(panel: Panel) -> Floats:
        return np.cumsum(panel.volume)

    monkeypatch.setattr(compute, "FEATURES", (*FEATURES, volume_so_far))
    result = run_check("check-startup", "--from", "2022-09-01", "--cuts", "2")
    assert result.output.splitlines()[-1].startswith("1 features need more than 313 sessions before theirs")
    assert result.exit_code == 1


@pytest.mark.parametrize("command", ["features check-lookahead", "models search --until 2024-02-01"])
@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_a_seed_outside_of_the_range_is_refused(home: Path, command: str, seed: str) -> None:
    assert f"{seed} is not in the range 0<=x<=4294967295" in error_line(
        boursomatic(*command.split(), "--seed", seed)
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("check-startup --from 2023-01-03", "291 sessions have bars and 315 are needed to leave some out"),
        ("check-lookahead --from 2010-01-04 --to 2010-03-01", "no daily bars of US are stored from 2010-01-04"),
        ("check-lookahead --from 1990-01-02", "1990-01-02 is before the first partition"),
    ],
)
def test_a_range_without_enough_bars_is_refused_in_one_line(stored: Engine, words: str, message: str) -> None:
    result = run_check(*words.split())
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
