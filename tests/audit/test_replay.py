"""Replay of the small platform's recommendations: all come out again, and whatever is changed by hand is named."""

import datetime as dt
import os
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.platform import LAST, bring_up_to_date, execute, rows, slice_of

from boursomatic_assets.audit.replay import Replayer, company_of
from boursomatic_assets.audit.stored import PublishedSession, row_counts, sessions_of

US = PublishedSession(slice_of("US").market, slice_of("US").market.close_time(LAST))

CURRENT = "superseded_at IS NULL AND as_of = '2024-02-29 21:00'"

BUY = f"SELECT id FROM recommendations WHERE label = 'BUY' AND {CURRENT} ORDER BY id LIMIT 1"
"""A recommendation of the newest US session; nothing refers to it yet."""


def replayed(session: PublishedSession = US, *, from_bars: bool = False) -> pl.DataFrame:
    return Replayer(from_bars=from_bars).replay(session)


def change_buy(engine: Engine, assignment: str) -> str:
    """Change a BUY by hand; its id."""
    identifier = str(rows(engine, BUY)[0]["id"])
    assert execute(engine, f"UPDATE recommendations SET {assignment} WHERE id = '{identifier}'") == 1
    return identifier


def differing(results: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in results.filter(pl.col("status") == "differs").to_dicts()}


# --- everything comes out again


def test_every_row_of_a_filled_database_comes_out_again_to_the_last_bit(replayable: Engine) -> None:
    replayer = Replayer()
    results = pl.concat(replayer.replay(session) for session in row_counts())
    assert results.height == len(rows(replayable, "SELECT FROM recommendations"))
    assert set(results["status"]) == {"identical"}
    assert {"BUY", "HOLD"} <= set(results["label"]), "with a champion, and without"


def test_the_features_of_any_session_come_out_of_the_bars_again(replayable: Engine) -> None:
    replayer, sessions = Replayer(from_bars=True), list(row_counts())
    results = pl.concat(replayer.replay(session) for session in sessions[::30])
    assert {"US", "EURONEXT"} < set(results["exchange"])
    assert set(results["status"]) == {"identical"}


