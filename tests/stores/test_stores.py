"""Stores: the same promises of a folder and of a bucket, however they are written to and whoever is away."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from worlds import loopback
from worlds.buckets import KEY, Service
from worlds.commands import SECRET

from boursomatic_assets.settings import patience
from boursomatic_assets.stores import leases, waiting
from boursomatic_assets.stores.places import open_store
from boursomatic_assets.stores.store import (
    AwayError,
    DamagedError,
    Entry,
    MissingError,
    Store,
    StoreError,
    sha256,
)

CONTENT = b"a model\n" * 1000
NAME = f"models/{sha256(CONTENT)}.json"


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "folder":
        return open_store(str(tmp_path / "store"))
    return open_store(request.getfixturevalue("buckets").new_bucket())


@pytest.fixture
def bucket(buckets: Service) -> Store:
    return open_store(buckets.new_bucket())


def again(store: Store) -> Store:
    """The same store, as another process opens it."""
    return open_store(store.address)


def test_what_is_written_is_read(store: Store) -> None:
    store.write_once(NAME, CONTENT)
    assert again(store).read(NAME) == CONTENT
    assert [*again(store).entries()] == [*store.entries("models/")] == [Entry(NAME, len(CONTENT))]
    assert store.find(NAME) == Entry(NAME, len(CONTENT))
    assert [*store.entries("others/")] == []


def test_what_is_deleted_is_gone_and_can_be_written_again(store: Store) -> None:
    store.write_once(NAME, CONTENT)
    store.delete(NAME)
    store.delete(NAME)
    assert [*store.entries()] == []
    assert store.find(NAME) is None
    with pytest.raises(MissingError, match=rf"^{re.escape(store.address)}/{NAME} is missing$"):
        store.read(NAME)
    store.write_once(NAME, CONTENT)
    assert store.read(NAME) == CONTENT


def test_a_name_says_what_its_content_is(store: Store) -> None:
    for name in (NAME, "models/of mine.json"):
        with pytest.raises(ValueError, match="does not hold"):
            store.write_once(name, b"something else")
    assert [*store.entries()] == []


def test_of_two_that_create_one_name_one_alone_writes(bucket: Store) -> None:
    """In a folder names that hold their SHA-256 are enough: whoever is second writes the same."""
    with ThreadPoolExecutor(8) as pool:
        created = [*pool.map(lambda i: again(bucket).create("name", b"%d" % i), range(8))]
    assert sum(created) == 1
    assert bucket.get("name") == b"%d" % created.index(True)


def test_several_writers_of_one_content_are_content(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: again(store).write_once(NAME, CONTENT), range(16)))
    assert store.read(NAME) == CONTENT
    assert [one.name for one in store.entries()] == [NAME]


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT[:100], CONTENT[:-1] + b"x", CONTENT * 2])
def test_a_truncated_or_changed_object_is_never_read_and_repaired_by_its_writer(
    store: Store, content: bytes, absorbed_errors: list[str]
) -> None:
    store.write_once(NAME, CONTENT)
    store.replace(NAME, content)
    with pytest.raises(DamagedError, match=rf"/{NAME} is damaged, its SHA-256 is {sha256(content)}$"):
        store.read(NAME)
    store.write_once(NAME, CONTENT)
    assert store.read(NAME) == CONTENT
    assert [line.partition(",")[0] for line in absorbed_errors] == [f"{NAME} is written again"]


def test_a_reader_sees_all_of_an_object_or_none_of_it(store: Store) -> None:
    """While it is written, deleted, and written again."""
    contents = [bytes([number]) * (3 << 20) for number in range(8)]
    over = threading.Event()

    def read() -> set[bytes]:
        seen, mine = set[bytes](), again(store)
        while not over.is_set():
            try:
                content = mine.get("large")
            except MissingError:  # not there yet
                continue
            assert len(set(content[:: 1 << 16])) == 1 and len(content) == 3 << 20
            seen.add(content[:1])
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for content in contents:
            store.replace("large", content)
            time.sleep(0.05)
        over.set()
        assert all(reader.result() for reader in readers)


@pytest.mark.parametrize("size", [0, 1, 8 << 20, (8 << 20) + 1, 21 << 20])
def test_an_object_of_any_size_is_saved_and_read_piece_by_piece(store: Store, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    pieces = [content[start : min(start + 999_983, size)] for start in range(0, size, 999_983)]
    saved = store.save("files/", pieces)
    assert (saved.size, saved.sha256) == (size, sha256(content[:size]))
    assert store.content(f"files/{saved.sha256}") == saved
    assert store.read(f"files/{saved.sha256}") == content[:size]


def test_nothing_is_there_of_an_object_whose_source_ends_in_an_error(store: Store) -> None:
    def pieces() -> Iterator[bytes]:
        yield CONTENT
        raise RuntimeError("the dump ended early")

    with pytest.raises(RuntimeError):
        store.save("files/", pieces(), "name")
    assert [*store.entries()] == []


def test_names_are_listed_in_order_whatever_they_hold(store: Store) -> None:
    names = ["date=2024-06-10/market=US/a b+c%2F.parquet", "date=2024-06-11/é.parquet", "z"]
    for name in reversed(names):
        store.replace(name, name.encode())
    assert [one.name for one in store.entries()] == names
    assert [one.name for one in store.entries("date=2024-06-10/")] == names[:1]
    assert [store.get(name).decode() for name in names] == names


# --- away


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits as a run does."""
    monkeypatch.setattr(patience._Process, "only_looks", False)
    monkeypatch.setenv("BOURSOMATIC_STORE_WAIT", "60")


