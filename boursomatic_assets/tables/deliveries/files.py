"""The ledger of files: what became of each line of each file that a source has.

What belongs here: writing `delivered_files`, its totals, and descriptions of its rows.
Kept elsewhere: how lines are counted (`sources/files/`), rejected rows (`rejected_rows.py`), the check of the sums
(`checks/deliveries.py`).
"""

import itertools
import re
from collections.abc import Iterable, Iterator

import polars as pl
from sqlalchemy import Connection, String, Table, text

from boursomatic_assets.schema import DeliveredFile
from boursomatic_assets.tables import frames
from boursomatic_assets.tables.staging import advisory_lock, quote, stage, transaction

DELIVERED_FILES: Table = DeliveredFile.__table__

LINE_COUNTS = ("delivered", "header", "blank", "comments", "footer")
"""The columns that must add up to `lines`."""

ACCOUNTED = " + ".join(LINE_COUNTS)

PRESENT_FILES = (
    "(SELECT * FROM (SELECT DISTINCT ON (source, file) * FROM delivered_files ORDER BY source, file, read_at DESC)"
    " newest WHERE NOT gone)"
)
"""The newest row of each file that is there, as SQL."""

SAME_FILE = "(t.source, t.file) = (s.source, s.file)"

READ, NOT_UNDERSTOOD, PASSED_OVER = (
    "problem IS NULL AND NOT passed_over",
    "problem IS NOT NULL",
    "problem IS NULL AND passed_over",
)
"""The kinds of files as SQL; a file is of one of them."""

UNBALANCED = f"{READ} AND lines <> {ACCOUNTED}"

_LENGTHS = {c.name: c.type.length or 0 for c in DELIVERED_FILES.columns if isinstance(c.type, String)}

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and surrogates: bytes of a name that are no UTF-8, which PostgreSQL cannot store."""


def record(reports: pl.DataFrame, source: str, run_id: str | None) -> None:
    """Add to the ledger what a source says of its files now, as far as it is new.

    A file that it no longer has gets a row that says so. It is a transaction of its own, so that what was said of
    a file outlives a run that fails.

    Args:
        reports: a row per file, with the columns of `sources.FILES`. Texts that are too long are cut; two files
            whose stored names would be equal are numbered.
        source: the name of the source.
        run_id: the run that read the files, if any.

    Raises:
        frames.FrameError: for reports that lack a column or a count.
    """
    rows = _storable(reports).with_columns(source=pl.lit(source), run_id=pl.lit(run_id, pl.String))
    rows = frames.validate(DELIVERED_FILES, rows)
    with transaction() as connection:
        advisory_lock(connection, f"delivered_files|{source}")
        staged = stage(connection, DELIVERED_FILES, rows)
        _add_gone(connection, staged, source, run_id)
        _add_changed(connection, staged, rows.columns)


def _add_gone(connection: Connection, staged: str, source: str, run_id: str | None) -> None:
    kept = [quote(c.name) for c in DELIVERED_FILES.columns if c.name not in ("id", "gone", "run_id", "read_at")]
    names = ", ".join(kept)
    connection.execute(
        text(
            f"WITH present AS MATERIALIZED {PRESENT_FILES} INSERT INTO delivered_files (id, {names}, gone, run_id)"
            f" SELECT gen_random_uuid(), {names}, true, :run_id FROM present t"
            f" WHERE source = :source AND NOT EXISTS (SELECT FROM {staged} s WHERE {SAME_FILE})"
        ),
        {"source": source, "run_id": run_id},
    )


def _add_changed(connection: Connection, staged: str, columns: list[str]) -> None:
    """Add the rows of which the newest one differs in more than its run, or is missing."""
    told = [quote(name) for name in columns if name not in ("source", "file", "run_id")]
    before, after = (", ".join(f"{row}.{name}" for name in told) for row in ("t", "s"))
    names = ", ".join(map(quote, columns))
    connection.exec_driver_sql(
        f"WITH present AS MATERIALIZED {PRESENT_FILES} INSERT INTO delivered_files (id, {names})"
        f" SELECT gen_random_uuid(), {names} FROM {staged} s WHERE NOT EXISTS (SELECT FROM present t"
        f" WHERE {SAME_FILE} AND ({before}) IS NOT DISTINCT FROM ({after}))"
    )


def _storable(reports: pl.DataFrame) -> pl.DataFrame:
    """Reports with texts that fit their columns, and names that differ."""
    texts: dict[str, list[str] | list[str | None]] = {"file": [*_distinct(reports["file"])]}
    for name in ("recognised", "problem"):
        texts[name] = [said and _cut(printable(said), _LENGTHS[name]) for said in reports[name]]
    return reports.with_columns(**{name: pl.Series(said, dtype=pl.String) for name, said in texts.items()})


def _distinct(names: Iterable[str]) -> Iterator[str]:
    """Stored names; of several that are equal, all but the first end with a number, such as `a.csv (2)`."""
    taken = set[str]()
    for name in names:
        numbers = (f" ({number})" for number in itertools.count(2))
        stored = stored_name(name)
        while stored in taken:
            stored = stored_name(name, next(numbers))
        taken.add(stored)
        yield stored


def stored_name(name: str, mark: str = "") -> str:
    """A file's name as it is stored: printable, and of a name that is too long its end, which says most."""
    name, length = printable(name), _LENGTHS["file"] - len(mark)
    return (name if len(name) <= length else "…" + name[1 - length :]) + mark


