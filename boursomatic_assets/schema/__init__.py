"""The tables: one class each, every column described once.

What belongs here: names, types, keys, indexes, the values that a column may hold, what a row and a column mean,
one file a subject; the ids of rows (`identifiers.py`), and the buckets of instruments (`buckets.py`).
Kept elsewhere: the migrations that create the tables (`migrations/`), connections (`database/`), and what makes a
delivered row valid (`quality/`). Nothing here needs a driver or an orchestrator.

All times are naive UTC. `Model.__table__.info["key"]` names the columns that identify a row of that table, and
`info["derived"]` says of a table that it is made from others.
Columns, keys and rules marked *extension* are added to the schema's specification, each with its reason.
"""

from boursomatic_assets.schema._columns import Table
from boursomatic_assets.schema.accounts import LoginAttempts, User, UserSettings
from boursomatic_assets.schema.alerts import Alert
from boursomatic_assets.schema.archive import ArchiveFile
from boursomatic_assets.schema.audit import AuditEntry, AuditHead, AuditLog
from boursomatic_assets.schema.features import Feature
from boursomatic_assets.schema.market_data import Instrument, InstrumentAlias, PriceBar, PriceBarRevision
from boursomatic_assets.schema.models import ModelDecision, ModelVersion
from boursomatic_assets.schema.provenance import ComputedSession, DeliveredFile, DeliveredSession, RejectedBar
from boursomatic_assets.schema.recommendations import (
    Recommendation,
    RecommendationExpiry,
    RecommendationWords,
    TrackRecord,
)
from boursomatic_assets.schema.runs import RunClaim
from boursomatic_assets.schema.summaries import Summary

__all__ = [
    "Alert",
    "ArchiveFile",
    "AuditEntry",
    "AuditHead",
    "AuditLog",
    "ComputedSession",
    "DeliveredFile",
    "DeliveredSession",
    "Feature",
    "Instrument",
    "InstrumentAlias",
    "LoginAttempts",
    "ModelDecision",
    "ModelVersion",
    "PriceBar",
    "PriceBarRevision",
    "Recommendation",
    "RecommendationExpiry",
    "RecommendationWords",
    "RejectedBar",
    "RunClaim",
    "Summary",
    "Table",
    "TrackRecord",
    "User",
    "UserSettings",
]
