"""Dagster resources of the assets.

What belongs here: configuration that the launchpad shows, and when the ledger of files is written.
Kept elsewhere: the sources (`sources/`), the ledger (`tables/deliveries/files.py`).
"""

import dagster as dg
from pydantic import Field, PrivateAttr

from boursomatic_assets.orchestration.partitions import START
from boursomatic_assets.sources import Source, open_source
from boursomatic_assets.tables.deliveries import files


class BarSource(dg.ConfigurableResource[None]):
    """The configured source of bars and instruments."""

    kind: str = Field(description="simulated, files, yahoo, stooq, or an order such as stooq,yahoo")
    instruments: int = Field(24, description="instruments per market, for the kind `simulated`")
    files: str | None = Field(None, description="folder with files of bars, for the kind `files`")
    extended_hours: bool = Field(False, description="whether 15m bars outside of the session are kept")

    _run_id: str | None = PrivateAttr(None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note the run that reads from the source."""
        self._run_id = context.run.run_id if context.run else None

    def open(self) -> Source:
        """Open the configured source, and record what it says of its files.

        Raises:
            SourceError: the source is not there, such as a folder that is missing.
        """
        source = self.configured()
        reports = source.files()
        if self.kind == "files" or not reports.is_empty():  # an empty folder clears its ledger
            files.record(reports, source.name, self._run_id)
        return source

    def configured(self) -> Source:
        """The configured source, of which nothing is recorded yet."""
        return open_source(self.kind, self.files, self.instruments, START)
