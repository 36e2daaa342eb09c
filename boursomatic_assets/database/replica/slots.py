"""Replication slots: what the primary keeps of its log for those that follow it.

What belongs here: which slots there are, and which of them fill the disk.
Kept elsewhere: who says so (`cli/views/diagnosis/`, `metrics/`).
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

MUCH: Final = 1 << 30
"""Bytes of the log from which on a slot is named, though it is used."""

_SLOTS: Final = text("""
SELECT slot_name AS name, active, wal_status AS status,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint AS bytes
FROM pg_replication_slots ORDER BY bytes DESC, slot_name
""")


@dataclass(frozen=True)
class Slot:
    """A slot.

    Attributes:
        name: Its name.
        active: Whether somebody follows by it.
        bytes: How much of the log the server keeps for it.
        lost: Whether the server has given it up: who followed by it lacks what is removed.
    """

    name: str
    active: bool
    bytes: int
    lost: bool

    @property
    def fills_disk(self) -> bool:
        """Whether what is kept for it grows, or is much."""
        return not self.lost and (not self.active or self.bytes > MUCH)

    def __str__(self) -> str:
        state = "is lost" if self.lost else "is used" if self.active else "is not used"
        return f"{self.name} {state} and keeps {self.bytes >> 20:,} MiB of the log"


def read_slots(connection: Connection) -> list[Slot]:
    """The slots of the server, those that keep most first."""
    return [Slot(row.name, row.active, row.bytes, row.status == "lost") for row in connection.execute(_SLOTS)]
