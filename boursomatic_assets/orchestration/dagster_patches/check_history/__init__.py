"""What Dagster keeps of checks: their results by session and by run, and the colours of partitions.

What belongs here: rows of Dagster's table of check executions, written and read for years of partitions at once.
Kept elsewhere: the event log that calls it (`storages/event_log.py`), how a result carries its sessions
(`orchestration/session_counts.py`).
"""
