"""Backups: the whole platform in a folder, and back from it.

What belongs here: which databases and files make up the platform (`places.py`), the folder of a backup
(`folder.py`) and what a set in it says of itself (`manifest.py`), making a set (`making.py`), and restoring one
(`restoring.py`) into an empty place (`emptiness.py`, `mark.py`).
Kept elsewhere: dumping and filling a database (`database/dumps.py`), copying files (`stores/streams.py`), moving
15m bars to the archive and back (`tables/archive.py`), checking what was restored (`cli/operating/backups.py`).
"""


class BackupError(RuntimeError):
    """A backup cannot be made or restored. The message is one line: why, and what to do."""
