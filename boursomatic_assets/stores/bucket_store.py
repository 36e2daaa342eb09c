"""A store in a bucket of an S3-compatible service, through obstore.

What belongs here: how objects are kept there. Credentials, endpoint and region come from the usual environment,
`AWS_*`, which obstore reads; nothing here knows them. Kept elsewhere: what an error means (`bucket_errors.py`),
waiting (`waiting.py`), the lock (`leases.py`).

obstore is imported here alone, and this module where an address of a bucket is set alone: it takes 16 MB.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from boursomatic_assets.stores import bucket_errors, leases
from boursomatic_assets.stores.store import Entry, Lock, Store, digest_in
from boursomatic_assets.stores.streams import Content
from boursomatic_assets.stores.waiting import until_it_answers

Result = TypeVar("Result")

SCHEME = "s3://"

PIECE_BYTES = 8 << 20


class BucketStore(Store):
    """Objects below a prefix of a bucket."""

    def __init__(self, address: str) -> None:
        """Name it; nothing is asked yet."""
        super().__init__(address)
        bucket, _, prefix = address.removeprefix(SCHEME).partition("/")
        self._objects = self._ask(
            # Asking again is done here, where it is recorded.
            lambda: S3Store(bucket, prefix=prefix or None, retry_config={"max_retries": 0})
        )

    def create(self, name: str, content: bytes) -> bool:
        """As `Store.create`, by a conditional put: of two at once one alone writes."""
        try:
            self._ask(lambda: obstore.put(self._objects, name, content, mode="create"))
        except AlreadyExistsError:
            return False
        return True

    def save(self, below: str, pieces: Iterable[bytes], name: str = "") -> Content:
        """As `Store.save`. The content is put into a private file first, so that it can be sent again.

        The file has no name, so nothing of it stays, however this process ends.
        """
        digest, size = hashlib.sha256(), 0
        with tempfile.TemporaryFile() as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            target = f"{below}{name or digest.hexdigest()}"

            def send() -> None:
                file.seek(0)
                obstore.put(self._objects, target, file)

            self._ask(send)
        return Content(size, digest.hexdigest())

    def get(self, name: str) -> bytes:
        """As `Store.get`."""
        try:
            return self._ask(lambda: bytes(obstore.get(self._objects, name).bytes()))
        except FileNotFoundError:
            raise self.missing(name) from None

    def pieces(self, name: str) -> Iterator[bytes]:
        """As `Store.pieces`; each piece is asked for by itself, so a lost connection costs one."""
        if (entry := self.find(name)) is None:
            raise self.missing(name)
        for start in range(0, entry.size, PIECE_BYTES):
            length = min(PIECE_BYTES, entry.size - start)
            yield self._range(name, start, length)

    def _range(self, name: str, start: int, length: int) -> bytes:
        try:
            return self._ask(lambda: bytes(obstore.get_range(self._objects, name, start=start, length=length)))
        except FileNotFoundError:  # deleted meanwhile
            raise self.missing(name) from None

    def claimed(self, name: str) -> Content:
        """As `Store.claimed`: a service has checksums of its own, so nothing is fetched to prove a name."""
        digest, found = digest_in(name), self.find(name)
        return Content(found.size, digest) if found and digest else self.content(name)

    def holds(self, name: str, wanted: Content) -> bool:
        """As `Store.holds`, by name and size."""
        found = self.find(name)
        return found is not None and Content(found.size, digest_in(name) or "") == wanted

    def entries(self, below: str = "") -> Iterator[Entry]:
        """As `Store.entries`."""
        found = self._ask(lambda: [one for some in obstore.list(self._objects, below.rstrip("/")) for one in some])
        return iter(sorted((Entry(one["path"], one["size"]) for one in found), key=lambda entry: entry.name))

    def find(self, name: str) -> Entry | None:
        """As `Store.find`."""
        try:
            return Entry(name, self._ask(lambda: obstore.head(self._objects, name))["size"])
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """As `Store.delete`."""
        self._ask(lambda: obstore.delete(self._objects, name))

    def remove_unfinished(self) -> None:
        """As `Store.remove_unfinished`; unfinished uploads are seen by nobody, and end by a rule of the bucket."""

    def tag(self, name: str) -> str | None:
        """What names the present version of an object; None if there is none."""
        try:
            return self._ask(lambda: obstore.head(self._objects, name))["e_tag"]
        except FileNotFoundError:
            return None

    def exchange(self, name: str, tag: str, content: bytes) -> bool:
        """Replace the version of an object that has this tag; return False if it has another, which stays."""
        try:
            self._ask(lambda: obstore.put(self._objects, name, content, mode={"e_tag": tag}))
        except (PreconditionError, FileNotFoundError):
            return False
        return True

    def locked(self, purpose: str) -> AbstractContextManager[Lock]:
        """As `Store.locked`, by an object that its holder renews."""
        return leases.held(self, purpose)

    def _ask(self, ask: Callable[[], Result]) -> Result:
        """Ask the service, and wait for it if it is away.

        Raises:
            FileNotFoundError: The object is not there.
            AlreadyExistsError: It is.
            PreconditionError: It is another version.
            StoreError: Anything else.
        """

        def asked() -> Result:
            try:
                return ask()
            except (AlreadyExistsError, PreconditionError):
                raise
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise bucket_errors.explain(error, self.address) from None
                raise
            except BaseError as error:
                raise bucket_errors.explain(error, self.address) from None

        return until_it_answers(asked)
