"""The words of the justifications that are there already.

One statement, which locks nobody out: it reads `recommendations` as it is when it begins, and what is written from
then on has its words by the triggers of the migration before. A million rows take three to four minutes.

Revision ID: 0020
Revises: 0019
Create Date: 2026-11-30
"""

from alembic import op

revision = "0020"
down_revision = "0019"

FILL = """
INSERT INTO recommendation_words (id, instrument_id, profile, as_of, words)
SELECT id, instrument_id, profile, as_of, words_of(coalesce(justification, ''))
FROM recommendations WHERE superseded_at IS NULL ORDER BY as_of
ON CONFLICT (id) DO NOTHING
"""

FORGET = """
DELETE FROM recommendation_words w USING recommendations r WHERE r.id = w.id AND r.superseded_at IS NOT NULL
"""
"""What was superseded meanwhile: its trigger found no words yet."""


def upgrade() -> None:
    """Fill the table, and gather its statistics."""
    op.execute(FILL)
    op.execute(FORGET)
    op.execute("ANALYZE recommendation_words")


def downgrade() -> None:
    """Empty the table, as it was before."""
    op.execute("TRUNCATE recommendation_words")
