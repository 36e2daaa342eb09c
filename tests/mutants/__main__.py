"""`python tests/mutants [WORD...]`: judge the mutants, or those whose names hold one of the words.

The tests run once without any mutant first, and must pass. Exits 1 unless every mutant is killed.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from mutants import VERDICTS, Mutant, judge
from mutants.catalogue import MUTANTS

AT_A_TIME = 2
LINES_SHOWN = 15
"""Of what pytest printed, where a mutant was not killed."""


def report(mutant: Mutant) -> bool:
    """Judge a mutant and print its row; whether it was killed."""
    start = time.monotonic()
    verdict, printed = judge(mutant, mutant.tests)
    killed = verdict == VERDICTS[1]
    details = [] if killed else [f"    {line}" for line in printed.splitlines()[-LINES_SHOWN:]]
    place = mutant.file.removeprefix("boursomatic_assets/")
    row = f"{verdict:10} {time.monotonic() - start:4.0f} s  {place}: {mutant.name}"
    print("\n".join([row, *details]), flush=True)
    return killed


def main(words: list[str]) -> int:
    """Judge the chosen mutants and return the exit code."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    if not chosen:
        print(f"error: no mutant's name holds {' or '.join(words)}", file=sys.stderr)
        return 2
    tests = tuple(dict.fromkeys(test for mutant in chosen for test in mutant.tests))
    verdict, printed = judge(None, tests)
    if verdict != VERDICTS[0]:
        print(f"error: the tests must pass without a mutant\n{printed}", file=sys.stderr)
        return 1
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        killed = list(pool.map(report, chosen))
    print(f"{sum(killed)} of {len(killed)} mutants are killed")
    return 0 if all(killed) else 1


sys.exit(main(sys.argv[1:]))
