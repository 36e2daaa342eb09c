"""Identifiers are derived from the content of a row, are unique, and in the order of writing."""

import datetime as dt
import uuid

import polars as pl
import pytest
from worlds.frames import IDS, bars, recommendation_rows

from boursomatic_assets.schema import Recommendation, identifiers

DATES = [str(dt.date(2000, 1, 3) + dt.timedelta(days=number)) for number in range(0, 9000, 7)]


def test_a_row_has_the_same_id_whatever_other_rows_are_in_the_frame() -> None:
    frame = bars("ACME BOLT", *DATES[:50])
    whole = frame.with_columns(identifiers.of_rows(frame))
    alone = frame.reverse().tail(3)
    assert alone.with_columns(identifiers.of_rows(alone)).equals(whole.reverse().tail(3))


def test_rows_of_different_instruments_times_and_intervals_have_different_ids() -> None:
    symbols = [str(uuid.uuid4()) for _ in range(300)]
    frame = (
        bars("ACME", *DATES[:100])
        .drop("instrument_id")
        .join(pl.DataFrame({"instrument_id": symbols}), how="cross")
    )
    both = pl.concat([frame, frame.with_columns(interval=pl.lit("15m"))])
    assert identifiers.of_rows(both).n_unique() == 2 * 300 * 100


def test_an_id_is_a_uuid_of_version_8_that_holds_instrument_and_time() -> None:
    frame = bars("ACME", "2024-06-10")
    found = uuid.UUID(identifiers.of_rows(frame)[0])
    assert (found.version, found.variant) == (8, uuid.RFC_4122)
    assert found.hex[:12] == IDS["ACME"][24:]
    assert int(found.hex[20:], 16) == dt.datetime(2024, 6, 10, tzinfo=dt.UTC).timestamp() * 1000


def test_ids_of_an_instrument_lie_in_order_of_time() -> None:
    frame = bars("ACME", *DATES)
    assert identifiers.of_rows(frame).is_sorted()


def test_features_have_ids_without_an_interval() -> None:
    frame = bars("ACME", *DATES[:2])
    assert identifiers.of_rows(frame.drop("interval")).to_list() == identifiers.of_rows(frame).to_list()


def test_a_row_of_the_track_record_has_the_id_of_its_recommendation() -> None:
    frame = bars("ACME", *DATES[:2]).with_columns(recommendation_id=pl.Series(["first", "second"]))
    assert identifiers.of_rows(frame).to_list() == ["first", "second"]


def test_ids_of_recommendations_are_in_order_of_writing_with_a_digest_of_their_content() -> None:
    written = recommendation_rows("ACME BOLT LUXE", "US", "2024-06-10", "2024-06-11", "2024-06-12")
    first, second = identifiers.of_recommendations(written), identifiers.of_recommendations(written)
    assert first.is_sorted() and first.n_unique() == written.height
    assert {uuid.UUID(value).version for value in first} == {8}
    assert first.str.tail(12).equals(second.str.tail(12))


@pytest.mark.parametrize("name", identifiers.PUBLISHED_COLUMNS)
def test_a_change_of_any_published_column_is_another_digest(name: str) -> None:
    written = recommendation_rows("ACME", "US", "2024-06-10")
    changed = written.with_columns(pl.lit(None).alias(name))
    assert identifiers.of_recommendations(written)[0][24:] != identifiers.of_recommendations(changed)[0][24:]


def test_all_columns_of_a_recommendation_are_published_but_its_flag_and_times() -> None:
    others = {"id", "generated_at", "is_active", "superseded_at"}
    assert set(Recommendation.model_fields) == {*identifiers.PUBLISHED_COLUMNS} | others


def test_an_instrument_has_one_id_in_every_database() -> None:
    listed = pl.DataFrame({"symbol": ["ACME", "ACME"], "exchange": ["NYSE", "EURONEXT"]})
    assert identifiers.of_instruments(listed).to_list() == [
        "204df9a9-9148-5330-9b39-e26ca5a51109",
        "bc0e1c95-cea9-5cf9-b2d0-a76b79300b77",
    ]
