"""`python tests/clock MOMENT COMMAND...`: run a command on another day, and exit as it does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from clock import run

if len(sys.argv) < 3:
    sys.exit('usage: python tests/clock "2026-11-29 12:00" COMMAND...')
try:
    sys.exit(run(sys.argv[1], *sys.argv[2:]).returncode)
except (ValueError, RuntimeError, OSError) as error:
    sys.exit(f"error: {error}")