def test_a_superseded_row_comes_out_again_among_those_of_its_time(
    filled: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correction of one close changes ranks of all instruments: each row is superseded, and each is replayed."""
    correct_a_bar(tmp_path / "corrected", monkeypatch)
    results = replayed(from_bars=True)
    assert results["superseded_at"].null_count() == results.height / 2
    assert set(results["status"]) == {"identical"}


def correct_a_bar(folder: Path, monkeypatch: pytest.MonkeyPatch, session: dt.date = LAST) -> None:
    """Deliver the newest US session again, with another close of one instrument, and compute what follows."""
    shutil.copytree(os.environ["BOURSOMATIC_FILES"], folder)
    bars = pl.read_parquet(folder / "US.parquet")
    is_bar = (pl.col("symbol") == bars["symbol"][0]) & (pl.col("ts").dt.date() == session)
    close = pl.when(is_bar).then(pl.col("l")).otherwise("c").alias("c")
    bars.with_columns(close).write_parquet(folder / "US.parquet")
    monkeypatch.setenv("BOURSOMATIC_FILES", str(folder))
    bring_up_to_date(session, LAST, markets=("US",), strict=False)


def test_an_instrument_without_advice_counts_in_the_ranks_of_the_others(
    filled: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_a_newcomer(tmp_path / "with a newcomer", monkeypatch)
    results = replayed().filter(pl.col("superseded_at").is_null())
    assert results.height == 36, "the newcomer has no ranks, and no advice"
    assert set(results["features_snapshot"].str.json_path_match("$.instruments")) == {"13"}
    assert set(results["status"]) == {"identical"}


def list_a_newcomer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliver the newest US session again, with the first bar of another instrument."""
    shutil.copytree(os.environ["BOURSOMATIC_FILES"], folder)
    for path, rename in ((folder / "US.parquet", None), (folder / "instruments.csv", "name")):
        frame = pl.read_parquet(path) if rename is None else pl.read_csv(path)
        first = frame.filter(
            pl.col("exchange") == "US", pl.col("symbol") == frame.filter(exchange="US")["symbol"][0]
        )
        if rename is None:
            first = first.filter(pl.col("ts").dt.date() == LAST)
        both = pl.concat([frame, first.with_columns(symbol=pl.lit("NEWCOMER", frame.schema["symbol"]))])
        both.write_parquet(path) if rename is None else both.write_csv(path)
    monkeypatch.setenv("BOURSOMATIC_FILES", str(folder))
    bring_up_to_date(LAST, LAST, markets=("US",), strict=False)


# --- what is changed by hand is named


def test_a_changed_number_is_named_with_what_comes_out(filled: Engine) -> None:
    identifier = change_buy(filled, "confidence = confidence + 1e-9")
    (row,) = differing(replayed()).values()
    assert row["id"] == identifier
    assert row["replayed_confidence"] == pytest.approx(row["confidence"] - 1e-9, abs=1e-12)
    assert row["altered"] == ["the row was changed after it was written: its id does not fit its content"]


def test_a_changed_value_of_a_snapshot_is_named_and_no_other_row_is_called_wrong(filled: Engine) -> None:
    changed = """regexp_replace(features_snapshot::text, '"vol_20d":[^,]*', '"vol_20d":0.5')::json"""
    identifier = change_buy(filled, f"features_snapshot = {changed}")
    found = differing(replayed())
    assert found.keys() == {identifier}
    named = [text for text in found[identifier]["altered"] if "vol_20d is 0.5, and 0.0" in text]
    assert [text.rpartition(" ")[2] for text in named] == ["profiles", "stored"]


def test_a_value_that_decides_nothing_is_named_too(filled: Engine) -> None:
    changed = """regexp_replace(features_snapshot::text, '"ret_1d":[^,]*', '"ret_1d":0.25')::json"""
    identifier = change_buy(filled, f"features_snapshot = {changed}")
    assert differing(replayed()).keys() == {identifier}


@pytest.mark.parametrize(
    ("pattern", "instead", "named"),
    [
        ('"model_score":[^,]*', '"model_score":0.125', " comes out of the model"),
        (
            '"direction":"BUY"',
            '"direction":"SELL"',
            "direction is SELL, and BUY in the rows of the other profiles",
        ),
        ('"moderate": *[^,}]*', '"moderate":1', "in the other rows of its session"),
    ],
)
def test_what_decided_beside_features_is_named_where_it_is_changed(
    filled: Engine, pattern: str, instead: str, named: str
) -> None:
    changed = f"regexp_replace(features_snapshot::text, '{pattern}', '{instead}')::json"
    identifier = change_buy(filled, f"features_snapshot = {changed}")
    found = differing(replayed())
    assert found.keys() == {identifier}
    assert any(named in text for text in found[identifier]["altered"])


def test_another_view_than_was_published_is_found(filled: Engine) -> None:
    identifier = change_buy(filled, "view = 'capped'")
    found = differing(replayed())
    assert found.keys() == {identifier}
    assert (found[identifier]["view"], found[identifier]["replayed_view"]) == ("capped", "given")


def test_a_changed_byte_of_the_model_file_is_named(filled: Engine, home: Path) -> None:
    (path,) = rows(filled, f"SELECT model_path FROM model_versions WHERE version = 'v{LAST:%Y.%m}.01'")
    file = home / "models" / path["model_path"]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    found = differing(replayed())
    assert len(found) == 36
    assert all("is damaged, its SHA-256 is" in row["altered"][0] for row in found.values())


def test_another_version_than_the_champion_is_named(filled: Engine) -> None:
    other = "SELECT id FROM model_versions WHERE version = 'v2024.01.02'"
    identifier = change_buy(filled, f"model_version_id = ({other})")
    texts = differing(replayed())[identifier]["altered"]
    assert "model version: the row names v2024.01.02, and at its close v2024.02.01 was to be used" in texts


def test_another_model_file_than_the_version_had_is_found_by_what_comes_out(filled: Engine) -> None:
    other = "SELECT model_path FROM model_versions WHERE version = 'v2023.11.01'"
    execute(filled, f"UPDATE model_versions SET model_path = ({other}) WHERE version = 'v2024.02.01'")
    found = differing(replayed())
    assert found
    assert all("comes out of the model" in row["altered"][0] for row in found.values())


@pytest.mark.parametrize("value", ['"0.02"', "true", "[]", "1e999"])
def test_what_is_no_number_stops_its_row_alone(filled: Engine, value: str) -> None:
    changed = f"""regexp_replace(features_snapshot::text, '"vol_20d":[^,]*', '"vol_20d":{value}')::json"""
    identifier = change_buy(filled, f"features_snapshot = {changed}")
    found = differing(replayed())
    assert found.keys() == {identifier}
    assert "holds what is no number" in found[identifier]["obstacle"]


def test_bars_that_were_changed_without_a_delivery_are_named_from_the_bars_alone(filled: Engine) -> None:
    execute(
        filled,
        "UPDATE price_bars SET v = v * 2 WHERE ts = '2024-02-29' AND instrument_id ="
        " (SELECT id FROM instruments WHERE exchange = 'US' ORDER BY symbol LIMIT 1)",
    )
    assert not differing(replayed())
    found = differing(replayed(from_bars=True))
    assert len({row["symbol"] for row in found.values()}) > 1, "its rank is a rank among others"
    texts = [text for row in found.values() for text in row["altered"]]
    assert all(re.search(r"features_snapshot: \w+ is .*, and .* from the bars known at", text) for text in texts)


def test_a_direction_that_all_profiles_have_wrong_is_found_in_the_sessions_before(filled: Engine) -> None:
    """The three rows of an instrument agree, and so does each with its id: only the scores of its past differ."""
    query = (
        "SELECT instrument_id FROM recommendations WHERE features_snapshot->>'direction' IS NULL AND"
        f" {CURRENT} AND instrument_id IN (SELECT id FROM instruments WHERE exchange = 'US') LIMIT 1"
    )
    identifier = rows(filled, query)[0]["instrument_id"]
    changed = """regexp_replace(features_snapshot::text, '"direction":null', '"direction":"BUY"')::json"""
    execute(
        filled,
        f"UPDATE recommendations SET id = gen_random_uuid(), features_snapshot = {changed}"
        f" WHERE instrument_id = '{identifier}' AND {CURRENT}",
    )
    found = differing(replayed(from_bars=True))
    texts = [text for row in found.values() for text in row["altered"] if "comes out of the scores of" in text]
    assert texts == ["features_snapshot: direction is BUY, and None comes out of the scores of 20 sessions"] * 3


# --- what cannot be replayed is said to be so


@pytest.mark.parametrize(
    ("pattern", "instead", "why"),
    [
        ('"instruments":[0-9]+,', "", "stored before a snapshot held all that a replay needs: instruments"),
        ('"rsi_14_rank":[^,]*,', "", "stored before a snapshot held all that a replay needs: rsi_14_rank"),
        ('"asked":[^}]*},', "", "stored before a snapshot held all that a replay needs: asked"),
        ('"rules":"[^"]*"', '"rules":"deadbeef"', "it was decided by the rules deadbeef, and this code has"),
    ],
)
def test_older_rows_are_named_and_not_called_wrong(filled: Engine, pattern: str, instead: str, why: str) -> None:
    """Ids of version 4 stand for those of rows that were written before ids held a digest."""
    older = f"regexp_replace(features_snapshot::text, '{pattern}', '{instead}')::json"
    session = "as_of = '2024-02-29 21:00'"
    execute(
        filled, f"UPDATE recommendations SET id = gen_random_uuid(), features_snapshot = {older} WHERE {session}"
    )
    results = replayed()
    assert set(results["status"]) == {"not replayed"}
    assert all(why in obstacle for obstacle in results["obstacle"])


def test_a_row_that_a_program_of_its_own_wrote_leaves_the_others_as_they_are(filled: Engine) -> None:
    execute(
        filled,
        "INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence,"
        " features_snapshot, is_active, as_of) SELECT gen_random_uuid(), instrument_id, model_version_id, profile,"
        " 'BUY', 0.9, '{\"rsi_14\": 50}', false, as_of - interval '1 hour' FROM recommendations WHERE id IN"
        f" ({BUY})",
    )
    by_hand, published = (replayed(session) for session in sessions_of(US.part))
    assert by_hand["obstacle"].to_list() == ["its features_snapshot is none of this platform"]
    assert set(published["status"]) == {"identical"}


# --- the company of a row


def test_the_company_of_a_row_are_those_that_stood_when_it_was_written() -> None:
    first, second = dt.datetime(2024, 3, 1), dt.datetime(2024, 3, 2)
    written = pl.DataFrame(
        {
            "id": ["replaced", "stays", "replacement", "of another version"],
            "generated_at": [first, first, second, first],
            "superseded_at": [second, None, None, None],
            "model_version_id": ["v1", "v1", "v1", "v2"],
        }
    )

    def company(*ids: str) -> set[str]:
        return set(company_of(written, written.filter(pl.col("id").is_in(ids)))["id"])

    assert company("replaced", "stays") == {"replaced", "stays"}
    assert company("replacement") == {"replacement", "stays"}
