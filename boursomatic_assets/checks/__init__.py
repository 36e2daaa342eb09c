"""The asset checks: an invariant of a table, and by how much it is broken; one file a subject.

What belongs here: what counts as a violation. A check looks at what is in the table, however it got there, so it
also guards against rows written by hand.
Kept elsewhere: what stops a bad frame before it is written (`tables/frames.py`, the tables' constraints), what a
good bar is (`quality/`).
"""
