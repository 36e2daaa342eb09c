"""Formats: from a file's bytes to its rows as they stand.

What belongs here: compression, letters, lines and cells of texts, workbooks, JSON, Parquet and Arrow.
Kept elsewhere: what columns mean (`files/layouts/`), what cells mean (`files/notation/`).
"""
