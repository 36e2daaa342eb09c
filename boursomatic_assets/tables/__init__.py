"""Tables: rows into and out of PostgreSQL.

What belongs here: which rows an asset owns (`grains.py`) and how they are read (`reading.py`), the columns that a
frame must have (`frames.py`), how a frame differs from stored rows (`differences.py`), locks and COPY
(`staging.py`), how rows are merged (`merging.py`); what was delivered and what was rejected (`deliveries/`);
earlier versions of bars (`revisions.py`); when sessions were computed (`computations.py`) and which are stale
(`staleness.py`); which instruments trade (`activity.py`), and which are one under several names (`aliases/`); the
archive (`archive/`); the figures of the track record (`performance.py`).
Kept elsewhere: the columns and constraints of the tables (`schema/`), the server and its connections
(`database/`), the files of the archive (`stores/`), how rows are computed (`features/`, `learning/`, `advice/`).
"""
