"""Every mutant still fits the file that it breaks, and its tests are still there."""

from collections import Counter

import pytest
from mutants import ROOT, Mutant
from mutants.catalogue import MUTANTS

each_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))


@each_mutant
def test_a_mutant_changes_one_place_and_leaves_a_program(mutant: Mutant) -> None:
    compile(mutant.mutated(), mutant.file, "exec")
    assert mutant.old != mutant.new


@each_mutant
def test_the_tests_that_must_see_a_mutant_are_there(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / "tests" / file).read_text(), test


def test_no_mutant_is_listed_twice() -> None:
    assert max(Counter(mutant.name for mutant in MUTANTS).values()) == 1
    assert max(Counter((mutant.file, mutant.new) for mutant in MUTANTS).values()) == 1
