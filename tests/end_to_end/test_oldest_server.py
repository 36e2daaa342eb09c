"""The oldest PostgreSQL that is supported, as somebody's own server, with an owner who is no superuser."""

from pathlib import Path

import psycopg
import pytest
from conftest import remove_home
from worlds.own_server import own_server
from worlds.place import CURRENT, Place

pytestmark = [pytest.mark.database, pytest.mark.slow]

BARS = ("materialize", "price_bars", "2024-02-29", "US")


def rows(place: Place) -> dict[str, list[str]]:
    """The current rows of each table."""
    address = place.settings["DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        return {name: sorted(map(repr, connection.execute(query.encode()))) for name, query in CURRENT.items()}


def test_it_computes_is_backed_up_and_restored(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    with own_server() as server:
        one, other = (
            Place(
                tmp_path / name,
                {"DATABASE_URL": server.create(name), "DAGSTER_DATABASE_URL": server.create(f"dagster_{name}")},
            )
            for name in ("one", "other")
        )
        for place in (one, other):
            place.home.mkdir()
        try:
            one.done("db", "upgrade")
            one.done(*BARS)
            one.done("backup", str(tmp_path / "backups"))
            other.done("restore", str(tmp_path / "backups"))
            assert rows(other) == rows(one)
            assert len(rows(other)["price_bars"]) > 0
            other.done(*BARS)
            assert rows(other) == rows(one)
        finally:
            for place in (one, other):
                remove_home(place.home)
