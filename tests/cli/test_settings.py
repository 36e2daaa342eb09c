"""`boursomatic settings`: every variable is listed, without secrets, and wrong ones are reported."""

import json
import re
from pathlib import Path

import pytest
from worlds.commands import SECRET, boursomatic


def test_settings_are_listed_with_value_origin_default_and_meaning(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_LANGUAGE", "fr")
    monkeypatch.setenv("BOURSOMATIC_START", "")
    listed = {row.pop("variable"): row for row in json.loads(boursomatic("settings", "--json").stdout)}
    meaning = "language of justifications: en or fr"
    assert listed["BOURSOMATIC_LANGUAGE"] == {
        "value": "fr",
        "origin": "environment",
        "default": "en",
        "meaning": meaning,
    }
    assert (listed["BOURSOMATIC_START"]["value"], listed["BOURSOMATIC_START"]["origin"]) == (
        "2000-01-03",
        "default",
    )
    assert (listed["BOURSOMATIC_HOME"]["value"], listed["BOURSOMATIC_HOME"]["origin"]) == (
        str(home),
        "environment",
    )
    assert all(row["default"] and row["meaning"] for row in listed.values())
    (line,) = [
        row for row in boursomatic("settings").stdout.splitlines() if row.startswith("BOURSOMATIC_LANGUAGE")
    ]
    assert re.split("  +", line) == ["BOURSOMATIC_LANGUAGE", "fr", "environment", "en", meaning]


@pytest.mark.parametrize("words", [(), ("--json",), ("--markdown",)], ids=str)
def test_settings_are_listed_without_secrets(
    home: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("BOURSOMATIC_STOOQ_KEY", SECRET)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://ann:{SECRET}@host/prices?sslpassword={SECRET}")
    monkeypatch.setenv("DAGSTER_DATABASE_URL", f"mysql://ann:{SECRET}@host/db")  # a wrong one is masked too
    result = boursomatic("settings", *words)
    assert SECRET not in result.output
    assert ("postgresql://ann:***@host/prices" in result.stdout) == (words != ("--markdown",))


def test_wrong_settings_are_reported_and_the_others_listed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_LANGUAGE", "de")
    monkeypatch.setenv("DATABASE_URL", "prices")
    monkeypatch.setenv("BOURSOMATIC_SESSIONS_PER_RUN", "250")
    result = boursomatic("settings", "--json")
    assert result.exit_code == 1
    language, address = result.stderr.splitlines()
    assert language == "error: 'de' is not known: set BOURSOMATIC_LANGUAGE to en or fr"
    assert address.startswith("error: DATABASE_URL is not an address like postgresql+psycopg://")
    values = {row["variable"]: row["value"] for row in json.loads(result.stdout)}
    assert (values["BOURSOMATIC_LANGUAGE"], values["DATABASE_URL"]) == ("de", "***")
    assert values["BOURSOMATIC_SESSIONS_PER_RUN"] == "250"


def test_valid_settings_exit_with_0(home: Path) -> None:
    result = boursomatic("settings")
    assert (result.exit_code, result.stderr) == (0, "")
