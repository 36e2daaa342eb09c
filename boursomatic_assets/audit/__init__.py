"""Audit: proof of what was published, from what is stored.

What belongs here: making a recommendation again (`replay.py`) from its stored rows (`stored.py`), its evidence
(`evidence.py`) and the bars of its time (`from_bars.py`), by the recipe of its time (`recipes.py`), the story of
one (`story.py`), and what moved it (`change.py`).
Kept elsewhere: how a recommendation is made (`advice/`, `learning/`), which rows are current (`tables/`), commands
(`cli/audit.py`). Imports no Dagster.
"""
