"""What tests of several commands use."""

import pytest
from sqlalchemy import Engine


@pytest.fixture
def dagster_home(filled: Engine, dagster_instance: object) -> Engine:
    """The filled platform, with Dagster's storage beside it."""
    return filled
