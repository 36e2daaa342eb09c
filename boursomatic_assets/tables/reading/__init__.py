"""Reading: rows of a slice, of a table or of a query, through Arrow into polars.

What belongs here: queries (`queries.py`) and their moment (`moments.py`), the rows of slices and tables
(`slices.py`), and those that lie in files of the archive since their year is old (`cold.py`).
Kept elsewhere: moving rows to the archive and back (`tables/archive/`), archived 15m bars, which no asset reads
(`tables/archive/reading.py`).
"""

from boursomatic_assets.tables.reading.moments import keep_tables, see_one_moment
from boursomatic_assets.tables.reading.queries import fetch, one_moment
from boursomatic_assets.tables.reading.slices import SliceReader, count_rows, read_slice, read_table

__all__ = [
    "SliceReader",
    "count_rows",
    "fetch",
    "keep_tables",
    "one_moment",
    "read_slice",
    "read_table",
    "see_one_moment",
]
