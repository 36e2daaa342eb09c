"""Verification: what anybody does by hand to what was published is named, with its date and id."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Engine, text
from worlds.frames import insert_instruments, insert_model_version

from boursomatic_assets.tables.chains.verification import Difference, count_rows, verify

ADVICE = """
INSERT INTO recommendations
    (id, instrument_id, model_version_id, profile, label, confidence, features_snapshot, as_of)
SELECT gen_random_uuid(), i.id, m.id, :profile, 'HOLD', CAST(0.1 AS float8) + CAST(0.2 AS float8),
    '{"ret_1d": 0.1}', :as_of
FROM instruments i, model_versions m ORDER BY i.symbol LIMIT 1
"""
ANY_ROW = "(SELECT id FROM {table} ORDER BY id LIMIT 1)"
BYPASSED = "SET LOCAL session_replication_role = replica"
"""No trigger fires: what only a superuser can do."""


def differences(engine: Engine) -> list[Difference]:
    with engine.connect() as connection:
        return [*verify(connection)]


def execute(engine: Engine, *statements: str, **given: object) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), given)


@pytest.fixture
def published(migrated: Engine) -> Engine:
    """A database with a model and two sessions of recommendations."""
    insert_instruments(migrated)
    insert_model_version(migrated)
    for as_of in ("2024-06-13 20:00", "2024-06-14 20:00"):
        for profile in ("conservative", "moderate"):
            execute(migrated, ADVICE, profile=profile, as_of=as_of)
    return migrated


def test_what_was_written_is_what_the_chains_say(filled: Engine) -> None:
    with filled.connect() as connection:
        stored = {
            table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            for table in ("recommendations", "model_versions", "model_decisions")
        }
        assert [*verify(connection)] == []
        assert count_rows(connection) == stored
        heads = connection.exec_driver_sql("SELECT table_name, market FROM audit_heads").all()
    assert {market for table, market in heads if table == "recommendations"} == {"US", "EURONEXT"}


def test_verification_does_not_depend_on_settings_of_the_session(published: Engine) -> None:
    execute(published, "ALTER ROLE CURRENT_USER SET extra_float_digits = 0")
    try:
        with published.connect() as connection:
            connection.exec_driver_sql("SET DateStyle = 'German'; SET extra_float_digits = -3")
            assert [*verify(connection)] == []
    finally:
        execute(published, "ALTER ROLE CURRENT_USER RESET extra_float_digits")


TAMPERED = {
    "a label": ("recommendations", "altered", "UPDATE {table} SET label = 'BUY' WHERE id = {row}"),
    "the last bit of a number": (
        "recommendations",
        "altered",
        "UPDATE {table} SET confidence = 0.3 WHERE id = {row}",
    ),
    "a blank in a snapshot": (
        "recommendations",
        "altered",
        "UPDATE {table} SET features_snapshot = '{{\"ret_1d\":0.1}}' WHERE id = {row}",
    ),
    "a row that is gone": ("recommendations", "removed", "DELETE FROM {table} WHERE id = {row}"),
    "metrics": ("model_versions", "altered", "UPDATE {table} SET metrics_json = '{{\"ic\": 1}}' WHERE id = {row}"),
    "all rows": ("recommendations", "removed", "TRUNCATE {table} CASCADE"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_by_the_owner_is_named(published: Engine, what: str) -> None:
    table, kind, statement = TAMPERED[what]
    with published.connect() as connection:
        row = connection.exec_driver_sql(f"SELECT id, as_of FROM {table} ORDER BY id LIMIT 1").one()

    execute(published, statement.format(table=table, row=ANY_ROW.format(table=table)).replace(":", "\\:"))

    found = differences(published)
    assert {(one.what, one.table) for one in found} == {(kind, table)}
    assert (str(row.id), row.as_of) in {(one.row_id, one.time) for one in found}
    assert f"{row.as_of:%Y-%m-%d} {row.id}" in "\n".join(map(str, found))


def test_a_row_that_was_added_around_the_triggers_is_named(published: Engine) -> None:
    execute(published, BYPASSED, ADVICE, profile="aggressive", as_of="2024-06-14 20:00")
    [found] = differences(published)
    assert (found.what, found.table) == ("added", "recommendations")
    assert "2024-06-14" in str(found)


def test_a_plain_insert_is_chained_like_any_other(published: Engine) -> None:
    execute(published, ADVICE, profile="aggressive", as_of="2024-06-14 20:00")
    assert differences(published) == []
    execute(published, "UPDATE recommendations SET label = 'SELL' WHERE profile = 'aggressive'")
    assert [one.what for one in differences(published)] == ["altered"]


def test_a_row_that_is_put_back_with_other_content_is_named(published: Engine) -> None:
    copy = "CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM recommendations WHERE profile = 'moderate'"
    execute(
        published,
        copy,
        "DELETE FROM recommendations WHERE profile = 'moderate'",
        "UPDATE kept SET label = 'BUY'",
        "INSERT INTO recommendations SELECT * FROM kept",
    )
    assert [one.what for one in differences(published)] == ["altered", "altered"]


def test_what_changes_in_the_life_of_a_recommendation_is_no_difference(published: Engine) -> None:
    execute(published, "UPDATE recommendations SET is_active = false WHERE profile = 'moderate'")
    execute(published, "UPDATE recommendations SET is_active = false, superseded_at = now()")
    assert differences(published) == []


@pytest.mark.parametrize("value", ["NULL", "superseded_at - interval '1 day'"])
def test_a_supersession_that_is_changed_around_the_triggers_is_named(published: Engine, value: str) -> None:
    execute(published, "UPDATE recommendations SET is_active = false, superseded_at = now()")
    execute(published, BYPASSED, f"UPDATE recommendations SET superseded_at = {value} WHERE profile = 'moderate'")
    assert [one.what for one in differences(published)] == ["superseded", "superseded"]


ENTRY = "table_name = 'recommendations' AND number = 2"
FORGED = {
    "an entry that is gone": (f"DELETE FROM audit_entries WHERE {ENTRY}", {"entry", "added"}),
    "a digest in an entry": (f"UPDATE audit_entries SET digests[1] = '' WHERE {ENTRY}", {"entry", "altered"}),
    "the order": (
        "UPDATE audit_entries SET number = -number WHERE table_name = 'recommendations' AND number IN (2, 3);"
        "UPDATE audit_entries SET number = 5 + number WHERE number < 0",
        {"entry"},
    ),
    "the last entry": (
        "DELETE FROM audit_entries WHERE table_name = 'recommendations' AND number = 4",
        {"head", "added"},
    ),
    "the head": ("UPDATE audit_heads SET digest = '' WHERE table_name = 'recommendations'", {"head"}),
}


@pytest.mark.parametrize("what", FORGED)
def test_tampering_with_the_chain_is_named(published: Engine, what: str) -> None:
    statement, kinds = FORGED[what]
    execute(published, *statement.split(";"))
    assert {one.what for one in differences(published)} == kinds


def test_an_altered_row_with_a_new_digest_breaks_the_chain(published: Engine) -> None:
    """Whoever knows how digests are made must make all later entries anew, and the heads outside tell that."""
    execute(
        published,
        "UPDATE audit_entries SET digests[1] = sha256('forged'), content = audit_content("
        f"table_name, market, kind, columns, row_ids, times, ARRAY[sha256('forged')]) WHERE {ENTRY}",
    )
    assert {"entry", "altered"} == {one.what for one in differences(published)}


def test_each_statement_is_an_entry_in_order_of_commit(published: Engine) -> None:
    """A transaction that began first and commits last comes last."""
    with published.connect() as slow:
        slow.execute(text(ADVICE), {"profile": "aggressive", "as_of": "2024-06-13 20:00"})
        execute(published, ADVICE, profile="aggressive", as_of="2024-06-14 20:00")
        slow.commit()
    with published.connect() as connection:
        times = connection.exec_driver_sql(
            "SELECT times[1]::date::text FROM audit_entries WHERE table_name = 'recommendations' ORDER BY number"
        )
        assert [*times.scalars()][-2:] == ["2024-06-14", "2024-06-13"]
    assert differences(published) == []


def test_a_transaction_that_is_undone_leaves_no_entry(published: Engine) -> None:
    with published.connect() as connection:
        connection.execute(text(ADVICE), {"profile": "aggressive", "as_of": "2024-06-13 20:00"})
        connection.rollback()
        assert count_rows(connection)["recommendations"] == 4
    assert differences(published) == []


def test_writers_at_the_same_time_grow_one_chain(published: Engine) -> None:
    def write(number: int) -> None:
        for _ in range(10):
            execute(published, ADVICE, profile="aggressive", as_of=f"20{number:02}-01-03 20:00")
            execute(published, "UPDATE recommendations SET is_active = false, superseded_at = now()"
                    " WHERE profile = 'aggressive' AND superseded_at IS NULL AND as_of = :as_of",
                    as_of=f"20{number:02}-01-03 20:00")  # fmt: skip

    threads = [threading.Thread(target=write, args=[number]) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with published.connect() as connection:
        assert count_rows(connection)["recommendations"] == 44
    assert differences(published) == []


CHANGES = (
    "UPDATE recommendations SET label = 'BUY'",
    "DELETE FROM recommendations",
    "TRUNCATE recommendations CASCADE",
    "UPDATE model_versions SET metrics_json = '{}'",
    "DELETE FROM model_decisions",
    "UPDATE delivered_files SET problem = NULL",
    "DELETE FROM price_bar_revisions",
    "DELETE FROM audit_log",
    "DELETE FROM audit_entries",
)


@pytest.mark.parametrize("statement", CHANGES)
def test_no_other_role_changes_history_even_if_it_was_granted_everything(
    published: Engine, log_in: Callable[[str], psycopg.Connection], statement: str
) -> None:
    connection = log_in("writer")
    login = connection.info.user
    execute(published, f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{login}"')
    try:
        with pytest.raises(Exception, match=r"is refused: its rows are never changed"):
            connection.execute(statement)
    finally:
        connection.rollback()
        execute(published, f'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM "{login}"')
