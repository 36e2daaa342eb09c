"""Replay of the small platform's recommendations: all of them come out again, and what was changed is named."""

import polars as pl
from sqlalchemy import Engine
from worlds.platform import rows

from boursomatic_assets.audit.replay import Replayer
from boursomatic_assets.audit.stored import row_counts
import time

def test_every_row_of_a_filled_database_is_replayed_to_the_last_bit(replayable: Engine) -> None:
    t = time.time()
    replayer = Replayer(from_bars="FB" in __import__("os").environ)
    results = pl.concat(replayer.replay(session) for session in row_counts())
    print("time", time.time() - t, results.height)
    print(results["status"].value_counts(), results["label"].value_counts())
    bad = results.filter(pl.col("status") != "identical")
    print(bad.head(3).to_dicts())
    assert results.height == len(rows(replayable, "SELECT FROM recommendations"))
    assert set(results["status"]) == {"identical"}
