"""The asset checks: invariants of the tables, and by how much each is violated; one file a subject.

What belongs here: what counts as a violation or as stale. A check reads what is in the table, however it got
there, so it also finds rows that were written by hand.
Kept elsewhere: what stops a bad frame before it is written (`tables/frames.py`, the tables' constraints), which
bars are valid or anomalous (`quality/`), how stale sessions are found (`tables/staleness.py`).
"""
