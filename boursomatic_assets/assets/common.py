"""What all assets share: policies, and what the UI shows of a table before its first row.

What belongs here: definition-time metadata, projected from the models.
Kept elsewhere: what a run reports (`io_manager.py`).
"""

from typing import Any

import dagster as dg
from sqlalchemy.dialects import postgresql

from boursomatic_assets.models import Table

OWNERS = ["team:data-engineering"]

BARS_POLICY, FEATURES_POLICY, ADVICE_POLICY = (
    dg.BackfillPolicy.multi_run(max_partitions_per_run=100_000 + stage) for stage in range(3)
)
"""In all three stages a range of sessions of one market is one run. They differ on purpose: assets of one policy
share a run, but features look back on sessions, and models on a market, that other runs may be writing."""


def about(model: type[Table]) -> dict[str, Any]:
    """Metadata that says what the columns of an asset's table mean."""
    return {"dagster/column_schema": column_schema(model)}


def column_schema(model: type[Table]) -> dg.TableSchema:
    """A table as Dagster shows it: each column's type, description and constraints."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    columns = [
        dg.TableColumn(
            name=column.name,
            type=column.type.compile(dialect).lower(),
            description=model.model_fields[column.name].description,
            constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=bool(column.primary_key)),
        )
        for column in model.__table__.columns
    ]
    return dg.TableSchema(columns=columns)
