"""Places: which store keeps models and the archive, and which one an address names.

What belongs here: opening stores. Kept elsewhere: the settings (`settings/`), what a store does (`store.py`).
"""

from pathlib import Path

from boursomatic_assets import settings
from boursomatic_assets.stores.folder_store import FolderStore
from boursomatic_assets.stores.store import Store

MODELS, ARCHIVE, BACKUPS = "models", "archive", "backups"
"""What a store keeps, each below its name."""

BUCKET = "s3://"
"""How the address of a bucket begins."""


def open_store(address: str, *, private: bool = False) -> Store:
    """The store of an address, which is a folder's path or begins with s3://.

    Args:
        address: As `BOURSOMATIC_STORE`, valid.
        private: Whether files of a folder are for the current user alone.
    """
    if not address.startswith(BUCKET):
        return FolderStore(Path(address).expanduser().absolute(), private=private)
    from boursomatic_assets.stores.bucket_store import BucketStore  # which loads obstore

    return BucketStore(address.rstrip("/"))


def models() -> Store:
    """The store of model files."""
    return open_store(f"{settings.store()}/{MODELS}")


def archive() -> Store:
    """The store of archived rows."""
    return open_store(settings.archive())
