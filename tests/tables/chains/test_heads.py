"""Heads: a cut tail of a chain is invisible in the database, and found by the files outside of it."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from worlds.frames import insert_instruments, insert_model_version

from boursomatic_assets.tables.chains import heads
from boursomatic_assets.tables.chains.verification import verify

ADVICE = """
INSERT INTO recommendations
    (id, instrument_id, model_version_id, profile, label, confidence, features_snapshot, as_of)
SELECT gen_random_uuid(), i.id, m.id, 'moderate', 'HOLD', 0.5, '{}', CAST(:as_of AS timestamp)
FROM instruments i, model_versions m ORDER BY i.symbol LIMIT 1
"""

CUT = (
    "DELETE FROM recommendations WHERE as_of >= '2024-06-14'",
    "DELETE FROM audit_entries WHERE table_name = 'recommendations' AND number = 2",
    "UPDATE audit_heads h SET number = 1, digest = e.digest FROM audit_entries e"
    " WHERE h.table_name = 'recommendations' AND (e.table_name, e.market, e.number) = (h.table_name, h.market, 1)",
)
"""What hides the last session from all that the database knows."""


def execute(engine: Engine, *statements: str, **given: object) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), given)


def found(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [*map(str, verify(connection)), *map(str, heads.compare())]


@pytest.fixture
def published(migrated: Engine) -> Engine:
    """A database with a model and two sessions of recommendations, of which the heads are kept."""
    insert_instruments(migrated)
    insert_model_version(migrated)
    for as_of in ("2024-06-13 20:00", "2024-06-14 20:00"):
        execute(migrated, ADVICE, as_of=as_of)
        heads.keep()
    return migrated


def test_a_cut_tail_is_found(published: Engine) -> None:
    assert found(published) == []
    execute(published, *CUT)
    [difference] = found(published)
    assert "had entry 2 according to audit-heads.jsonl, and the database has it no more" in difference


def test_a_cut_tail_that_grew_again_is_found(published: Engine) -> None:
    execute(published, *CUT)
    execute(published, ADVICE, as_of="2024-06-14 20:00")
    heads.keep()
    [difference] = found(published)
    assert "had entry 2" in difference
    assert "or another one" in difference


def test_heads_are_kept_in_a_second_file_too(
    published: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere" / "heads.jsonl"
    monkeypatch.setenv("BOURSOMATIC_AUDIT_HEADS", str(elsewhere))
    heads.keep()
    (heads.files()[0]).unlink()
    execute(published, *CUT)
    [difference] = found(published)
    assert "heads.jsonl" in difference


def test_heads_that_did_not_change_add_no_line(published: Engine) -> None:
    [path] = heads.files()
    before = path.read_text()
    heads.keep()
    assert path.read_text() == before
    assert [len(json.loads(line)["heads"]) for line in before.splitlines()] == [2, 2]
    assert path.stat().st_mode & 0o777 == 0o600


def test_chains_that_were_ended_on_purpose_are_not_missed(published: Engine) -> None:
    execute(published, *CUT)
    heads.end("tables were dropped by command")
    assert found(published) == []


def test_a_file_that_cannot_be_written_stops_nothing_and_is_told(
    published: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absorbed_errors: list[str]
) -> None:
    monkeypatch.setenv("BOURSOMATIC_AUDIT_HEADS", str(tmp_path))
    heads.keep()
    [line] = absorbed_errors
    assert "the heads of the audit's chains are not kept in" in line


def test_heads_of_another_database_of_the_same_home_are_not_missed(
    published: Engine,
) -> None:
    [path] = heads.files()
    path.write_text(path.read_text().replace(str(published.url.database), "another"))
    execute(published, *CUT)
    assert found(published) == []
    heads.keep()
    assert found(published) == []


def test_a_line_that_was_not_written_whole_is_named(published: Engine, absorbed_errors: list[str]) -> None:
    [path] = heads.files()
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match=r"line 2 of .*audit-heads.jsonl is not as it was written"):
        found(published)
    heads.keep()
    assert "the heads of the audit's chains are not kept" in absorbed_errors[0]
