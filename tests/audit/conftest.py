"""What tests of the audit use."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine
from worlds import platform as platform_of


@pytest.fixture
def replayable(readable: Engine, admin: object, home: Path) -> Engine:
    """The small platform for tests that only read, with its model files."""
    shutil.copytree(platform_of.models_of(admin.run / "bars of the platform"), home / "models")  # type: ignore[attr-defined]
    return readable
