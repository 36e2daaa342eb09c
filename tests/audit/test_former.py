"""Advice from before 2026-11 goes on being proved: by its own model, profiles and rules.

`former_advice.json` was written by the code of that time: a small model, and its recommendations of seven made-up
instruments of one session (an eighth was ranked, and had no advice), with a champion and without one.
"""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine, insert, select, text
from worlds.platform import execute
from worlds.platform import rows as rows_of

from boursomatic_assets.advice.profiles import RULES
from boursomatic_assets.advice.signals import Maker, recommend
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.audit.evidence import Company, as_rows
from boursomatic_assets.audit.explanation.change import explain_change
from boursomatic_assets.audit.former.model import FormerModel, is_former
from boursomatic_assets.audit.former.recipe import FormerRecipe
from boursomatic_assets.audit.replay import Replayer
from boursomatic_assets.audit.stored import PublishedSession
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.cli.views.why.change import as_text
from boursomatic_assets.learning.calibration.curves import Curves
from boursomatic_assets.learning.model import POOLED, Model
from boursomatic_assets.learning.prediction import predict
from boursomatic_assets.registry import model_store
from boursomatic_assets.registry.decisions import DECISIONS, VERSIONS
from boursomatic_assets.schema.identifiers import of_recommendations
from boursomatic_assets.tables.grains import INSTRUMENTS

ADVICE: dict[str, Any] = json.loads(Path(__file__).with_name("former_advice.json").read_text())
TS, AS_OF, WRITTEN = dt.datetime(2024, 2, 29), dt.datetime(2024, 2, 29, 21), dt.datetime(2024, 3, 1)
SESSION = PublishedSession(MARKETS["US"], AS_OF)
PUBLISHED = ("label", "confidence", "expected_return_pct", "stop_loss", "take_profit")
KEY = ("instrument_id", "profile")


def recipe() -> FormerRecipe:
    return FormerRecipe(FormerModel.from_json(ADVICE["model"]))


@pytest.mark.parametrize(("kind", "abstaining"), [("advised", False), ("abstained", True)])
def test_what_was_published_comes_out_of_its_snapshots(kind: str, abstaining: bool) -> None:
    company = Company.read(pl.DataFrame(ADVICE["advised"]), recipe())
    assert not company.strangers
    rows = as_rows(company.snapshots(), TS, "US", recipe())
    decided = recipe().decide(rows, None, abstaining=abstaining)
    again = {tuple(row[name] for name in KEY): row for row in decided.to_dicts()}
    assert {row["view"] for row in again.values()} == {None}
    for stored in ADVICE[kind]:
        row = again[stored["instrument_id"], stored["profile"]]
        for name in PUBLISHED:
            near = pytest.approx(stored[name], rel=1e-12) if isinstance(stored[name], float) else stored[name]
            assert row[name] == near
    assert {row["label"] for row in ADVICE["advised"]} == {"BUY", "HOLD", "SELL"}


def test_the_kind_of_a_model_is_told_by_its_text() -> None:
    assert is_former(ADVICE["model"])
    assert not is_former(Model(({"pooled": "tree"},), {}).to_json())


@pytest.fixture
def published(migrated: Engine, home: Path) -> Engine:
    """A database with that advice, as the code of that time left it."""
    publish(migrated, ADVICE["advised"])
    return migrated


@pytest.fixture
def published_here(migrated: Engine, home: Path) -> Engine:
    """The same, with the numbers of this machine: the last bit of an exponential depends on the processor."""
    company = Company.read(pl.DataFrame(ADVICE["advised"]), recipe())
    decided = recipe().decide(as_rows(company.snapshots(), TS, "US", recipe()), None, abstaining=False)
    own = decided.select(*KEY, "view", *PUBLISHED)
    rows = pl.DataFrame(ADVICE["advised"]).drop("id", *PUBLISHED).join(own, on=KEY, maintain_order="left")
    rows = rows.with_columns(pl.col("as_of").str.to_datetime("%FT%T", time_unit="us"))
    publish(migrated, rows.with_columns(of_recommendations(rows)).drop("view").to_dicts())
    return migrated


def publish(engine: Engine, rows: list[dict[str, Any]]) -> None:
    """Publish former advice, with its version."""
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
    columns = [*rows[0], *({"is_active", "generated_at"} - rows[0].keys())]
    values = [f"CAST(:{name} AS json)" if name == "features_snapshot" else f":{name}" for name in columns]
    statement = f"INSERT INTO recommendations ({', '.join(columns)}) VALUES ({', '.join(values)})"
    with engine.begin() as connection:
        connection.execute(insert(INSTRUMENTS), ADVICE["instruments"])
        connection.execute(insert(VERSIONS), version)
        connection.execute(insert(DECISIONS), decision)
        connection.execute(text(statement), [row | times for row in rows])


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


@pytest.mark.parametrize(("error", "status"), [(1e-14, "identical"), (1e-10, "differs")])
def test_a_former_number_is_proved_but_for_the_last_bits_of_the_processor(
    published: Engine, monkeypatch: pytest.MonkeyPatch, error: float, status: str
) -> None:
    decide = FormerRecipe.decide

    def of_another_processor(*args: Any, **named: Any) -> pl.DataFrame:
        return decide(*args, **named).with_columns(pl.col("confidence") * (1 + error))

    monkeypatch.setattr(FormerRecipe, "decide", of_another_processor)
    assert set(Replayer().replay(SESSION)["status"]) == {status}


