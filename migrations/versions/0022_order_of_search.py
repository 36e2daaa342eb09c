"""Advice of one time is found in one order, and functions of summaries read tables alone.

- The index of the words' times has the id behind the time: of one session's advice the same is found each time.
- Without `pg_temp` at the end of its path a function finds temporary tables first, and those of whoever refreshes
  a summary would be read with the rights of the tables' owner.

Revision ID: 0022
Revises: 0021
Create Date: 2026-11-30
"""

from alembic import op

revision = "0022"
down_revision = "0021"

INDEX = "ix_recommendation_words_as_of"

FUNCTIONS = ("summary_sources", "coverage_of_months")


def upgrade() -> None:
    """Replace the index, and end the paths with `pg_temp`."""
    op.drop_index(INDEX, "recommendation_words")
    op.create_index(INDEX, "recommendation_words", ["as_of", "id"])
    for function in FUNCTIONS:
        op.execute(f"ALTER FUNCTION public.{function}() SET search_path = pg_catalog, public, pg_temp")


def downgrade() -> None:
    """Put the former index and paths back."""
    for function in FUNCTIONS:
        op.execute(f"ALTER FUNCTION public.{function}() SET search_path = pg_catalog, public")
    op.drop_index(INDEX, "recommendation_words")
    op.create_index(INDEX, "recommendation_words", ["as_of"])
