"""What assets are handed by Dagster, besides frames.

What belongs here: configuration that the launchpad shows. Kept elsewhere: the sources themselves (`sources/`).
"""

import dagster as dg
from pydantic import Field

from boursomatic_assets.orchestration.partitions import START
from boursomatic_assets.sources import Source, open_source


class BarSource(dg.ConfigurableResource[None]):
    """Where bars come from."""

    kind: str = Field(description="simulated, files, yahoo, stooq, or an order such as stooq,yahoo")
    instruments: int = Field(24, description="instruments of a market, for the kind `simulated`")
    files: str | None = Field(None, description="the folder with the bars, for the kind `files`")
    extended_hours: bool = Field(False, description="whether 15m bars outside of a session are wanted too")

    def open(self) -> Source:
        """The source that is configured."""
        return open_source(self.kind, self.files, self.instruments, START)
