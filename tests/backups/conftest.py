"""Places to back up and to restore into, on the server of the tests' run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import HOME, Admin
from dagster import DagsterInstance
from sqlalchemy import Engine

from boursomatic_assets import database as db
from boursomatic_assets import settings

MoveOn = Callable[[], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where backups go to; it is not there yet."""
    return tmp_path / "backups"


@pytest.fixture
def move_on(admin: Admin, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MoveOn]:
    """Lets the settings name another place, an empty one with the same logins; returns its home."""
    names = list[str]()

    def move() -> Path:
        names.extend((admin.create(), admin.create()))
        platform, dagster = names[-2:]
        other = tmp_path / f"another home {len(names)}"
        monkeypatch.setenv(HOME, str(other))
        monkeypatch.setenv("DATABASE_URL", admin.address_of("writer", platform))
        monkeypatch.setenv("DATABASE_OWNER_URL", admin.address(platform))
        monkeypatch.setenv("DATABASE_ACCOUNTS_URL", admin.address_of("account_admin", platform))
        monkeypatch.setenv("DATABASE_APP_URL", admin.address_of("app", platform))
        monkeypatch.setenv("DAGSTER_DATABASE_URL", admin.address(dagster))
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        return other

    yield move
    db.disconnect()
    for name in names:
        admin.drop(name)


@pytest.fixture
def whole(cheap: None, filled: Engine, dagster_instance: DagsterInstance) -> Engine:
    """A platform with every kind of row and of file that a backup holds."""
    from worlds.accounts import ADA, PASSWORD

    from boursomatic_assets.accounts import keeping
    from boursomatic_assets.tables.chains import heads

    keeping.create(ADA, PASSWORD)
    heads.keep()
    archived = settings.home() / "archive" / "date=2023-02-01" / "market=US" / "bars.parquet"
    log = settings.dagster_home() / "storage" / "run" / "compute_logs" / "step.out"
    for path, content in ((archived, "archived bars"), (log, "a line of a log")):
        path.parent.mkdir(parents=True)
        path.write_text(content)
    (settings.home() / "first_partition").write_text("2023-01-03\n")
    return filled
