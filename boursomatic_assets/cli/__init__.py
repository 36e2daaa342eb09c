"""The command line: `boursomatic`.

What belongs here: commands by subject, with their words, options and exit codes (`compute.py`, `results.py`, one
file for each group), put together in `main.py`; what commands share (`common.py`); runs without the UI
(`launching.py`), their progress and their end (`running/`); the checks of `doctor` (`views/diagnosis/`); results
as text and JSON (`views/`).
Kept elsewhere: what the commands do. Imports stay inside the commands, so that a query of the database does not
wait for Dagster.
"""

from boursomatic_assets.cli.main import main

__all__ = ["main"]
