"""The table of features: one row per instrument and daily bar."""

from typing import Any
from uuid import UUID

from pydantic import NaiveDatetime
from sqlalchemy import Index
from sqlmodel import Field

from boursomatic_assets.schema._columns import JSON_OR_NULL, Table, corrected_at, defaulting_to_now, primary_key


class Feature(Table, table=True):
    """One row of features per instrument and daily bar; `ts` is that bar's, the session date at 00:00 UTC.

    Extension: `updated_at`, because `created_at` must stay the time of creation, and advice is compared with what
    its features were when it was published.
    """

    __tablename__ = "features"
    __table_args__ = (
        Index("idx_features_instrument_ts", "instrument_id", "ts", unique=True),
        {"info": {"key": ("instrument_id", "ts")}},
    )

    id: UUID = primary_key("Unique feature record identifier")
    instrument_id: UUID = Field(foreign_key="instruments.id", index=True, description="Associated instrument")
    ts: NaiveDatetime = Field(index=True, description="Feature timestamp")
    ret_1d: float | None = Field(default=None, description="1-day return")
    ret_5d: float | None = Field(default=None, description="5-day return")
    ret_20d: float | None = Field(default=None, description="20-day return")
    rsi_14: float | None = Field(default=None, description="14-period RSI")
    momentum_5d: float | None = Field(default=None, description="5-day momentum")
    vol_20d: float | None = Field(default=None, description="20-day volatility")
    atr_14: float | None = Field(default=None, description="14-period Average True Range")
    volume_zscore: float | None = Field(default=None, description="Volume z-score")
    additional_features: dict[str, Any] | None = Field(
        default=None, sa_type=JSON_OR_NULL, description="Flexible storage for additional features"
    )
    created_at: NaiveDatetime = defaulting_to_now("Record creation")
    updated_at: NaiveDatetime | None = corrected_at()
