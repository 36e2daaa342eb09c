"""Words of instruments and of justifications, by which advice is found.

- the extensions `unaccent` and `pg_trgm`: words without their accents, and names that are spelled nearly so. Both
  are part of PostgreSQL's contrib modules, and trusted: the owner of a database may create them.
- `english_words`, `french_words`: text search configurations with the stems of their language and without accents.
- `words_of`: the words of a text by both. No column says in which language a justification is written.
- `instruments.words`: generated from symbol, name and sector. The table has few rows, and is written anew last of
  all: its readers waited for 0.1 s with 500 instruments, and would for 1 s with 10,000, on two busy cores.
- `recommendation_words`: the words of each justification that stands, written by triggers of `recommendations`.

Why these are no column of `recommendations`: on a million rows (2 GB) a generated column writes the table anew
while nobody may read it, for minutes. A plain column that is filled in batches writes each published row anew,
with its twelve indexes: 0.6 ms a row, and the table is twice as large afterwards; a table of its own took 0.1 ms,
and what was published is not touched. An index on the expression alone is the smallest (75 MB, not 0.8 GB), and
has no words to look at where a frequent word is looked for among the newest rows: they are made again from the
text, at 0.1 to 0.3 ms a row. There is no foreign key: each row of advice would pay for it, and words that have no
advice are not shown.

Who writes advice pays 0.2 ms a row: 750 rows of a session took 1.4 times as long (`python bench/run.py search`).

The rows that are there get their words in the next migration, which locks nothing.

Revision ID: 0019
Revises: 0018
Create Date: 2026-11-30
"""

import sqlalchemy as sa
from alembic import context, op
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from boursomatic_assets.database.roles import grants

revision = "0019"
down_revision = "0018"

EXTENSIONS = ("unaccent", "pg_trgm")
LANGUAGES = ("english", "french")

WORDS_OF = """
CREATE FUNCTION public.words_of(written text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector('public.english_words'::regconfig, left(written, 100000))
    || to_tsvector('public.french_words'::regconfig, left(written, 100000))
"""
"""The words of the beginning of a very long text: more than a million bytes of them would be an error."""

OWNERS_RIGHTS = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"

ADD_WORDS = f"""
CREATE FUNCTION public.add_words() RETURNS trigger {OWNERS_RIGHTS} AS $$
BEGIN
    INSERT INTO recommendation_words (id, instrument_id, profile, as_of, words)
    SELECT id, instrument_id, profile, as_of, words_of(coalesce(justification, ''))
    FROM fresh WHERE superseded_at IS NULL;
    RETURN NULL;
END $$
"""

FORGET_WORDS = f"""
CREATE FUNCTION public.forget_words() RETURNS trigger {OWNERS_RIGHTS} AS $$
BEGIN
    DELETE FROM recommendation_words WHERE id = OLD.id;
    RETURN NULL;
END $$
"""

TRIGGERS = (
    "CREATE TRIGGER add_words AFTER INSERT ON recommendations REFERENCING NEW TABLE AS fresh"
    " FOR EACH STATEMENT EXECUTE FUNCTION add_words()",
    "CREATE TRIGGER forget_words AFTER UPDATE OF superseded_at ON recommendations"
    " FOR EACH ROW WHEN (OLD.superseded_at IS NULL AND NEW.superseded_at IS NOT NULL)"
    " EXECUTE FUNCTION forget_words()",
    "CREATE TRIGGER forget_deleted_words AFTER DELETE ON recommendations"
    " FOR EACH ROW EXECUTE FUNCTION forget_words()",
)


def upgrade() -> None:
    """Make what finds words, the words of instruments, and the table of the words of advice, empty."""
    for extension in EXTENSIONS:
        _create_extension(extension)
    for language in LANGUAGES:
        words = f"public.{language}_words"
        op.execute(f"CREATE TEXT SEARCH CONFIGURATION {words} (COPY = pg_catalog.{language})")
        op.execute(
            f"ALTER TEXT SEARCH CONFIGURATION {words} ALTER MAPPING FOR hword, hword_part, word"
            f" WITH unaccent, {language}_stem"
        )
    op.execute(WORDS_OF)
    _create_table()
    for statement in (ADD_WORDS, FORGET_WORDS, *TRIGGERS):
        op.execute(statement)
    for function in ("add_words()", "forget_words()"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    if not context.is_offline_mode():  # a printed migration ends with all grants, see `migrations/env.py`
        grants.apply(op.get_bind())
    _add_words_of_instruments()


def _create_extension(name: str) -> None:
    """Create an extension that is not there.

    Raises:
        CommandError: The server has none, or refuses it to this role; the message says what to do.
    """
    try:
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
    except DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise CommandError(
            f"the search of words needs PostgreSQL's extension {name}, and the server says: {reason}: install its"
            f" contrib modules, or have an administrator run `CREATE EXTENSION {name}` in this database"
        ) from error


def _create_table() -> None:
    op.create_table(
        "recommendation_words",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Uuid(), nullable=False),
        sa.Column("profile", sa.String(50), nullable=False),
        sa.Column("as_of", sa.DateTime(), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recommendation_words")),
    )
    op.create_index(op.f("ix_recommendation_words_as_of"), "recommendation_words", ["as_of"])
    op.create_index("ix_recommendation_words_instrument_as_of", "recommendation_words", ["instrument_id", "as_of"])
    op.create_index(
        op.f("ix_recommendation_words_words"), "recommendation_words", ["words"], postgresql_using="gin"
    )


def _add_words_of_instruments() -> None:
    """Nobody may read the table from its new column on until the migration is committed."""
    written = "symbol || ' ' || coalesce(name, '') || ' ' || coalesce(sector, '')"
    op.create_index(
        "ix_instruments_name_trigrams",
        "instruments",
        ["name"],
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    words = sa.Computed(f"words_of({written})", persisted=True)
    op.add_column("instruments", sa.Column("words", postgresql.TSVECTOR(), words))
    op.create_index(op.f("ix_instruments_words"), "instruments", ["words"], postgresql_using="gin")


def downgrade() -> None:
    """Drop all but the extensions, which another program may use."""
    for index in ("ix_instruments_name_trigrams", "ix_instruments_words"):
        op.drop_index(index, "instruments")
    op.drop_column("instruments", "words")
    for trigger in ("forget_deleted_words", "forget_words", "add_words"):
        op.execute(f"DROP TRIGGER {trigger} ON recommendations")
    for function in ("add_words()", "forget_words()"):
        op.execute(f"DROP FUNCTION public.{function}")
    op.drop_table("recommendation_words")
    op.execute("DROP FUNCTION public.words_of(text)")
    for language in LANGUAGES:
        op.execute(f"DROP TEXT SEARCH CONFIGURATION public.{language}_words")
