"""The manifest: what a set of a backup holds, in JSON, with the digest of everything.

What belongs here: its fields, and its text. It ends with its own digest, and is read only if it is to
the letter as it was written. Kept elsewhere: where it lies (`folder.py`).
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from boursomatic_assets.backups import BackupError
from boursomatic_assets.stores.streams import Content

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class DumpedDatabase:
    """The dump of a database: its content, the server's version, and the number of rows of each table."""

    content: Content
    postgresql: str
    rows: dict[str, int]


@dataclass(frozen=True)
class CopiedFile:
    """A file: the kind of folder that it lies in, its path there, its content, and its permissions."""

    place: str
    path: str
    content: Content
    mode: int

    def __str__(self) -> str:
        return f"{self.place}/{self.path}"


@dataclass(frozen=True)
class Manifest:
    """What a set holds.

    Attributes:
        began_at: When it was begun, in UTC.
        product: The version of the code that made it.
        revision: That of the platform's schema.
        databases: The dumps, by the name of their file without its ending.
        files: All other files.
    """

    began_at: str
    product: str
    revision: str
    databases: dict[str, DumpedDatabase]
    files: tuple[CopiedFile, ...]

    def to_text(self) -> str:
        """The file's text."""
        fields = {"format": FORMAT} | asdict(self)
        digest = hashlib.sha256(_as_text(fields).encode()).hexdigest()
        return _as_text(fields | {"sha256": digest})

    @property
    def sha256(self) -> str:
        """The digest of all that it says."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    @property
    def size(self) -> int:
        """The bytes of all that it names."""
        dumps = sum(one.content.size for one in self.databases.values())
        return dumps + sum(one.content.size for one in self.files)


def read(content: bytes, shown: str) -> Manifest:
    """The manifest of a set, from the content of its file.

    Args:
        content: The content.
        shown: The file, as a message names it.

    Raises:
        BackupError: It is not as it was written, or was written by newer code.
    """
    try:
        text = content.decode()
        fields: dict[str, Any] = json.loads(text)
        known = fields.pop("format") == FORMAT
        fields.pop("sha256")
        found = _from_fields(fields) if known else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(shown) from None
    if found is None:
        raise BackupError(
            f"{shown} has a form that this code does not know: restore it with the code that made it"
        )
    if found.to_text() != text:
        raise _damaged(shown)
    return found


def _from_fields(fields: dict[str, Any]) -> Manifest:
    databases = {
        name: DumpedDatabase(**one | {"content": Content(**one["content"])})
        for name, one in fields["databases"].items()
    }
    files = tuple(CopiedFile(**one | {"content": Content(**one["content"])}) for one in fields["files"])
    return Manifest(**fields | {"databases": databases, "files": files})


def _damaged(shown: str) -> BackupError:
    return BackupError(f"{shown} is damaged: it is not as it was written; restore another set, with --set")


def _as_text(fields: dict[str, Any]) -> str:
    return json.dumps(fields, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
