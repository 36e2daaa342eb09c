"""Messages of failed connections: why, what to do next, and never a password."""

import re
import socket
import struct
import threading
import traceback
from collections.abc import Callable, Iterator

import pytest
from conftest import Admin
from sqlalchemy import Engine, make_url

from boursomatic_assets import database as db
from boursomatic_assets import settings

SECRET, ENCODED = "s3cret@/", "s3cret%40%2F"
FakeServer = Callable[..., str]


def by_engine() -> None:
    db.engine().connect().close()


def by_arrow() -> None:
    with db.arrow_connection():
        pass


@pytest.fixture(params=[by_engine, by_arrow, db.create_databases])
def refusal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The message for an address, for each way of opening a connection."""

    def of(address: str) -> str:
        monkeypatch.setenv("DATABASE_URL", address)
        with pytest.raises(db.DatabaseError) as raised:
            request.param()
        shown = "".join(traceback.format_exception(raised.value)) + str(raised.value.__cause__)
        assert "s3cret" not in shown
        assert "\n" not in str(raised.value)
        return str(raised.value)

    return of


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """Starts a fake server that sends one answer to each connection."""
    listeners = []

    def start(*answers: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=answer_each, args=(listener, answers), daemon=True).start()
        address = f"ann:{ENCODED}@127.0.0.1:{listener.getsockname()[1]}"
        return f"postgresql://{address}/prices?sslmode=disable&gssencmode=disable"

    yield start
    for listener in listeners:
        listener.close()


def answer_each(listener: socket.socket, answers: tuple[bytes, ...]) -> None:
    for answer in answers:
        client, _ = listener.accept()
        with client:
            client.recv(4096)
            client.sendall(answer)
            client.recv(4096)


def message(kind: bytes, *parts: str | bytes) -> bytes:
    """One message of PostgreSQL's protocol."""
    body = b"".join(part if isinstance(part, bytes) else part.encode() + b"\0" for part in parts)
    return kind + struct.pack("!i", len(body) + 4) + body


def welcome(version: str) -> bytes:
    return message(b"R", bytes(4)) + message(b"S", "server_version", version) + message(b"Z", b"I")


def test_the_message_without_a_server_has_its_address(refusal: Callable[[str], str]) -> None:
    assert refusal(f"postgresql://ann:{ENCODED}@127.0.0.1:1/prices") == (
        "the server at 127.0.0.1:1 does not answer (Connection refused): start it, or correct DATABASE_URL"
    )


def test_the_message_for_an_unknown_host_has_its_name(refusal: Callable[[str], str]) -> None:
    message_text = refusal(f"postgresql://ann:{ENCODED}@no-such-host.invalid/prices")
    assert message_text.startswith("the server at no-such-host.invalid:5432 does not answer (")


def test_the_message_for_a_wrong_password_has_the_user(admin: Admin, refusal: Callable[[str], str]) -> None:
    address = admin.url.set(password=SECRET).render_as_string(hide_password=False)
    assert f"refused the password of user {admin.url.username}: correct DATABASE_URL" in refusal(address)


@pytest.mark.parametrize("refusal", [by_engine, by_arrow], indirect=True)
def test_the_message_for_a_missing_database_has_the_command_that_creates_it(
    admin: Admin, refusal: Callable[[str], str]
) -> None:
    assert refusal(admin.address("nowhere")).endswith("has no database nowhere: run `boursomatic db upgrade`")


def test_the_servers_message_is_passed_on_for_other_refusals(
    admin: Admin, database: Engine, refusal: Callable[[str], str]
) -> None:
    database.dispose()
    admin.execute(f'ALTER DATABASE "{database.url.database}" ALLOW_CONNECTIONS false')
    message_text = refusal(admin.address(str(database.url.database)))
    assert message_text.endswith(
        f'refused the connection: database "{database.url.database}" is not currently accepting connections'
    )


@pytest.mark.parametrize("refusal", [by_engine], indirect=True)
def test_an_old_server_is_refused(fake_server: FakeServer, refusal: Callable[[str], str]) -> None:
    assert "is PostgreSQL 14, and 15 or later is needed" in refusal(fake_server(welcome("14.12")))


def test_a_server_that_starts_up_is_waited_for(
    fake_server: FakeServer, absorbed_errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_DATABASE_WAIT", "60")
    starting = message(b"E", "SFATAL", "C57P03", "Mthe database system is starting up", b"\0")
    address = fake_server(starting, starting, welcome("15.0"))
    with db.connect(make_url(address)) as connection:
        assert connection.info.server_version == 150000
    (line,) = absorbed_errors
    assert re.match(r"connected after \d\.\d s, after AwayError: the server at ", line)
    assert line.endswith(" refused the connection: the database system is starting up")


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("s3cret", "is not an address like postgresql"),
        ("postgresql://ann@host:s3cret/prices", "is not an address like postgresql"),
        ("mysql://ann:s3cret@host/prices", "starts with mysql: only PostgreSQL is used"),
        ("sqlite:///s3cret.db", "starts with sqlite: only PostgreSQL is used"),
        ("postgresql://ann:s3cret@host", "names no database"),
        (
            "postgresql://ann:s3cret@host/prices?no_such_option=1",
            'invalid connection option "no_such_option"',
        ),
    ],
)
def test_a_wrong_address_is_explained(refusal: Callable[[str], str], address: str, what: str) -> None:
    assert what in refusal(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ann:s3cret@host/prices", "postgresql://ann:***@host/prices"),
        (
            "postgresql://host/prices?user=ann&password=s3cret",
            "postgresql://host/prices?password=***&user=ann",
        ),
        ("postgresql://ann@/prices?passfile=file", "postgresql://ann@/prices?passfile=file"),
    ],
)
def test_a_shown_address_has_no_password(address: str, shown: str) -> None:
    assert settings.redacted(make_url(address)).replace("%2A", "*") == shown


def test_a_wrong_address_of_dagsters_storage_is_blamed_on_its_own_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://ann:{ENCODED}@127.0.0.1:1/prices")
    monkeypatch.setenv("DAGSTER_DATABASE_URL", f"postgresql://ann:{ENCODED}@127.0.0.1:2/runs")
    with pytest.raises(db.DatabaseError, match=r"127\.0\.0\.1:2 .* correct DAGSTER_DATABASE_URL$"):
        db.connect(db.dagster_url())
    monkeypatch.delenv("DAGSTER_DATABASE_URL")
    with pytest.raises(db.DatabaseError, match=r"127\.0\.0\.1:1 .* correct DATABASE_URL$"):
        db.connect(db.dagster_url())
