"""Advice from before 2026-11 goes on being proved: by its own model, profiles and rules, to the last bit.

`former_advice.json` was written by the code of that time: a small model, and its recommendations of seven made-up
instruments of one session (an eighth was ranked, and had no advice), with a champion and without one.
"""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine, insert, text
from worlds.platform import execute

from boursomatic_assets.audit.evidence import Company, as_rows
from boursomatic_assets.audit.former.model import FormerModel, is_former
from boursomatic_assets.audit.former.recipe import FormerRecipe
from boursomatic_assets.audit.replay import Replayer
from boursomatic_assets.audit.stored import PublishedSession
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.model import Model
from boursomatic_assets.registry import model_store
from boursomatic_assets.registry.decisions import DECISIONS, VERSIONS
from boursomatic_assets.tables.grains import INSTRUMENTS

ADVICE: dict[str, Any] = json.loads(Path(__file__).with_name("former_advice.json").read_text())
TS, AS_OF, WRITTEN = dt.datetime(2024, 2, 29), dt.datetime(2024, 2, 29, 21), dt.datetime(2024, 3, 1)
SESSION = PublishedSession(MARKETS["US"], AS_OF)
PUBLISHED = ("label", "confidence", "expected_return_pct", "stop_loss", "take_profit")
KEY = ("instrument_id", "profile")


def recipe() -> FormerRecipe:
    return FormerRecipe(FormerModel.from_json(ADVICE["model"]))


@pytest.mark.parametrize(("kind", "abstaining"), [("advised", False), ("abstained", True)])
def test_what_was_published_comes_out_of_its_snapshots_to_the_last_bit(kind: str, abstaining: bool) -> None:
    company = Company.read(pl.DataFrame(ADVICE["advised"]), recipe())
    assert not company.strangers
    rows = as_rows(company.snapshots(), TS, "US", recipe())
    decided = recipe().decide(rows, None, abstaining=abstaining)
    again = {tuple(row[name] for name in KEY): row for row in decided.to_dicts()}
    assert {row["view"] for row in again.values()} == {None}
    for stored in ADVICE[kind]:
        row = again[stored["instrument_id"], stored["profile"]]
        assert {name: row[name] for name in PUBLISHED} == {name: stored[name] for name in PUBLISHED}
    assert {row["label"] for row in ADVICE["advised"]} == {"BUY", "HOLD", "SELL"}


def test_the_kind_of_a_model_is_told_by_its_text() -> None:
    assert is_former(ADVICE["model"])
    assert not is_former(Model(({"pooled": "tree"},), {}).to_json())


@pytest.fixture
def published(migrated: Engine, home: Path) -> Engine:
    """A database with that advice, as the code of that time left it."""
    version = ADVICE["version"] | {
        **{"params_hash": "0", "metrics_json": {"rank_ic": 0.05}, "is_active": True},
        **{"as_of": dt.datetime(2024, 2, 1, 14, 30), "model_path": model_store().save(ADVICE["model"])},
    }
    decision = {
        **{"id": "00000000-0000-4000-8000-000000000001", "version_id": version["id"], "speaker_id": version["id"]},
        **{"effective_at": version["as_of"], "kind": "promoted", "reason": "the first", "numbers": {}},
        **{"decided_by": "gate", "decided_at": version["as_of"]},
    }
    times = {"is_active": True, "as_of": AS_OF, "generated_at": WRITTEN}
    columns = [*ADVICE["advised"][0], "is_active", "generated_at"]
    values = [f"CAST(:{name} AS json)" if name == "features_snapshot" else f":{name}" for name in columns]
    statement = f"INSERT INTO recommendations ({', '.join(columns)}) VALUES ({', '.join(values)})"
    with migrated.begin() as connection:
        connection.execute(insert(INSTRUMENTS), ADVICE["instruments"])
        connection.execute(insert(VERSIONS), version)
        connection.execute(insert(DECISIONS), decision)
        connection.execute(text(statement), [row | times for row in ADVICE["advised"]])
    return migrated


def test_stored_rows_are_proved_by_the_former_model_and_rules(published: Engine) -> None:
    results = Replayer().replay(SESSION)
    assert results.height == len(ADVICE["advised"])
    assert set(results["status"]) == {"identical"}


def test_a_changed_input_of_a_former_row_is_named(published: Engine) -> None:
    identifier = ADVICE["advised"][0]["id"]
    changed = """regexp_replace(features_snapshot::text, '"vol_ratio":[^,]*', '"vol_ratio":3.0')::json"""
    execute(published, f"UPDATE recommendations SET features_snapshot = {changed} WHERE id = '{identifier}'")
    results = Replayer().replay(SESSION)
    (row,) = results.filter(pl.col("status") == "differs").to_dicts()
    assert row["id"] == identifier
    assert any("vol_ratio is 3.0, and " in found for found in row["altered"])


def test_a_former_row_has_no_view(published: Engine) -> None:
    identifier = ADVICE["advised"][0]["id"]
    execute(published, f"UPDATE recommendations SET view = 'given' WHERE id = '{identifier}'")
    results = Replayer().replay(SESSION)
    assert results.filter(pl.col("status") == "differs")["id"].to_list() == [identifier]
