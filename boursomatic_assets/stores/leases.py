"""Leases: the lock of a store in a bucket, an object that its holder writes anew again and again.

What belongs here: taking, renewing and releasing it, and taking over one whose holder was killed.
Kept elsewhere: the lock of a folder, which the system releases (`folder_store.py`).

No clock is compared with another: who finds a lease looks whether it is renewed, and takes over one that was not
for LOST_SECONDS. Each write names the version that it replaces, so of two that take over one alone does, and a
holder that slept meanwhile finds out before it writes what counts (`Lock.require`).
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from boursomatic_assets import absorbed
from boursomatic_assets.stores.store import Lock, MissingError, StoreError

if TYPE_CHECKING:
    from boursomatic_assets.stores.bucket_store import BucketStore

NAME = ".lock"

BEAT_SECONDS, LOST_SECONDS = 10.0, 60.0
"""How often a holder renews its lease, and after how long without it has lost it."""

LOOK_SECONDS = 0.5

_log = logging.getLogger(__name__)


class _Lease(Lock):
    """A lease that this process holds, once it has taken it."""

    def __init__(self, store: "BucketStore") -> None:
        self._store, self._number, self._lost = store, 0, False
        self._words = {"token": uuid4().hex, "host": socket.gethostname(), "pid": os.getpid()}
        self._renewing = threading.Lock()

    def take(self, tag: str | None) -> bool:
        """Take it, if its version is still the one of this tag; None: if there is none."""
        content = self._next()
        return self._store.exchange(NAME, tag, content) if tag else self._store.create(NAME, content)

    def require(self) -> None:
        """As `Lock.require`; it is renewed by that."""
        with self._renewing:
            self._lost = self._lost or not self._renew()
        if self._lost:
            raise StoreError(f"the lock of {self._store.address} was taken over meanwhile: give the command again")

    def release(self) -> None:
        """Delete it, unless another has it by now."""
        with self._renewing:
            if self._is_ours():
                self._store.delete(NAME)

    def _renew(self) -> bool:
        tag = self._store.tag(NAME)
        if tag is None or not self._is_ours():
            return False
        return self._store.exchange(NAME, tag, self._next()) or self._is_ours()  # an answer may have been lost

    def _is_ours(self) -> bool:
        return _holder(self._store).get("token") == self._words["token"]

    def _next(self) -> bytes:
        """Another content each time, so another tag."""
        self._number += 1
        return json.dumps(self._words | {"number": self._number}).encode()


@contextmanager
def held(store: "BucketStore", purpose: str) -> Iterator[Lock]:
    """Hold the lease of a store.

    Raises:
        StoreError: Another process holds it, and renews it.
    """
    lease, over = _Lease(store), threading.Event()
    while not lease.take(_abandoned(store, purpose)):
        continue  # another was faster, and is looked at in its turn
    threading.Thread(target=_renew_again, args=(lease, over), name="lease of a store", daemon=True).start()
    try:
        yield lease
    finally:
        over.set()
        try:
            lease.release()
        except StoreError as error:
            absorbed.record(error, "the lock is left to whoever comes next")


def _abandoned(store: "BucketStore", purpose: str) -> str | None:
    """The tag of a lease that nobody renews; None if there is none.

    Raises:
        StoreError: Somebody renews it.
    """
    tag, looks = store.tag(NAME), 0
    if tag is None:
        return None
    holder = _holder(store)
    shown = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
    _log.warning("%s has the lock of %s: waits for a sign of life, %.0f s", shown, store.address, LOST_SECONDS)
    while (present := store.tag(NAME)) == tag:
        if looks * LOOK_SECONDS >= LOST_SECONDS:  # a look that the service answers late counts once
            return tag
        looks += 1
        time.sleep(LOOK_SECONDS)
    if present is None:
        return None
    raise StoreError(f"{purpose} {store.address} goes on ({shown}): wait for its end")


def _holder(store: "BucketStore") -> dict[str, object]:
    """What a lease says of its holder; nothing if there is none, or none that can be read."""
    try:
        found: object = json.loads(store.get(NAME))
    except (MissingError, ValueError):  # whoever holds such a lease is as unknown as nobody
        return {}
    return found if isinstance(found, dict) else {}


def _renew_again(lease: _Lease, over: threading.Event) -> None:
    while not over.wait(BEAT_SECONDS):
        try:
            lease.require()
        except StoreError as error:
            absorbed.record(error, "the lock is asked for again before the set is complete")
