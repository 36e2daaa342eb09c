"""Freshness: how many sessions a market is behind, in its own calendar, whatever else is loaded or computed."""

import datetime as dt

import pytest
from sqlalchemy import Engine
from worlds.platform import execute
from worlds.sessions import compute, finish, load

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.tables.freshness import Freshness, read_freshness


def at(moment: str) -> dt.datetime:
    return dt.datetime.fromisoformat(moment)


def freshness(engine: Engine, moment: str, market: str = "US") -> Freshness:
    with engine.connect() as connection:
        return read_freshness(connection, MARKETS[market], at(moment))


def test_a_market_without_any_session_is_not_fresh(migrated: Engine) -> None:
    found = freshness(migrated, "2024-06-12 23:00")
    assert (str(found), found.fresh, found.behind) == ("US has no loaded session yet", False, 0)


def test_the_newest_due_session_makes_a_market_fresh(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-11", "2024-06-12")
    found = freshness(migrated, "2024-06-13 01:00")
    assert (str(found), found.fresh) == ("US is up to date with 2024-06-12", True)


def test_each_due_session_after_the_newest_complete_one_counts(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-10")
    found = freshness(migrated, "2024-06-13 01:00")
    assert str(found) == "US is 2 sessions behind: 2024-06-11 not loaded, 2024-06-12 not loaded"
    assert not found.fresh


def test_a_session_is_due_three_hours_after_its_schedule(migrated: Engine) -> None:
    """New York's 17:30 is 21:30 in UTC in summer."""
    finish(migrated, "US", "2024-06-11")
    assert freshness(migrated, "2024-06-13 00:29:59").behind == 0
    assert freshness(migrated, "2024-06-13 00:30").behind == 1


def test_an_early_close_is_due_at_the_usual_hour(migrated: Engine) -> None:
    finish(migrated, "US", "2024-07-02")
    assert freshness(migrated, "2024-07-04 00:29").behind == 0
    assert freshness(migrated, "2024-07-04 00:30").behind == 1


def test_holidays_and_weekends_are_due_in_no_market_that_is_closed(migrated: Engine) -> None:
    finish(migrated, "US", "2024-07-03")
    finish(migrated, "EURONEXT", "2024-07-03")
    assert freshness(migrated, "2024-07-05 08:00").behind == 0
    assert freshness(migrated, "2024-07-05 08:00", "EURONEXT").behind == 1
    assert freshness(migrated, "2024-07-08 08:00").behind == 1, "the weekend adds none to Friday"


def test_a_backfill_of_old_dates_changes_nothing(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-10")
    before = str(freshness(migrated, "2024-06-13 01:00"))
    finish(migrated, "US", "2019-06-10", "2019-06-11")
    compute(migrated, "US", "2024-06-10")
    assert str(freshness(migrated, "2024-06-13 01:00")).startswith(f"{before}; ")


@pytest.mark.parametrize(
    ("state", "kind"),
    [("provisional", {"provisional": True}), ("not loaded", {"rows": 0})],
)
def test_a_delivery_that_is_not_final_or_brings_nothing_is_not_enough(
    migrated: Engine, state: str, kind: dict[str, int]
) -> None:
    finish(migrated, "US", "2024-06-11")
    load(migrated, "US", "2024-06-12", **kind)  # type: ignore[arg-type]
    compute(migrated, "US", "2024-06-12")
    assert str(freshness(migrated, "2024-06-13 01:00")) == f"US is 1 session behind: 2024-06-12 {state}"


def test_what_was_computed_before_the_bars_came_is_not_computed(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-11")
    compute(migrated, "US", "2024-06-12")
    load(migrated, "US", "2024-06-12")
    assert freshness(migrated, "2024-06-13 01:00").lacking == {dt.date(2024, 6, 12): "not computed"}


def test_advice_without_rows_from_features_that_came_later_is_none(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-12")
    compute(migrated, "US", "2024-06-12", steps=("features",))
    assert freshness(migrated, "2024-06-13 01:00").lacking == {dt.date(2024, 6, 12): "not advised"}


def test_published_advice_stands_when_features_are_computed_again(readable: Engine) -> None:
    """The sessions of the filled platform were computed and advised; so they are, whatever is computed again."""
    assert freshness(readable, "2024-03-01 08:00").behind == 0


def test_published_advice_is_found_by_its_rows(filled: Engine) -> None:
    execute(
        filled,
        "UPDATE computed_sessions SET computed_at = clock_timestamp(), changed_at = clock_timestamp()"
        " WHERE asset = 'features' AND session = '2024-02-29'",
    )
    assert freshness(filled, "2024-03-01 08:00").fresh
    execute(
        filled, "UPDATE recommendations SET superseded_at = now(), is_active = false WHERE as_of > '2024-02-29'"
    )
    assert freshness(filled, "2024-03-01 08:00").lacking == {dt.date(2024, 2, 29): "not advised"}


def test_an_earlier_gap_is_named_beside_the_newest_session(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-10", "2024-06-12")
    found = freshness(migrated, "2024-06-13 01:00")
    assert str(found) == ("US is up to date with 2024-06-12; 1 earlier session lacking: 2024-06-11 not loaded")
    assert (found.behind, found.fresh) == (0, False)


def test_instruments_that_a_source_lacks_leave_a_session_incomplete_and_the_market_fresh(migrated: Engine) -> None:
    finish(migrated, "US", "2024-06-12")
    execute(
        migrated,
        "INSERT INTO rejected_bars (id, market, session, source, raw, reason)"
        " VALUES (gen_random_uuid(), 'US', '2024-06-12', 'x', '{}', 'source did not deliver it')",
    )
    found = freshness(migrated, "2024-06-13 01:00")
    assert found.states == {dt.date(2024, 6, 12): "incomplete"}
    assert found.fresh


def test_a_market_that_was_left_for_years_counts_all_its_sessions(migrated: Engine) -> None:
    finish(migrated, "US", "2022-06-10")
    found = freshness(migrated, "2024-06-13 01:00")
    assert found.behind == sum(dt.date(2022, 6, 10) < day <= dt.date(2024, 6, 12) for day in sessions())
    assert str(found).startswith("US is 503 sessions behind: 2024-06-06 not loaded, ")
    assert str(found).endswith(" and 498 older")


def sessions() -> list[dt.date]:
    found: list[dt.date] = MARKETS["US"].sessions().tolist()
    return found
