"""What `boursomatic status` shows of workers: the broker, its queues, and who executes what.

What belongs here: each of them as a line, and the line of `boursomatic doctor`. Kept elsewhere: asking the broker
(`broker/looking.py`), which runs live (`tables/claims/`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, text

from boursomatic_assets import absorbed, broker, database
from boursomatic_assets.broker import looking
from boursomatic_assets.code_version import code_version
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.settings import workers

_CLAIMED = text("SELECT run_id, host, pid, claimed_at FROM run_claims WHERE epoch = 0 ORDER BY claimed_at")
_COMPUTES = "SELECT run_id, value FROM run_tags WHERE key = %s AND run_id = ANY(%s)"


def lines(connection: Connection) -> Iterator[tuple[str, str]]:
    """Pairs of subject and value; none where no broker is set."""
    if workers.broker() is None:
        return
    try:
        waiting, found = looking.waiting_runs(), looking.workers()
    except broker.BrokerError as error:
        yield "broker", str(error)
        return
    lengths = ", ".join(f"{name} {count:,}" for name, count in waiting.items())
    yield "broker", f"{workers.public_broker()}, runs that wait for a worker: {lengths}"
    claimed = list(connection.execute(_CLAIMED))
    computes = _computes([row.run_id for row in claimed])
    for worker in found:
        yield "worker", _describe(worker, claimed, computes)
    if not found:
        yield "worker", "none answers: start one by `boursomatic worker`"


def check_broker() -> str:
    """The broker in a line, for `boursomatic doctor`.

    Raises:
        BrokerError: It does not answer.
    """
    if workers.broker() is None:
        return "none is set: runs go on where the daemon does"
    looking.require_answer(broker.open_app())
    found = looking.workers()
    places = sum(len(worker.pids) for worker in found)
    return f"{workers.public_broker()} answers, {len(found):,} workers with {places:,} places"


def _describe(worker: looking.Worker, claimed: Sequence[Any], computes: dict[str, str]) -> str:
    """A worker with what it executes."""
    runs = [row for row in claimed if (row.host, row.pid) in {(worker.host, pid) for pid in worker.pids}]
    does = [f"{row.run_id[:8]} {computes.get(row.run_id, '')} since {row.claimed_at:%H:%M:%S} UTC" for row in runs]
    code = "" if worker.code == code_version() else f", other code ({worker.code})"
    return f"{worker.name}, {len(runs)} of {len(worker.pids)} at work, queues {', '.join(worker.queues)}{code}" + (
        f": {'; '.join(does)}" if does else ""
    )


def _computes(runs: list[str]) -> dict[str, str]:
    """What runs compute, by id. Dagster's tables are read by SQL, because the import of Dagster takes seconds."""
    if not runs:
        return {}
    try:
        with database.connect(database.dagster_url()) as connection:
            return dict(connection.execute(_COMPUTES, [tags.COMPUTES, runs]).fetchall())
    except database.AwayError as error:  # a replica may answer all else
        absorbed.record(error, "what runs compute is not shown")
        return {}
