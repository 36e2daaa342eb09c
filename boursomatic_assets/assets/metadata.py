"""Metadata."""

from typing import Any

import dagster as dg
from sqlalchemy.dialects import postgresql

from boursomatic_assets.schema import Table

OWNERS = ["team:data-engineering"]


def table_metadata(model: type[Table]) -> dict[str, Any]:
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