def test_a_former_row_has_no_view(published: Engine) -> None:
    identifier = ADVICE["advised"][0]["id"]
    execute(published, f"UPDATE recommendations SET view = 'given' WHERE id = '{identifier}'")
    results = Replayer().replay(SESSION)
    assert results.filter(pl.col("status") == "differs")["id"].to_list() == [identifier]


LATER = dt.datetime(2024, 3, 1, 21)
NOW = {"id": "0a1b2c3d-0000-4000-8000-00000000f025", "version": "v2024.03.01", "params_hash": "1"}
EVIDENCE = {str(horizon): {"value": 100.0, "against": 0.1, "steps": 24} for horizon in (10, 20, 40)}
SURE = Curves((0.2,) * 10 + (0.5,) * 10, (0.3,) * 20, (0.0,) * 10 + (0.02,) * 10, 0.001)


def publish_now(engine: Engine, as_of: dt.datetime, moved: float = 0.0) -> None:
    """Publish advice of the recipe of now on the former features, of which one may have moved; it supersedes."""
    model = Model(({POOLED: json.loads(ADVICE["model"])["booster"]},), {h: {POOLED: SURE} for h in (10, 20, 40)})
    snapshots = Company.read(pl.DataFrame(ADVICE["advised"]), recipe()).snapshots()
    ts = as_of.replace(hour=0)
    features = as_rows(snapshots, ts, "US", recipe()).with_columns(
        pl.col("ret_20d_rank") + moved, direction=pl.lit(None, pl.String)
    )
    predictions = predict(model, features).with_columns(direction=pl.lit(None, pl.String))
    made_by = Maker(NOW["version"], Standing.from_metrics({"evidence": EVIDENCE}))
    advice = recommend(predictions, features, features, made_by).with_columns(
        as_of=pl.lit(as_of), model_version_id=pl.lit(NOW["id"])
    )
    rows = advice.drop("ts").with_columns(of_recommendations(advice)).to_dicts()
    columns = ", ".join(rows[0])
    values = ", ".join(f"CAST(:{name} AS json)" if name == "features_snapshot" else f":{name}" for name in rows[0])
    version = NOW | {"as_of": LATER.replace(hour=14), "model_path": model_store().save(model.to_json())}
    decision = {
        **{"id": "00000000-0000-4000-8000-000000000002", "version_id": NOW["id"], "speaker_id": NOW["id"]},
        **{
            "effective_at": TS,
            "kind": "promoted",
            "reason": "another recipe",
            "numbers": {},
            "decided_by": "gate",
        },
    }
    with engine.begin() as connection:
        if not connection.execute(select(VERSIONS).where(VERSIONS.c.id == NOW["id"])).all():
            connection.execute(insert(VERSIONS), version | {"metrics_json": {"evidence": EVIDENCE}})
            connection.execute(insert(DECISIONS), decision)
        superseded = text(
            "UPDATE recommendations SET superseded_at = now(), is_active = false WHERE as_of = :as_of"
        )
        connection.execute(superseded, {"as_of": as_of})
        connection.execute(text(f"INSERT INTO recommendations ({columns}) VALUES ({values})"), rows)


def require_sum(change: dict[str, Any], engine: Engine) -> None:
    """What is told of both ends is what is stored, and the parts add up to the change."""
    names = ("expected_return_pct", "confidence")
    for end in (change["from"], change["to"]):
        query = "SELECT label, view, expected_return_pct, confidence FROM recommendations WHERE id = '{}'"
        (stored,) = rows_of(engine, query.format(end["id"]))
        assert {name: end[name] for name in stored} == stored
    for name in names:
        told = sum(part["change"][name] for part in change["parts"])
        assert told == pytest.approx(change["to"][name] - change["from"][name]) != 0


def test_a_change_of_the_recipe_is_a_part_and_the_parts_add_up(published_here: Engine) -> None:
    publish_now(published_here, LATER, moved=-0.3)
    change = explain_change("FORMER0", "moderate")
    require_sum(change, published_here)
    assert (change["from"]["rules"], change["to"]["rules"]) == ("ef6f3256", RULES)
    assert [part["part"] for part in change["parts"]] == ["bars", "rule", "features", "version", "context"]
    assert [one["part"] for one in change["parts"] if any(one["change"].values())] == ["rule"]
    text = as_text(change)
    assert "probability that the return is far below 0" in text
    assert "probability to end the horizon in the worst" in text


def test_what_the_new_recipe_moves_after_it_is_told_apart(published_here: Engine) -> None:
    """The earlier session was computed again by it: the rest is told from there."""
    publish_now(published_here, AS_OF)
    publish_now(published_here, LATER, moved=-0.3)
    change = explain_change("FORMER0", "moderate")
    require_sum(change, published_here)
    assert change["from"]["rules"] == "ef6f3256", "it begins with what was published first"
    moved = {part["part"] for part in change["parts"] if part["change"]["expected_return_pct"] != 0}
    assert moved - {"context"} == {"rule", "features"}
    within = explain_change("FORMER0", "moderate", AS_OF.date(), AS_OF.date())
    require_sum(within, published_here)
    assert [one["part"] for one in within["parts"] if any(one["change"].values())] == ["rule"]
