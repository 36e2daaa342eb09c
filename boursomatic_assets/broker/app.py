"""The Celery application: the broker, its queues and how they are served, the same for both sides.

What belongs here: everything that the side that sends and the side that works must agree on, once.
Kept elsewhere: what is sent, and what is done with it (`orchestration/`).

Redis takes no message away by itself: one that is not confirmed within its visibility timeout comes again, and a
run that goes on or is over declines then. The timeout is longer than a run may last, so that this is seldom.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from boursomatic_assets.settings import workers
from boursomatic_assets.vocabulary import MARKET_NAMES

if TYPE_CHECKING:
    from celery import Celery
    from kombu.entity import Queue

OTHER: Final = "OTHER"
"""The queue of runs that are of no one market."""

EVERY_QUEUE: Final = (*MARKET_NAMES, OTHER)

VISIBILITY_SECONDS = 7 * 3600
"""A run lasts six hours at most (`max_runtime_seconds` of `dagster.yaml`)."""

SECONDS_TO_CONNECT = 5
"""How long a broker may take to answer before it is away."""

STEPS: Final = {"redis": (0, 9), "amqp": (9, 0)}
"""The priorities of what is due now and of backfills: the first comes first. Redis counts the other way."""


class BrokerError(RuntimeError):
    """The broker cannot be reached; one sentence, without its password."""


def open_app() -> "Celery":
    """Return a new application for the broker that is set.

    Raises:
        ValueError: None is set.
        BrokerError: Celery is not installed.
    """
    address = workers.broker()
    workers.public_broker()
    try:
        from celery import Celery
    except ImportError:
        raise BrokerError(
            "a broker is set, and Celery is not installed: `pip install boursomatic[celery]`"
        ) from None
    app = Celery("boursomatic", broker=address, backend=_backend(address or ""), set_as_current=False)
    app.conf.update(
        task_queues=[_queue(name) for name in EVERY_QUEUE],
        task_default_queue=OTHER,
        task_default_exchange_type="direct",
        task_create_missing_queues=False,
        task_acks_late=True,
        task_track_started=True,
        task_ignore_result=not _is_redis(),  # which nobody would fetch
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=SECONDS_TO_CONNECT,
        broker_transport_options=_transport_options(),
        redis_socket_connect_timeout=SECONDS_TO_CONNECT,
        result_expires=VISIBILITY_SECONDS,
        **_encryption(address or ""),
    )
    return app


def _queue(name: str) -> "Queue":
    from kombu.entity import Queue

    priorities = {"x-max-priority": max(_steps())}
    return Queue(name, routing_key=name, queue_arguments=priorities)  # type: ignore[no-untyped-call]


def _is_redis() -> bool:
    return (workers.broker() or "").startswith("redis")


def _backend(address: str) -> str:
    """Where results go: beside the messages; RabbitMQ keeps none, so there they are messages too."""
    return address if _is_redis() else "rpc://"


def _transport_options() -> dict[str, Any]:
    if not _is_redis():
        return {}
    return {
        "visibility_timeout": VISIBILITY_SECONDS,
        "priority_steps": sorted(STEPS["redis"]),
        "sep": ":",
        "queue_order_strategy": "priority",
        "socket_connect_timeout": SECONDS_TO_CONNECT,
    }


def _encryption(address: str) -> dict[str, Any]:
    """Of an encrypted connection the certificate is verified, by the authorities of this machine."""
    if address.startswith("rediss"):
        verified = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
        return {"broker_use_ssl": verified, "redis_backend_use_ssl": verified}
    if address.startswith("amqps"):
        name = urlsplit(address).hostname
        return {"broker_use_ssl": {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": name}}
    return {}


def _steps() -> tuple[int, int]:
    return STEPS["redis" if _is_redis() else "amqp"]


def priority_of(*, backfill: bool) -> int:
    """The priority of a message, as the broker counts: a backfill's comes after all others."""
    return _steps()[backfill]


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Turn an error of the broker into a sentence.

    Raises:
        BrokerError: It is away, or refuses.
    """
    from amqp.exceptions import AMQPError
    from kombu.exceptions import OperationalError
    from redis.exceptions import RedisError

    try:
        yield
    except (OperationalError, AMQPError, RedisError, OSError) as error:
        raise BrokerError(
            f"the broker at {workers.public_broker()} does not answer ({type(error).__name__}): start it, or"
            " correct BOURSOMATIC_BROKER"
        ) from None
