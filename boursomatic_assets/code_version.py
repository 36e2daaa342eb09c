"""The version of the code: what a worker must have in common with who launched a run.

What belongs here: the version, from the package's number and its files. Kept elsewhere: the versions of assets,
which say when they must be computed again (`assets/`), and of models (`registry/`).
"""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent
DIGITS = 12


@cache
def code_version() -> str:
    """The version of the package with a digest of its modules, as they were when this process first asked.

    The number alone is the same for many states of a checkout.
    """
    digest = hashlib.sha256()
    for path in sorted(ROOT.rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return f"{version('boursomatic')}+{digest.hexdigest()[:DIGITS]}"
