"""The view `current_advice`: what is advised now, for whoever may read recommendations."""

import psycopg
import pytest
from sqlalchemy import Engine, text
from worlds.platform import rows


def test_it_shows_the_active_recommendations_with_their_instruments_and_versions(filled: Engine) -> None:
    active = rows(
        filled,
        "SELECT r.id, i.symbol, r.profile, r.label, m.version FROM recommendations r"
        " JOIN instruments i ON i.id = r.instrument_id JOIN model_versions m ON m.id = r.model_version_id"
        " WHERE r.is_active ORDER BY r.id",
    )
    shown = rows(filled, "SELECT id, symbol, profile, label, version FROM current_advice ORDER BY id")
    assert shown == active != []


def test_it_gives_nobody_more_than_the_tables_do(filled: Engine) -> None:
    """`app` reads advice with consent alone, whatever it may be granted by mistake."""
    with filled.begin() as connection:
        app = connection.scalar(text("SELECT rolname FROM pg_roles WHERE rolname LIKE '%app'"))
        connection.execute(text(f"GRANT SELECT ON current_advice TO {app}"))
        connection.execute(text(f"SET LOCAL ROLE {app}"))
        with pytest.raises(Exception, match="permission denied for table") as refused:
            connection.execute(text("SELECT 1 FROM current_advice"))
    assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)
