"""Checks about now: they belong to no session, and no run over sessions has them.

What belongs here: what is an error or a warning because of the time that it is.
Kept elsewhere: invariants of sessions (the files of `checks/`).
"""
