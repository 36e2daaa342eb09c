"""Alerts: what is wrong now, said once to those who are to know, and said again when it is right.

What belongs here: problems and events as messages, what was said before, and the channels of messages.
Kept elsewhere: when this is done (`automation/alerts.py`), how far a market is (`tables/freshness.py`), what
Dagster stores of checks (`orchestration/dagster_patches/check_history/failed_checks.py`).
"""
