"""Tables: rows into and out of PostgreSQL.

What belongs here: which rows an asset owns and how they are read (`reading.py`), what a frame must look like
(`frames.py`), what a delivery changes (`differences.py`), locks and COPY (`staging.py`), how rows are merged
(`merging.py`); the delivery log and rejected rows; what was known and computed when (`revisions.py`,
`staleness.py`); which instruments trade (`activity.py`); the archive of 15m bars; figures of the track record
(`performance.py`).
Kept elsewhere: the tables' shape (`schema/`), which server it is (`database/`), what is computed.
"""