def printable(said: str) -> str:
    r"""A text with control characters as backslash escapes (`\n`), and bytes that are no UTF-8 (`\xff`)."""
    return _UNSAFE.sub(_escape, said)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    is_byte = 0xDC80 <= code <= 0xDCFF  # as Python decodes a name's byte that is no UTF-8
    return f"\\x{code - 0xDC00:02x}" if is_byte else found[0].encode("unicode_escape").decode()


def _cut(said: str, length: int) -> str:
    return said if len(said) <= length else said[: length - 1] + "…"


def totals(connection: Connection) -> dict[str, int]:
    """How many files the ledger has, and how many lines those have that were read.

    Returns:
        `read`, `not_understood` and `passed_over`: files of each kind; `lines` and the LINE_COUNTS of those that
        were read; `unbalanced`: files whose counts do not add up; `unaccounted`: by how many lines they do not.
    """
    kinds = {"read": READ, "not_understood": NOT_UNDERSTOOD, "passed_over": PASSED_OVER, "unbalanced": UNBALANCED}
    sums = {name: name for name in ("lines", *LINE_COUNTS)} | {"unaccounted": f"abs(lines - ({ACCOUNTED}))"}
    counts = [f"count(*) FILTER (WHERE {kind}) AS {name}" for name, kind in kinds.items()]
    counts += [f"coalesce(sum({n}) FILTER (WHERE {READ}), 0)::bigint AS {name}" for name, n in sums.items()]
    return connection.execute(text(f"SELECT {', '.join(counts)} FROM {PRESENT_FILES} t")).one()._asdict()


def describe_unbalanced(connection: Connection, limit: int) -> list[str]:
    """The first files whose counts do not add up, each with its numbers."""
    query = f"SELECT * FROM {PRESENT_FILES} t WHERE {UNBALANCED} ORDER BY source, file LIMIT :limit"
    return [
        f"{row['file']}: {row['lines']:,} lines, but {' + '.join(f'{row[name]:,} {name}' for name in LINE_COUNTS)}"
        f" = {sum(row[name] for name in LINE_COUNTS):,}"
        for row in connection.execute(text(query), {"limit": limit}).mappings()
    ]


def describe_problems(connection: Connection, limit: int) -> list[str]:
    """The first files with a problem, each with what it is."""
    query = (
        f"SELECT file, problem FROM {PRESENT_FILES} t WHERE {NOT_UNDERSTOOD} ORDER BY source, file LIMIT :limit"
    )
    found = connection.execute(text(query), {"limit": limit})
    return [problem if problem.startswith(f"{file}:") else f"{file}: {problem}" for file, problem in found]


def passed_over(connection: Connection, limit: int) -> list[str]:
    """The names of the first files that were passed over."""
    query = f"SELECT file FROM {PRESENT_FILES} t WHERE {PASSED_OVER} ORDER BY source, file LIMIT :limit"
    return [*connection.scalars(text(query), {"limit": limit})]
