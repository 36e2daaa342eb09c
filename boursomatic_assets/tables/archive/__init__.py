"""The archive: rows that were moved out of their table into files of the store.

What belongs here: which file stands for which rows (`files.py`), moving 15m bars and back (`moving.py`), reading
them where they lie (`reading.py`), old years (`years.py`), moving those (`year_moves.py`) and back
(`year_returns.py`), letting SQL see them (`shown.py`), and taking over the files of before (`adoption.py`).
Kept elsewhere: the files as Parquet (`stores/archive_files.py`), the store (`stores/`), when bars are moved
(`assets/archive_15m.py`, `automation/`).

A file is written once, whole, before its rows are deleted, and is named in the transaction that deletes them. So
each row is in its table or in a file that is named, and a reader of one moment sees it once. What takes a file's
place is another file; the former one stays for KEPT_SUPERSEDED, for whoever began to read or to copy before.
"""
