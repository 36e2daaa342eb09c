"""Looking at the broker: how many runs wait in each queue, and which workers there are.

What belongs here: the questions, and what a worker answers of itself. Kept elsewhere: which runs it executes
(`tables/claims/`).
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boursomatic_assets.broker.app import EVERY_QUEUE, errors_in_words, open_app

if TYPE_CHECKING:
    from celery import Celery

ANSWER_SECONDS = 1.0
"""How long is waited for the answers of workers, of which nobody knows how many will come."""

QUESTION = "boursomatic_worker"


@dataclass(frozen=True)
class Worker:
    """What a worker says of itself.

    Attributes:
        name: Its name, which holds its machine's.
        host: Its machine, as claims of runs name it.
        pids: Its processes, of which each executes a run at a time.
        queues: The queues that it serves.
        code: The version of its code.
    """

    name: str
    host: str
    pids: tuple[int, ...]
    queues: tuple[str, ...]
    code: str

    def serves(self, queue: str) -> int:
        """How many runs of a queue it can execute at once."""
        return len(self.pids) if queue in self.queues else 0


def answer(code: str) -> None:
    """Let this process, which is a worker, answer the question, with the version of its code."""
    from celery.worker.control import inspect_command

    @inspect_command(name=QUESTION)  # type: ignore[untyped-decorator] # Celery has no types
    def describe(state: Any) -> dict[str, Any]:
        pool = state.consumer.pool
        return {
            "host": socket.gethostname(),
            "pids": [process.pid for process in pool._pool._pool],
            "queues": list(state.app.amqp.queues.consume_from),
            "code": code,
        }


def workers(app: "Celery | None" = None) -> list[Worker]:
    """The workers that answer, by name.

    Raises:
        BrokerError: The broker does not answer.
    """
    with errors_in_words():
        answers = (app or open_app()).control.broadcast(QUESTION, reply=True, timeout=ANSWER_SECONDS) or []
    return sorted(
        (
            Worker(name, said["host"], tuple(said["pids"]), tuple(said["queues"]), said["code"])
            for one in answers
            for name, said in one.items()
            if "pids" in said
        ),
        key=lambda worker: worker.name,
    )


def waiting_runs() -> dict[str, int]:
    """How many runs wait in each queue for a worker.

    Raises:
        BrokerError: The broker does not answer.
    """
    return dict(_queue_lengths(open_app()))


def require_answer(app: "Celery") -> None:
    """Require that the broker answers.

    Raises:
        BrokerError: It does not.
    """
    with errors_in_words(), app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=2, interval_start=0.5, interval_step=1)


def _queue_lengths(app: "Celery") -> Iterator[tuple[str, int]]:
    require_answer(app)
    with errors_in_words(), app.connection_for_read() as connection:
        for name in EVERY_QUEUE:
            count = 0
            with contextlib.suppress(*connection.channel_errors), connection.channel() as channel:
                count = channel.queue_declare(name, passive=True).message_count  # an error: nobody has used it yet
            yield name, count


def own_name() -> str:
    """The name of a worker that this process is."""
    return f"{os.getpid()}@{socket.gethostname()}"
