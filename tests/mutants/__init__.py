"""Mutants: lines of the package that are broken on purpose, and the tests that must see it.

What belongs here: what a mutant is, and how one is judged. `catalogue.py` lists them, `make mutants` judges all.
Kept elsewhere: the tests themselves; that every mutant still fits its file is tested in `test_mutants.py`.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]

LONGEST = 900
"""Seconds after which the tests of a mutant are ended."""

NOT_COPIED = shutil.ignore_patterns(".*", "*.egg-info")

VERDICTS = {0: "SURVIVED", 1: "killed"}
"""What an exit code of pytest says of a mutant. Any other says nothing: no test was found, or none could start."""


@dataclass(frozen=True)
class Mutant:
    """A line broken on purpose.

    Attributes:
        name: What is wrong with it, in a few words.
        file: The file, from the root of the checkout.
        old: The text that is replaced; it is there once.
        new: What replaces it.
        tests: Tests that pass without it, and of which one must fail with it: as pytest names them below `tests/`.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def mutated(self, root: Path = ROOT) -> str:
        """The text of the file with the mutant.

        Raises:
            ValueError: the old text is not there exactly once.
        """
        text = (root / self.file).read_text()
        if (times := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: its text is {times} times in {self.file}, not once: {self.old!r}")
        return text.replace(self.old, self.new)


def run_tests(root: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run these tests in a checkout up to the first that fails."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-p",
        "no:cacheprovider",
        *(f"tests/{test}" for test in tests),
    ]
    variables = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, timeout=LONGEST)


def judge(mutant: Mutant | None, tests: tuple[str, ...]) -> tuple[str, str]:
    """Run tests on a copy of the checkout, with a mutant if there is one.

    Returns:
        A verdict (one of VERDICTS, or what kept the tests from running), and what pytest printed.
    """
    with TemporaryDirectory(prefix="boursomatic-mutant-") as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
        try:
            if mutant:
                (copy / mutant.file).write_text(mutant.mutated(copy))
            done = run_tests(copy, tests)
        except (ValueError, subprocess.TimeoutExpired) as error:
            return "NOT RUN", str(error)
    return VERDICTS.get(done.returncode, f"NOT RUN (pytest {done.returncode})"), done.stdout + done.stderr
