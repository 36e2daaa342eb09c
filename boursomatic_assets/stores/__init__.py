"""Stores: bytes outside the database.

What belongs here: files that are there as a whole or not at all, and the archive's Parquet files.
Kept elsewhere: when bars are archived and restored (`tables/archive.py`), what a model file holds (`learning/`).
"""
