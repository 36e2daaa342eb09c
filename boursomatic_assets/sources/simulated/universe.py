"""The universe: large companies of both markets, for sources that are asked symbol by symbol.

What belongs here: the list in `universe.csv` beside this file, with the columns symbol, exchange, name, sector,
sorted by exchange and symbol. It holds about 140 of the largest American companies, and those of the main indices
of Paris (CAC 40), Amsterdam (AEX), Brussels (BEL 20) and Lisbon (PSI), as of the middle of 2026. American symbols
have a dot before a class of shares (BRK.B); those of Euronext have Yahoo's suffix of their city
(MC.PA); the sectors are the eleven of GICS. A company of two indices is listed once.

To change it, edit the CSV: a line more is an instrument more. One that is taken out stays in the database, as
instruments are never deleted. The source `files` does not need it: its instruments are those of its bars; where an
`instruments.csv` of its own does not describe one, the name and the sector come from here.

Kept elsewhere: the sources themselves, and the instruments that are simulated (`source.py`).
"""

from importlib.resources import files

import polars as pl

from boursomatic_assets.sources import INSTRUMENTS


def read_universe() -> pl.DataFrame:
    """The instruments of the universe, with the columns of `INSTRUMENTS`; buckets, which change, are null."""
    text = files("boursomatic_assets.sources.simulated").joinpath("universe.csv").read_bytes()
    empty = pl.DataFrame(schema=INSTRUMENTS)
    return pl.concat([empty, pl.read_csv(text, infer_schema=False)], how="diagonal")
