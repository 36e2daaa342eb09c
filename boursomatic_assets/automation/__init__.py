"""Automation: which jobs there are, and what starts them.

What belongs here: jobs, schedules, the sensor that asks for missed sessions, and the one that watches freshness.
Kept elsewhere: what a job does (`assets/`, `checks/`), how far a market is (`tables/freshness.py`).
"""

from boursomatic_assets.automation.jobs import jobs
from boursomatic_assets.automation.refill import ask_for_missed
from boursomatic_assets.automation.schedules import schedules
from boursomatic_assets.automation.watch import watch_freshness

sensors = [ask_for_missed, watch_freshness]

__all__ = ["jobs", "schedules", "sensors"]
