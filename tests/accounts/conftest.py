"""What tests of accounts use: a database with one account, and hashes that cost next to nothing."""

from uuid import UUID

import pytest
from sqlalchemy import Engine
from worlds.accounts import ADA, PASSWORD, make_hashes_cheap

from boursomatic_assets.accounts import keeping


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost next to nothing."""
    make_hashes_cheap(monkeypatch)


@pytest.fixture
def ada(migrated: Engine, cheap: None) -> UUID:
    """The id of Ada's account, the only one of the database."""
    return keeping.create(ADA, PASSWORD).id
