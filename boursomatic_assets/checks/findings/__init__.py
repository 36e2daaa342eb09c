"""What a check finds, and how it is counted and told.

What belongs here: the finding with its sessions, counts of violations in SQL, which sessions are loaded, the
result that Dagster shows.
Kept elsewhere: the invariants (`checks/`, one file a subject), how one becomes an asset check
(`checks/invariant.py`), how results are stored by session (`orchestration/dagster_patches/storages/event_log.py`).
"""