ACTIONS: dict[str, Callable[[Store], object]] = {
    "write": lambda store: store.write_once(NAME, CONTENT),
    "save": lambda store: store.save("files/", [CONTENT], sha256(CONTENT)),
    "read": lambda store: store.read("there"),
    "pieces": lambda store: store.content("there"),
    "find": lambda store: store.find("there"),
    "list": lambda store: [*store.entries()],
    "delete": lambda store: store.delete("there"),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_store_that_is_away_for_a_while_is_waited_for(
    bucket: Store, buckets: Service, patient: None, action: str, absorbed_errors: list[str]
) -> None:
    there = f"{sha256(CONTENT)}.json"
    bucket.replace(there, CONTENT)
    buckets.gate.shut()
    back = threading.Timer(0.4, buckets.gate.open)
    back.start()
    ACTIONS[action](_renamed(bucket, there))
    back.join()
    assert buckets.gate.refused > 0
    assert re.match(r"the store answered after [\d.]+ s, after AwayError: s3://", absorbed_errors[0])
    assert "does not answer (no connection, or none in time)" in absorbed_errors[0]


def _renamed(store: Store, there: str) -> Store:
    """The store, in which `there` is the name of an object."""
    for method in ("read", "content", "find", "delete"):
        known = getattr(store, method)
        setattr(store, method, lambda _, known=known: known(there))
    return store


def test_a_store_that_stays_away_is_named_after_the_stated_time(
    bucket: Store, buckets: Service, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_STORE_WAIT", "2")
    buckets.gate.shut()
    began = time.monotonic()
    with pytest.raises(AwayError) as raised:
        bucket.read(NAME)
    assert 0.5 < time.monotonic() - began < 3
    assert str(raised.value) == (
        f"{bucket.address} does not answer (no connection, or none in time): start it, or correct AWS_ENDPOINT_URL"
    )


@pytest.mark.parametrize(("looks", "longest"), [(True, 5), (False, 300)])
def test_who_only_looks_does_not_wait_for_long_and_a_long_wait_is_said_once(
    looks: bool, longest: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept = list[float]()
    monkeypatch.setattr(waiting.time, "sleep", slept.append)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(patience._Process, "only_looks", looks)
    monkeypatch.setenv("BOURSOMATIC_STORE_WAIT", "300")
    with pytest.raises(AwayError):
        waiting.until_it_answers(_away)
    assert longest - 7 < sum(slept) <= longest
    said = [record.getMessage() for record in caplog.records if record.name == waiting.__name__]
    assert said == [f"waits for the store, for {longest:.0f} s at most: it is away"]


def _away() -> None:
    raise AwayError("it is away")


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown"), (429, "TooManyRequests")])
def test_a_store_that_has_enough_to_do_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
    buckets: Service,
    patient: None,
    status: int,
    code: str,
    absorbed_errors: list[str],
) -> None:
    busy = loopback.Response(f"<Error><Code>{code}</Code></Error>", status)
    with loopback.serve(loopback.answer_in_turn(busy, busy, loopback.Response(CONTENT))) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.address.rstrip("/"))
        assert open_store("s3://bucket").get("name") == CONTENT
    assert f"does not answer (status {status})" in absorbed_errors[0]


# --- what no waiting mends


def failure(address: str, action: str = "write") -> str:
    """The message of an error that is raised at once."""
    began = time.monotonic()
    with pytest.raises(StoreError) as raised:
        ACTIONS[action](open_store(address))
    assert not isinstance(raised.value, AwayError)
    assert time.monotonic() - began < 5
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("action", sorted({*ACTIONS} - {"find", "pieces", "delete"}))
def test_a_bucket_that_is_not_there_is_named(buckets: Service, patient: None, action: str) -> None:
    """The others are answered as for an object that is not there."""
    assert failure("s3://nowhere/x", action) == (
        "s3://nowhere/x: there is no such bucket: create it, or correct the address"
    )


@pytest.mark.parametrize("action", ACTIONS)
def test_wrong_credentials_are_named_and_never_shown(
    bucket: Store, buckets: Service, patient: None, action: str, caplog: pytest.LogCaptureFixture
) -> None:
    buckets.check_keys()
    try:
        message = failure(bucket.address, action)
    finally:
        buckets.trust()
    assert message.startswith(f"{bucket.address} refuses these credentials (")
    assert message.endswith(
        "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or let them read and write there"
    )
    for shown in (message, caplog.text, repr(bucket), bucket.address):
        assert KEY not in shown and SECRET not in shown


def test_missing_credentials_are_named(bucket: Store, patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert failure(bucket.address).endswith(
        "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )


def test_an_endpoint_without_encryption_must_be_allowed(
    bucket: Store, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{KEY}:{SECRET}@127.0.0.1:9")
    message = failure(bucket.address)
    assert "AWS_ALLOW_HTTP=true" in message
    assert SECRET not in message


def test_obstore_is_loaded_where_a_bucket_is_set_alone(tmp_path: Path) -> None:
    program = (
        "import sys; from boursomatic_assets.stores.places import open_store; open_store(sys.argv[1]).find('x');"
        " print('obstore' in sys.modules)"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "False\n"


# --- the lock


def test_one_process_at_a_time_holds_the_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.1)
    with store.locked("a backup into") as lock:
        lock.require()
        with pytest.raises(
            StoreError, match=rf"a backup into {re.escape(store.address)} goes on.*: wait for its end"
        ):
            again(store).locked("a backup into").__enter__()
        lock.require()
    with again(store).locked("a backup into"):
        pass
    assert [*store.entries()] == []


def test_the_lock_of_a_holder_that_was_killed_is_taken_over(
    bucket: Store, monkeypatch: pytest.MonkeyPatch, absorbed_errors: list[str]
) -> None:
    monkeypatch.setattr(leases, "LOST_SECONDS", 1.0)
    # The first says nothing for a while.
    with again(bucket).locked("a backup into") as lost, bucket.locked("a backup into") as lock:
        lock.require()
        with pytest.raises(StoreError, match="was taken over meanwhile: give the command again"):
            lost.require()
        lock.require()
    assert [*bucket.entries()] == []


def test_of_several_that_take_over_one_alone_does(bucket: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.replace(leases.NAME, b"{}")
    monkeypatch.setattr(leases, "LOST_SECONDS", 0.3)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)
    holders, most = list[int](), list[int]()

    def hold(number: int) -> bool:
        try:
            with again(bucket).locked("a backup into"):
                holders.append(number)
                most.append(len(holders))
                time.sleep(0.5)
                holders.remove(number)
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert any(pool.map(hold, range(4)))
    assert max(most) == 1
