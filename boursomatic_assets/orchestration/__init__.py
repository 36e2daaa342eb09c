"""How Dagster runs the platform.

What belongs here: partitions, the IO manager, chunks and how they are written, what a run reports, waiting within
a backfill, resources, the Dagster instance. What depends on Dagster's private parts is in `dagster_patches/`.
Kept elsewhere: the assets (`assets/`), the asset checks (`checks/`), jobs and schedules (`automation.py`), SQL
(`tables/`).
"""
