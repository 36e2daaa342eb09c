"""Deciders: a process that decides about model versions at random, and looks after each decision what is active.

    python -m worlds.deciders SEED STEPS

What belongs here: promotions and rollbacks as a person types them, and challengers that the gate judges. The
environment names the database and the home. It prints how often each was done, as JSON, and whatever it saw of two
active versions, or of none. Kept elsewhere: what all of them leave (`tests/drills/test_champions.py`).
"""

import json
import random
import sys
from collections import Counter

from sqlalchemy import text

from boursomatic_assets import database, registry
from boursomatic_assets.learning.parameters import Parameters
from worlds.challengers import DUE, NAMES, skilled_challenger, unskilled_challenger
from worlds.commands import boursomatic

ACTIVE = text("SELECT version FROM model_versions WHERE is_active")

EXPECTED = ("is champion already", "there is no earlier champion", "there is no version")
"""Why a decision is not made."""


def decide(chance: random.Random) -> str:
    """Make one decision, and return what was done."""
    kind = chance.choice(("promote", "promote", "rollback", "gate"))  # the first version keeps its promotion
    if kind == "gate":
        challenger = chance.choice((skilled_challenger, unskilled_challenger))(chance.choice("abc"))
        registry.admit_challenger(chance.choice(DUE[1:]), challenger, Parameters())
        return "gate"
    version = [chance.choice(NAMES)] if kind == "promote" else []
    result = boursomatic("models", kind, *version, "--because", "a drill", "--by", "ann")
    if result.exit_code == 0:
        return kind
    assert result.exit_code == 1, result.output
    assert any(reason in result.stderr for reason in EXPECTED), result.output
    return "nothing"


def main() -> None:
    """Decide as often as is asked."""
    seed, steps = map(int, sys.argv[1:])
    chance, done, seen = random.Random(seed), Counter[str](), []
    for _ in range(steps):
        done[decide(chance)] += 1
        with database.engine().connect() as connection:
            active = connection.scalars(ACTIVE).all()
        if len(active) != 1:
            seen.append(list(active))
    sys.stdout.write(json.dumps({"done": done, "seen": seen}))


if __name__ == "__main__":
    main()
