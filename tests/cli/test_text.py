"""Numbers and colours for people, whatever the subject."""

import tomllib
from pathlib import Path

import polars as pl
import pytest
from worlds.commands import boursomatic

from boursomatic_assets.cli.views import text
from boursomatic_assets.tables.performance import to_percent_text


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (1_508_685, 0, "1,508,685"),
        (1_508_685.456, 2, "1,508,685.46"),
        (-0.001, 2, "0.00"),
        (-0.0, 1, "0.0"),
        (-3.9, 2, "-3.90"),
    ],
)
def test_a_number_is_for_people(value: float, decimals: int, shown: str) -> None:
    assert text.number(value, decimals) == shown
    column = pl.DataFrame({"x": [value, None]}, schema={"x": pl.Float64})
    assert column.select(text.number_as_text("x", decimals))["x"].to_list() == [shown, ""]


def test_a_share_that_rounds_to_zero_has_no_sign() -> None:
    shown = to_percent_text(pl.DataFrame({"share": [-0.00001], "return_pct": [-0.001]}))
    assert shown.rows() == [("0.0", "0.0")]


@pytest.mark.parametrize(
    ("value", "shown"), [(-0.00001, "0.0000"), (0.00001, "0.0000"), (1234.5, "+1,234.5000"), (-3.9, "-3.9000")]
)
def test_a_change_has_a_sign_unless_it_rounds_to_zero(value: float, shown: str) -> None:
    assert text.change(value, 4) == shown


def test_labels_are_coloured() -> None:
    assert text.coloured("| BUY SELL HOLD BUYER |") == "| \x1b[32mBUY\x1b[0m \x1b[31mSELL\x1b[0m HOLD BUYER |"


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    result = boursomatic("--version")
    assert (result.exit_code, result.output.split()[-1]) == (0, project["version"])


def test_the_shell_can_be_taught_to_complete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As docs/operations.md says; the name of the variable follows from that of the program."""
    from boursomatic_assets.cli.main import main

    monkeypatch.setenv("_BOURSOMATIC_COMPLETE", "zsh_source")
    with pytest.raises(SystemExit) as ended:
        main(prog_name="boursomatic")
    assert ended.value.code == 0
    assert "compdef _boursomatic_completion boursomatic" in capsys.readouterr().out
