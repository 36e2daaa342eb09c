"""Stores: bytes outside the database, in a folder or in a bucket of an S3-compatible service.

What belongs here: what a store promises (`store.py`), its two kinds (`folder_store.py`, `bucket_store.py`), and
which one the settings name (`places.py`); waiting for one that is away (`waiting.py`), what its errors mean
(`bucket_errors.py`), its lock (`leases.py`); atomic writing of files (`atomic_files.py`, `streams.py`), paths that
stay below their folder (`folders.py`), and the Parquet files of the archive (`archive_files.py`).
Kept elsewhere: which files rows name (`tables/archive/`, `tables/named_files.py`), model files
(`registry/model_files.py`), backups (`backups/`).
"""
