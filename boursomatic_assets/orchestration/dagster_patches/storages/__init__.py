"""Dagster's storages in PostgreSQL, by the classes that the platform puts in their place.

What belongs here: the event log (`event_log.py`), the run storage (`run_storage.py`), and what any of them does
when the database goes away (`lost_connections.py`).
Kept elsewhere: which of them an instance has, and where they lie (`storage.py`).
"""
