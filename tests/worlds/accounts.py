"""Accounts as tests make them: addresses, a password, and hashes that cost next to nothing."""

import pytest
from sqlalchemy import Engine, text

from boursomatic_assets.accounts import passwords

ADA = "ada@example.com"
PASSWORD = "correct horse battery"


def make_hashes_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Argon2id take next to no memory and time, where its cost is not what is tested."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 8 * passwords.LANES)
    monkeypatch.setattr(passwords, "PASSES", 1)


def query(engine: Engine, statement: str, **parameters: object) -> list[tuple[object, ...]]:
    """The rows of a statement, which is committed."""
    with engine.begin() as connection:
        result = connection.execute(text(statement), parameters)
        return [tuple(row) for row in result] if result.returns_rows else []
