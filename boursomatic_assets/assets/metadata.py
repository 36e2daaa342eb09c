"""Metadata of asset definitions: the name and the columns that the UI shows of a table.

What belongs here: definition-time metadata, derived from the models in `schema/`.
Kept elsewhere: what a run reports (`orchestration/reporting.py`).
"""

from typing import Any

import dagster as dg
from sqlalchemy.dialects import postgresql

from boursomatic_assets.schema import Table
from boursomatic_assets.tables.summaries.refreshing import Extent


def table_metadata(model: type[Table]) -> dict[str, Any]:
    """Metadata of an asset: the name and the columns of its table; its materialisations name the database too."""
    table = model.__table__
    return {"dagster/table_name": f"public.{table.name}", "dagster/column_schema": column_schema(model)}


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


def view_metadata(name: str) -> dict[str, Any]:
    """Metadata of an asset that is a view."""
    return {"dagster/table_name": f"public.{name}"}


def refreshed(found: Extent) -> dg.MaterializeResult[None]:
    """The result of an asset that is a materialised view."""
    return dg.MaterializeResult(metadata={"dagster/row_count": found.rows, "as_of": str(found.as_of or "none")})
