"""Runs that go through a message broker to workers: what Dagster and dagster-celery keep private about that.

What belongs here: the launcher that puts a run into its queue (`launcher.py`), how many the daemon hands over
(`coordinator.py`), and the execution of one in a process that executes others after it (`execution.py`).
Kept elsewhere: the broker and its queues (`broker/`), what a worker requires before it computes
(`orchestration/workers/`), whether a run lives (`dagster_patches/launcher.py`).

Where no broker is set, only `coordinator.py` and `places.py` are imported, and Celery is not.
"""
