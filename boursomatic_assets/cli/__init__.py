"""The command line: what a person types, and what is shown.

What belongs here: one file for each group of commands, with words, options and exit codes; runs without the UI
(`launching.py`); what `doctor` looks at (`diagnosis.py`); answers as text and JSON (`views/`).
Kept elsewhere: what the commands do. Imports stay inside the commands: a question about the database must not wait
for the orchestrator.
"""

from boursomatic_assets.cli.main import main

__all__ = ["main"]
