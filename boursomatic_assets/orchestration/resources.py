"""Dagster resources of the assets.

What belongs here: configuration that the launchpad shows. Kept elsewhere: the sources (`sources/`).
"""

import dagster as dg
from pydantic import Field

from boursomatic_assets.orchestration.partitions import START
from boursomatic_assets.sources import Source, open_source


class BarSource(dg.ConfigurableResource[None]):
    """The configured source of bars and instruments."""

    kind: str = Field(description="simulated, files, yahoo, stooq, or an order such as stooq,yahoo")
    instruments: int = Field(24, description="instruments per market, for the kind `simulated`")
    files: str | None = Field(None, description="folder with files of bars, for the kind `files`")
    extended_hours: bool = Field(False, description="whether 15m bars outside of the session are kept")

    def open(self) -> Source:
        """Open the configured source."""
        return open_source(self.kind, self.files, self.instruments, START)
