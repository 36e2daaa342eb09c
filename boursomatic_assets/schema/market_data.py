"""The tables of market data: instruments, their bars, and earlier versions of bars."""

from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import BigInteger, CheckConstraint, Computed, Index, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import Field

from boursomatic_assets.schema._columns import (
    DEFAULT_TRUE,
    Table,
    corrected_at,
    defaulting_to_now,
    one_of,
    origin,
    positive,
    primary_key,
)
from boursomatic_assets.vocabulary import INTERVAL_NAMES, INTERVAL_PATTERN, MARKET_CAP_BUCKETS, PE_BUCKETS

WORDS_OF_INSTRUMENT = "words_of(symbol || ' ' || coalesce(name, '') || ' ' || coalesce(sector, ''))"


class Instrument(Table, table=True):
    """One stock or ETF per symbol and exchange.

    Extension: (symbol, exchange) is unique, because deliveries identify an instrument by that pair only; `words`
    and the index of trigrams, because advice is found by the names of its instrument, also if they are misspelt.
    """

    __tablename__ = "instruments"
    __table_args__ = (
        UniqueConstraint("symbol", "exchange"),
        one_of("market_cap_bucket", MARKET_CAP_BUCKETS),
        one_of("pe_bucket", PE_BUCKETS),
        Index("ix_instruments_words", "words", postgresql_using="gin"),
        Index(
            "ix_instruments_name_trigrams", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}
        ),
        {"info": {"key": ("symbol", "exchange")}},
    )

    id: UUID = primary_key("Unique instrument identifier")
    symbol: str = Field(sa_type=String(50), index=True, description="Stock ticker symbol")
    exchange: str = Field(
        sa_type=String(50), index=True, description="Exchange code (NYSE, NASDAQ, EURONEXT, etc.)"
    )
    name: str | None = Field(default=None, sa_type=String(255), description="Company/instrument name")
    sector: str | None = Field(default=None, sa_type=String(100), description="Business sector")
    market_cap_bucket: str | None = Field(default=None, sa_type=String(50), description="Market cap category")
    pe_bucket: str | None = Field(default=None, sa_type=String(50), description="P/E ratio category")
    is_active: bool = Field(
        default=True,
        index=True,
        sa_column_kwargs=DEFAULT_TRUE,
        description="Whether instrument is actively tracked",
    )
    created_at: NaiveDatetime = defaulting_to_now("Record creation")
    updated_at: NaiveDatetime = defaulting_to_now("Last update")
    words: str | None = Field(
        default=None,
        sa_type=TSVECTOR,
        sa_column_args=[Computed(WORDS_OF_INSTRUMENT, persisted=True)],
        description="The words of symbol, name and sector, by their English and their French stems",
    )


class InstrumentAlias(Table, table=True):
    """Another name under which an instrument is delivered: its bars go to the instrument.

    Extension: the whole table, because a share that changes its exchange, or that vendors list under different
    ones, must stay one series.
    """

    __tablename__ = "instrument_aliases"
    __table_args__ = (
        UniqueConstraint("symbol", "exchange"),
        {"info": {"key": ("symbol", "exchange")}},
    )

    id: UUID = primary_key("Unique alias identifier")
    symbol: str = Field(sa_type=String(50), description="Symbol that is delivered")
    exchange: str = Field(sa_type=String(50), description="Exchange that is delivered")
    instrument_id: UUID = Field(foreign_key="instruments.id", index=True, description="Instrument that it names")
    created_at: NaiveDatetime = defaulting_to_now("When the alias was stated")


class PriceBar(Table, table=True):
    """One bar per instrument, time and interval; a daily bar's `ts` is its session date at 00:00 UTC.

    Extension: prices are positive, finite and in order, and the volume is finite, because a stored NaN passes
    every later comparison without an error. An interval is a number and a unit, or `daily`, `weekly` or `monthly`;
    which of them the platform loads is for its sources and its data contract to say.

    Extension: `updated_at`, because `created_at` must stay the time of creation, and what was known when follows
    from the time of the last change.

    Extension: `file_id`, because a bar must be traceable to what a vendor wrote; `line`, because a file has many.
    There is no foreign key: each bar of a load would pay for it, and rows of `delivered_files` are never deleted.
    """

    __tablename__ = "price_bars"
    __table_args__ = (
        Index("idx_price_bars_instrument_ts_interval", "instrument_id", "ts", "interval", unique=True),
        *(positive(column) for column in "ohlc"),
        CheckConstraint("v >= 0 AND v < 'Infinity'", name="v"),
        CheckConstraint("h >= greatest(o, c, l)", name="high_is_highest"),
        CheckConstraint("l <= least(o, c, h)", name="low_is_lowest"),
        # The names come first: the pattern would take a tenth of a load's time.
        CheckConstraint(
            f"{one_of('interval', INTERVAL_NAMES).sqltext} OR interval ~ '{INTERVAL_PATTERN}'", name="interval"
        ),
        {"info": {"key": ("instrument_id", "ts", "interval")}},
    )

    id: UUID = primary_key("Unique bar identifier")
    instrument_id: UUID = Field(foreign_key="instruments.id", index=True, description="Associated instrument")
    ts: NaiveDatetime = Field(index=True, description="Bar timestamp")
    o: float = Field(description="Open price")
    h: float = Field(description="High price")
    l: float = Field(description="Low price")  # noqa: E741 - the specification's name
    c: float = Field(description="Close price")
    v: float = Field(description="Volume")
    interval: str = Field(sa_type=String(10), index=True, description="Time interval ('daily', '15m', etc.)")
    created_at: NaiveDatetime = defaulting_to_now("Record creation")
    updated_at: NaiveDatetime | None = corrected_at()
    file_id: int | None = origin(
        "File that it came from, see `delivered_files`; null: it came from none, or it is not known", BigInteger
    )
    line: int | None = origin("Line of that file, from 1; a record or row of other formats than text")


class PriceBarRevision(Table, table=True):
    """An earlier version of a bar, known until another delivery changed or removed it.

    Extension: the whole table, because it must be traceable which bars were known when a recommendation was
    published. A bar is known since its last change, or since its creation; its earlier versions are here.
    """

    __tablename__ = "price_bar_revisions"
    __table_args__ = (
        Index(
            "idx_price_bar_revisions_instrument_ts_interval",
            "instrument_id",
            "ts",
            "interval",
            "known_until",
            unique=True,
        ),
        {"info": {"key": ("instrument_id", "ts", "interval", "known_until")}},
    )

    id: UUID = primary_key("Unique revision identifier")
    instrument_id: UUID = Field(foreign_key="instruments.id", description="Associated instrument")
    ts: NaiveDatetime = Field(index=True, description="Bar timestamp")
    interval: str = Field(sa_type=String(10), description="Time interval")
    o: float = Field(description="Open price that was known")
    h: float = Field(description="High price that was known")
    l: float = Field(description="Low price that was known")  # noqa: E741 - the specification's name
    c: float = Field(description="Close price that was known")
    v: float = Field(description="Volume that was known")
    known_from: NaiveDatetime = Field(description="When this version became known")
    known_until: NaiveDatetime = Field(description="When this version was replaced or removed")
    source: str | None = Field(
        default=None, sa_type=String(50), description="Source of the delivery that replaced it"
    )
    file: str | None = Field(
        default=None, sa_type=String(500), description="File with the bar that replaced it; null: it was removed"
    )
    run_id: str | None = Field(default=None, sa_type=String(50), description="Run that replaced it")
    file_id: int | None = origin("File that this version came from, see `delivered_files`", BigInteger)
    line: int | None = origin("Line of the file that this version came from")
