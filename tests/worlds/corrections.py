"""Corrections: the small platform's newest US session, delivered again with other values.

What belongs here: such a delivery, and the runs that follow. Kept elsewhere: the platform (`platform.py`).
"""

import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from worlds.platform import LAST, bring_up_to_date


def deliver_the_last_session(
    folder: Path, monkeypatch: pytest.MonkeyPatch, symbol: str, **values: pl.Expr
) -> None:
    """Deliver the newest US session again without the bar of an instrument, or with other values of it."""
    shutil.copytree(os.environ["BOURSOMATIC_FILES"], folder)
    bars = pl.read_parquet(folder / "US.parquet")
    is_bar = (pl.col("symbol") == symbol) & (pl.col("ts").dt.date() == LAST)
    changed = [pl.when(is_bar).then(value).otherwise(name).alias(name) for name, value in values.items()]
    (bars.with_columns(changed) if values else bars.filter(~is_bar)).write_parquet(folder / "US.parquet")
    monkeypatch.setenv("BOURSOMATIC_FILES", str(folder))
    bring_up_to_date(LAST, LAST, markets=("US",), strict=False)
