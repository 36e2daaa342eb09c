"""What is counted in Dagster's own tables, by SQL alone.

What belongs here: figures of runs, of the daemon and of checks, for a process that does not load Dagster, which
takes seconds and 100 MB.
Kept elsewhere: what they are called for a monitoring system (`metrics/`), which checks fail and why
(`check_history/`).
"""
