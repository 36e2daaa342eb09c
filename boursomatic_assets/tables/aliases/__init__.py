"""Aliases: one instrument, several names.

What belongs here: which instrument a symbol and an exchange name (`names.py`), how an instrument is merged into
another (`merge.py`) with its rows (`moving.py`, `archived.py`), which instruments may be one share
(`candidates.py`).
Kept elsewhere: how a vendor's symbol is spelled (`sources/`), the tables themselves (`schema/`).
"""
