"""`boursomatic why`: the story of a BUY, of a HOLD without a champion, of one that no longer trades."""

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import Admin
from sqlalchemy import Engine
from worlds.commands import boursomatic, error_line
from worlds.corrections import deliver_the_last_session
from worlds.platform import LAST, bring_up_to_date, execute, rows

from boursomatic_assets.vocabulary import PROFILES

ACTIVE_BUY = (
    "SELECT r.id::text, i.symbol, i.exchange, r.profile FROM recommendations r"
    " JOIN instruments i ON i.id = r.instrument_id WHERE label = 'BUY' AND r.is_active ORDER BY r.id LIMIT 1"
)


def told(*words: str) -> dict[str, Any]:
    result = boursomatic("why", *words, "--json")
    assert result.exit_code == 0, result.output
    story: dict[str, Any] = json.loads(result.stdout)
    return story


def line_of(origin: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What stands in the line of the file that a bar came from."""
    return pl.read_parquet(folder / origin["file"]).select("symbol", *"ohlcv").row(origin["line"] - 1, named=True)


def digest_of(folder: Path) -> str:
    return hashlib.sha256((folder / "US.parquet").read_bytes()).hexdigest()


def test_a_buy_is_told_from_its_bar_to_its_outcome(replayable: Engine, admin: Admin) -> None:
    (buy,) = rows(replayable, ACTIVE_BUY)
    story = told(f"{buy['symbol']}@{buy['exchange']}", "--profile", buy["profile"])
    assert story["recommendation"]["id"] == buy["id"]
    assert story["replay"] == {"status": "identical", "altered": [], "obstacle": None}
    assert story["bar"]["delivery"]["source"] == "files"
    assert story["bar"]["known_then"]["ts"] == "2024-02-29T00:00:00"
    origin = story["bar"]["known_then"]["origin"]
    assert (story["bar"]["file"], story["bar"]["line"]) == (origin["file"], origin["line"])
    assert line_of(origin, folder := admin.run / "bars of the platform") == {
        "symbol": buy["symbol"], **{name: story["bar"]["known_then"][name] for name in "ohlcv"},
    }  # fmt: skip
    assert (origin["digest"], origin["file_now"]) == (digest_of(folder), "same")
    assert story["model"]["version"] == story["model"]["since"]["champion"] == "v2024.02.01"
    assert [one["condition"] for one in story["thresholds"] if one["met"]][-1] == "position"
    assert story["score"]["probabilities"]["buy"] == story["recommendation"]["confidence"]
    assert story["score"]["by_chance"] == pytest.approx(1 / 3)
    assert story["outcome"]["scored"] is False
    assert [one["id"] for one in story["versions"]] == [buy["id"]]


def test_the_contributions_of_the_features_add_up_to_the_score(replayable: Engine) -> None:
    """Each story's sum is off by the same number, the bias of its model: no part of the score is left out."""
    biases = []
    for symbol in ("SIMU008", "SIMU009"):
        story = told(symbol)
        biases.append(story["score"]["value"] - sum(one["contribution"] or 0 for one in story["features"]))
    assert biases[0] == pytest.approx(biases[1], abs=1e-12)


def test_the_text_names_each_part(replayable: Engine) -> None:
    (buy,) = rows(replayable, ACTIVE_BUY)
    text = boursomatic("why", buy["symbol"], "--profile", buy["profile"]).stdout
    for part in ("BUY of the", "known then: o ", " of US.parquet", "that file was read first at ", "SHA-256",
                 "features, and their contributions", "champion since 2024-02-01",
                 "probability: sell 0.", "best third of its market (33.3% by chance)", "evidence for the version",
                 "and it asks for 1.1 to 1: enough", "among the outermost 10% of", "rows of this session",
                 "outcome: not scored yet", "identical"):  # fmt: skip
        assert part in text


def test_a_profile_without_enough_evidence_tells_what_it_asks_for(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence comes first: where it is too little, nothing about the instrument is asked."""
    monkeypatch.setenv("BOURSOMATIC_EVIDENCE", "1000,500,1.1")
    bring_up_to_date(LAST, LAST, assets=("recommendations",), markets=("US",), strict=False)
    stories = {profile: told("SIMU008", "--profile", profile) for profile in PROFILES}
    for story in stories.values():
        asked = {one["profile"]: (one["asked"], one["met"]) for one in story["evidence"]}
        assert asked == {"conservative": (1000, False), "moderate": (500, False), "aggressive": (1.1, True)}
    failed = {profile: story["thresholds"][-1]["condition"] for profile, story in stories.items()}
    assert (failed["conservative"], failed["moderate"]) == ("evidence of bolder profiles", "evidence")
    for profile in ("conservative", "moderate"):
        told_of = stories[profile]["recommendation"]
        assert (told_of["label"], told_of["view"]) == ("HOLD", "none")
        assert told_of["confidence"] == pytest.approx(1 / 3)


def test_a_hold_without_a_champion_names_the_decision(replayable: Engine) -> None:
    story = told("SIMU008", "--date", "2023-10-31")
    assert [(one["condition"], one["met"]) for one in story["thresholds"]] == [("champion", False)]
    assert story["model"]["in_force"]["kind"] in ("refused", "withdrawn")
    assert (story["recommendation"]["label"], story["recommendation"]["view"]) == ("HOLD", "none")
    assert story["model"]["in_force"]["champion"] is None
    assert story["outcome"]["scored"] is True
    text = boursomatic("why", "SIMU008", "--date", "2023-10-31").stdout
    assert "champion: none (" in text
    assert "it is no view" in text


def test_one_that_was_halted_has_its_last_advice_and_a_reason_for_none_since(
    filled: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_the_last_session(tmp_path / "halted", monkeypatch, "SIMU008")
    story = told("SIMU008")
    assert story["recommendation"]["as_of"] == "2024-02-28T21:00:00"
    assert story["recommendation"]["sessions_without_newer"] == 1
    none = error_line(boursomatic("why", "SIMU008", "--date", f"{LAST}"))
    assert "its bar is missing: it did not trade, or was not delivered; its last is of 2024-02-28" in none


def test_one_that_has_expired_says_why_and_since_when(filled: Engine) -> None:
    execute(
        filled,
        "INSERT INTO recommendation_expiries (id, recommendation_id, session, reason)"
        f" SELECT gen_random_uuid(), id, '2024-02-29', 'horizon' FROM ({ACTIVE_BUY}) AS buy(id)".replace(
            "r.id::text", "r.id"
        ),
    )
    (buy,) = rows(filled, ACTIVE_BUY)
    assert told(buy["id"])["expiry"]["reason"] == "horizon"
    shown = boursomatic("why", buy["id"]).stdout
    assert "expired, since its horizon has ended: judged by the session 2024-02-29" in shown


def test_a_rejected_bar_is_named_with_its_file_and_line(
    filled: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_the_last_session(tmp_path / "negative", monkeypatch, "SIMU008", l=pl.lit(-1.0))
    none = error_line(boursomatic("why", "SIMU008", "--date", f"{LAST}"))
    assert "its bar was rejected: " in none
    assert "US.parquet:" in none


def test_a_superseded_row_is_told_by_its_id_with_what_replaced_it(
    filled: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = told("SIMU008")["recommendation"]["id"]
    deliver_the_last_session(tmp_path / "corrected", monkeypatch, "SIMU008", c=pl.col("l"))
    story = told(before)
    assert story["replay"]["status"] == "identical"
    assert [one["superseded_at"] is None for one in story["versions"]] == [False, True]
    assert story["bar"]["changed_since"]
    assert story["bar"]["known_then"]["c"] != story["bar"]["known_now"]["c"]
    then, now = (story["bar"][version]["origin"] for version in ("known_then", "known_now"))
    assert (then["file"], now["file"], then["line"]) == ("US.parquet", "US.parquet", now["line"])
    assert (then["file_now"], now["file_now"]) == ("changed", "same")
    assert now["digest"] == digest_of(tmp_path / "corrected")
    assert then["read_by"] != now["read_by"] == now["stored_by"]
    assert [one["origin"] for one in story["bar"]["earlier_versions"]] == [then]
    text = boursomatic("why", before).stdout
    assert f"from line {then['line']} of US.parquet" in text
    assert "the file has changed since, so that line may hold something else now" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("NONE",), "there is no instrument 'NONE'"),
        (("SIMU008", "--date", "2023-07-04"), "2023-07-04 is no session of US"),
        (("SIMU008", "--date", "2023-07-05"), "has a bar of US 2023-07-05 and no recommendation"),
    ],
)
def test_where_there_is_no_advice_the_reason_is_said(
    readable: Engine, words: tuple[str, ...], message: str
) -> None:
    assert message in error_line(boursomatic("why", *words))
