"""The run coordinator: how many of the runs that wait the daemon launches.

What belongs here: the class that `dagster.yaml` names; where a broker is set, its limits follow from the workers.
Kept elsewhere: the limits without a broker (`dagster.yaml`), those with one (`places.py`).

Dagster would hand over as many as the file says, whether anybody works or not: what waits in the broker for longer
than a run may take to start has failed, and what the broker loses is noticed only then.
"""

import time

from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig

from boursomatic_assets import absorbed
from boursomatic_assets.broker import BrokerError, looking
from boursomatic_assets.code_version import code_version
from boursomatic_assets.orchestration.dagster_patches.queue import places
from boursomatic_assets.settings import workers

LOOK_SECONDS = 10.0
"""How long what workers have answered holds."""


class PlacesRunCoordinator(QueuedRunCoordinator):
    """Dagster's own queue; with a broker it launches what workers have places for."""

    _looked: tuple[float, list[looking.Worker]] | None = None

    def get_run_queue_config(self) -> RunQueueConfig:
        """The limits at this moment."""
        stated = super().get_run_queue_config()
        if workers.broker() is None:
            return stated
        most, by_tag = places.limits(self._workers(), stated.tag_concurrency_limits)
        return stated._replace(max_concurrent_runs=most, tag_concurrency_limits=by_tag)

    def _workers(self) -> list[looking.Worker]:
        """The workers of the same code that answer; none while the broker does not, and what waits stays."""
        if self._looked is None or time.monotonic() - self._looked[0] > LOOK_SECONDS:
            try:
                found = [worker for worker in looking.workers() if worker.code == code_version()]
            except BrokerError as error:
                absorbed.record(error, "no run is launched for now")
                found = []
            self._looked = time.monotonic(), found
        return self._looked[1]
