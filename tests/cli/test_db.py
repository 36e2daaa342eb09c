"""`boursomatic db`: the address, the revision, and consent before rows are dropped."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url
from worlds.commands import SECRET, boursomatic, error_line
from worlds.platform import INSTRUMENTS, rows


def test_the_address_is_shown_without_its_password(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://ann:{SECRET}@host:5432/boursomatic")
    result = boursomatic("db", "url")
    assert result.exit_code == 0
    assert make_url(result.stdout.strip()).host == "host"
    assert SECRET not in result.output


def test_db_status_names_the_revision(migrated: Engine) -> None:
    assert boursomatic("db", "status").stdout.splitlines()[2] == "pending: nothing"


def test_rows_are_dropped_only_with_consent(filled: Engine) -> None:
    line = error_line(boursomatic("db", "rollback"))
    assert f"{INSTRUMENTS * 588} in price_bars" in line
    assert "--yes" in line
    assert boursomatic("db", "recreate", "--yes").exit_code == 0
    assert not rows(filled, "SELECT FROM price_bars")
    assert boursomatic("db", "rollback").exit_code == 0, "empty tables need no consent"
    assert "current: base" in boursomatic("db", "status").stdout
