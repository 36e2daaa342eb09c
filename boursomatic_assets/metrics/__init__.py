"""Metrics: what a monitoring system reads of the platform, in the text format of Prometheus.

What belongs here: which figures there are (`descriptions.py`), where each is read (`platform.py`, `dagster.py`),
one reading of all of them (`reading.py`), and the page that shows them (`server.py`). Every figure comes from the
databases when it is asked for: runs are other processes, and end.
Kept elsewhere: the queries (`tables/`, `registry/`, `alerts/outbox.py`, `orchestration/dagster_patches/counts/`),
what is wrong and who is to know (`alerts/`).
"""
