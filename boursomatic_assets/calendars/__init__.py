"""Calendars: the two markets, their sessions, and slices of them.

What belongs here: when a market trades, and the part of a table that one market and some sessions own.
Kept elsewhere: Dagster's view of the same dates (`orchestration/partitions.py`). Imports neither Dagster nor a
database driver.
"""
