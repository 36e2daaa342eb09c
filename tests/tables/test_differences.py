"""Differences: each row of a frame is new, changed or unchanged, and each other stored key has vanished."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from boursomatic_assets.tables.differences import compare

KEY = ["instrument_id", "ts"]
SCHEMA = {"instrument_id": pl.String, "ts": pl.Int64, "c": pl.Float64, "note": pl.String}

values = st.none() | st.floats(allow_nan=False, allow_infinity=False)
tables = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(0, 4)), st.tuples(values, st.none() | st.sampled_from(["", "x"]))
)


def frame(rows: dict[tuple[str, int], tuple[float | None, str | None]]) -> pl.DataFrame:
    return pl.DataFrame([(*key, *content) for key, content in rows.items()], schema=SCHEMA, orient="row")


def keys(rows: pl.DataFrame) -> set[tuple[str, int]]:
    return set(rows.select(KEY).iter_rows())


@given(old=tables, new=tables)
def test_every_row_is_new_changed_unchanged_or_vanished(
    old: dict[tuple[str, int], tuple[float | None, str | None]],
    new: dict[tuple[str, int], tuple[float | None, str | None]],
) -> None:
    found = compare(frame(new), frame(old), KEY)
    changed = {key for key in old.keys() & new.keys() if old[key] != new[key]}
    assert keys(found.new) == new.keys() - old.keys()
    assert keys(found.changed) == changed
    assert keys(found.vanished) == old.keys() - new.keys()
    assert found.unchanged == len(old.keys() & new.keys()) - len(changed)
    assert set(found.changed.iter_rows()) | set(found.new.iter_rows()) <= set(frame(new).iter_rows())


def test_a_number_that_differs_in_its_last_bit_has_changed() -> None:
    assert compare(frame({("a", 1): (0.1 + 0.2, None)}), frame({("a", 1): (0.3, None)}), KEY).changed.height == 1


def test_a_column_that_is_not_stored_is_kept_and_not_compared() -> None:
    old, new = (
        frame({("a", 1): (1.0, "x"), ("b", 1): (1.0, "x")}),
        frame({("a", 1): (1.0, "y"), ("c", 1): (2.0, "z")}),
    )
    found = compare(new, old.drop("note"), KEY)
    assert found.unchanged == 1
    assert found.new["note"].to_list() == ["z"]
