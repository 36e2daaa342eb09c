"""The broker: what is due now comes first, what is not confirmed comes again, and its password is never shown."""

import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from amqp.exceptions import AccessRefused, NotAllowed
from worlds import workers

from boursomatic_assets import broker, settings
from boursomatic_assets.broker import app as application
from boursomatic_assets.broker import looking
from boursomatic_assets.settings import workers as worker_settings

if TYPE_CHECKING:
    from celery import Celery


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[workers.Redis]:
    with workers.redis(tmp_path / "redis") as server:
        monkeypatch.setenv("BOURSOMATIC_BROKER", server.address)
        yield server


def send(app: "Celery", queue: str, name: str, *, backfill: bool) -> None:
    app.send_task(name, queue=queue, priority=broker.priority_of(backfill=backfill))


def received(app: "Celery", count: int, *, confirm: bool = True) -> list[str]:
    """The names of messages in the order in which a worker gets them, which takes one after the other."""
    names = list[str]()

    def take(body: Any, message: Any) -> None:
        names.append(message.headers["task"])
        if confirm:
            message.ack()

    with app.connection_for_read() as connection:
        consumer = app.amqp.TaskConsumer(connection.default_channel, on_message=None, callbacks=[take])
        consumer.qos(prefetch_count=1 if confirm else 10)
        with consumer:
            while len(names) < count:
                connection.drain_events(timeout=10)
    return names


@workers.needs_redis
@pytest.mark.slow
def test_what_is_due_now_comes_before_backfills_of_any_queue(redis: workers.Redis) -> None:
    app = broker.open_app()
    for queue, name, backfill in (
        ("US", "ten years", True),
        ("EURONEXT", "five years", True),
        ("EURONEXT", "today", False),
    ):
        send(app, queue, name, backfill=backfill)
    assert looking.waiting_runs() == {"US": 1, "EURONEXT": 2, "OTHER": 0}
    assert received(app, 3) == ["today", "ten years", "five years"]
    assert looking.waiting_runs() == {"US": 0, "EURONEXT": 0, "OTHER": 0}


@workers.needs_redis
@pytest.mark.slow
def test_what_is_not_confirmed_in_time_comes_again(redis: workers.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "VISIBILITY_SECONDS", 1)
    app = broker.open_app()
    send(app, "US", "long", backfill=False)
    assert received(app, 1, confirm=False) == ["long"]
    time.sleep(1.1)
    assert received(broker.open_app(), 1) == ["long"]


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_named_without_its_password(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_BROKER", f"{scheme}://ada:s3cret@127.0.0.1:1/0")
    with pytest.raises(broker.BrokerError) as error:
        looking.workers()
    assert str(error.value).startswith(f"the broker at {scheme}://127.0.0.1:1/0 does not answer")
    assert error.value.__suppress_context__
    assert "s3cret" not in str(error.value)


def test_both_sides_have_one_broker_and_one_place_for_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_BROKER", "redis://host/1")
    assert broker.open_app().conf.result_backend == "redis://host/1"
    monkeypatch.setenv("BOURSOMATIC_BROKER", "amqp://host")
    assert broker.open_app().conf.result_backend == "rpc://"


def test_an_encrypted_connection_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOURSOMATIC_BROKER", "rediss://host/1")
    assert broker.open_app().conf.broker_use_ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert broker.open_app().connection_for_read().ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    monkeypatch.setenv("BOURSOMATIC_BROKER", "amqps://host")
    assert broker.open_app().conf.broker_use_ssl == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "host"}


@pytest.mark.parametrize(
    "wrong",
    [
        "localhost:6379",
        "http://host",
        "redis://ada:s3cret@",
        "redis://host:port",
        "redis://host/0?password=s3cret",
    ],
)
def test_what_is_no_address_of_a_broker_is_refused_without_being_shown(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_BROKER", wrong)
    with pytest.raises(settings.SettingError, match=r"^BOURSOMATIC_BROKER is no broker") as error:
        worker_settings.broker()
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("refusal", [AccessRefused(), NotAllowed(), ConnectionRefusedError(), TimeoutError()])
def test_what_a_broker_refuses_is_one_sentence(refusal: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password of RabbitMQ is no error of the connection for its client."""
    monkeypatch.setenv("BOURSOMATIC_BROKER", "amqp://ada:s3cret@host/bars")
    sentence = r"^the broker at amqp://\S+ does not answer"
    with pytest.raises(broker.BrokerError, match=sentence) as said, broker.errors_in_words():
        raise refusal
    assert "s3cret" not in str(said.value)


def test_without_a_broker_there_is_none_to_open() -> None:
    with pytest.raises(ValueError, match="set BOURSOMATIC_BROKER"):
        broker.open_app()


@pytest.mark.slow
def test_where_no_broker_is_set_celery_is_not_loaded() -> None:
    """Not by the code of assets, the launcher, the coordinator, or the view of the status."""
    modules = ("definitions", "cli.main", "cli.views.operating.status", "orchestration.dagster_patches.launcher")
    patches = ("storages.run_storage", "queue.coordinator")
    named = [*modules, *(f"orchestration.dagster_patches.{name}" for name in patches)]
    imports = "; ".join(f"import boursomatic_assets.{name}" for name in named)
    program = f"import sys; {imports}; assert not {{'celery', 'kombu', 'dagster_celery'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", program], check=True)
