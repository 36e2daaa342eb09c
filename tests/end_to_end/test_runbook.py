"""docs/runbook.md for real: its commands are run, and a backup is restored into another home.

What belongs here: the blocks of that page. Kept elsewhere: whether commands exist (`test_docs.py`), units and
containers (`test_server.py`).
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine
from worlds.commands import boursomatic
from worlds.platform import contents

PAGE = (Path(__file__).parents[2] / "docs/runbook.md").read_text()
SECTIONS = dict(re.findall(r"^##+ (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))
PROGRAMS = Path(sys.executable).parent
DAYS = ("A normal day", "A market is behind", "A check fails or warns", "No alert comes, or one does not arrive")


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL)


def commands(section: str) -> list[list[str]]:
    """The words of the commands of a section."""
    lines = [line.partition(" #")[0] for block in blocks(section, "bash") for line in block.splitlines()]
    return [shlex.split(line) for line in lines]


def test_the_commands_of_a_day_do_what_they_say(
    filled: Engine, dagster_instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the page, on a platform where nothing is wrong: all succeed, and no row changes."""
    monkeypatch.setenv("BOURSOMATIC_ALERT_COMMAND", "true")
    before = contents(filled)
    tried = [words for section in DAYS for words in commands(section)]
    assert len(tried) >= 10
    for program, *words in tried:
        assert program == "boursomatic"
        done = boursomatic(*words)
        assert (done.exit_code, done.exception) == (0, None), f"{' '.join(words)}: {done.output}"
    assert contents(filled) == before


def run(script: str, home: Path, folder: Path) -> str:
    """Run a block of the page in a folder, with a home; what it printed."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    environment |= {"BOURSOMATIC_HOME": str(home), "BOURSOMATIC_SOURCE": "simulated"}
    done = subprocess.run(
        ["sh", "-e", "-c", script.replace(".venv/bin", str(PROGRAMS))],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.slow
def test_a_backup_is_restored_into_another_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One session, with its run and a model file, through the commands of the page alone."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "DAGSTER_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    load = "backfill --market US --from 2024-02-28 --to 2024-02-28 --assets price_bars"
    run(f".venv/bin/boursomatic db upgrade\n.venv/bin/boursomatic {load}", home, tmp_path)
    (home / "models").mkdir()
    (home / "models" / "v.txt").write_text("a model")
    run(*blocks("Backup", "sh"), home, tmp_path)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "backup").rglob("*"))
    restored = home.with_name("restored")
    try:
        said = run(*blocks("Restore", "sh"), restored, tmp_path)
        assert "FAIL" not in said
        counted = "boursomatic db psql -- -Atc 'SELECT count(*), max(created_at) FROM price_bars'"
        assert len({run(f".venv/bin/{counted}", one, tmp_path) for one in (home, restored)}) == 1
        assert "dagster storage    1 runs" in said
        assert (restored / "models" / "v.txt").read_text() == "a model"
    finally:
        run(".venv/bin/boursomatic db stop", restored, tmp_path)
        shutil.rmtree((restored / "postgres").resolve())  # root's lies outside of the home
