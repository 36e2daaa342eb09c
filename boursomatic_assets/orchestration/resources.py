"""Dagster resources of the assets.

What belongs here: when the source of the settings is opened, and the ledger of files is written.
Kept elsewhere: the settings (`settings/`), the sources (`sources/`), the ledger (`tables/deliveries/files.py`).
"""

import dagster as dg
from pydantic import PrivateAttr

from boursomatic_assets import settings
from boursomatic_assets.orchestration import failures
from boursomatic_assets.orchestration.partitions import START
from boursomatic_assets.sources import Source, open_source
from boursomatic_assets.tables.deliveries import files


class BarSource(dg.ConfigurableResource[None]):
    """The source of bars and instruments that the settings name."""

    # A run configures nothing of it: whoever may start runs does not choose which files are read.

    _run_id: str | None = PrivateAttr(None)

    @property
    def kind(self) -> str:
        """What `BOURSOMATIC_SOURCE` says."""
        return settings.source()

    @property
    def extended_hours(self) -> bool:
        """Whether 15m bars outside of the session are kept."""
        return settings.extended_hours()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note the run that reads from the source."""
        self._run_id = context.run.run_id if context.run else None

    def open(self) -> Source:
        """Open the configured source, and record what it says of its files.

        Raises:
            dagster.Failure: the source is not there, such as a folder that is missing.
        """
        with failures.of_source():
            source = self.configured()
            reports = source.files()
        if self.kind == "files" or not reports.is_empty():  # an empty folder clears its ledger
            files.record(reports, source.name, self._run_id)
        return source

    def configured(self) -> Source:
        """The configured source, of which nothing is recorded yet."""
        return open_source(self.kind, settings.files(), START)
