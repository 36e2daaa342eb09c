"""Automation: which jobs there are, and what starts them.

What belongs here: jobs, schedules, the sensors: one asks for missed sessions, one watches freshness, one tells
what is wrong, one has summaries refreshed.
Kept elsewhere: what a job does (`assets/`, `checks/`), how far a market is (`tables/freshness.py`).
"""

from boursomatic_assets.automation.alerts import tell
from boursomatic_assets.automation.jobs import jobs
from boursomatic_assets.automation.refill import ask_for_missed
from boursomatic_assets.automation.schedules import schedules
from boursomatic_assets.automation.summaries import refresh_outdated
from boursomatic_assets.automation.watch import watch_freshness

sensors = [ask_for_missed, watch_freshness, tell, refresh_outdated]

__all__ = ["jobs", "schedules", "sensors"]
