"""A read replica: a server that follows the primary by streaming, and answers what only reads.

What belongs here: how far it is behind (`lag.py`), whether it is read (`reading.py`), what the primary keeps for
those that follow it (`slots.py`), and making one of the embedded server (`making.py`).
Kept elsewhere: its address (`addresses.py`), its folders (`embedded/standby.py`).
"""

from boursomatic_assets.database.replica.reading import begin_anew, from_primary, reading

__all__ = ["begin_anew", "from_primary", "reading"]
