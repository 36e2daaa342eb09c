"""Stores: bytes outside the database.

What belongs here: atomic writing of files (`atomic_files.py`), paths that stay below their folder (`folders.py`),
and the Parquet files of the archive (`archive_files.py`).
Kept elsewhere: when bars are archived and restored (`tables/archive.py`), the content of a model file
(`learning/model_files.py`).
"""
