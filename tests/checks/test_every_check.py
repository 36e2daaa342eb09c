"""Every check passes on an undamaged platform, and counts the right number of violations in a damaged one."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine
from worlds.platform import ALL_HIGH, LAST, check, evaluate, execute, outcomes_of, platform, rows

from boursomatic_assets.checks.invariant import UNPARTITIONED_ASSETS
from boursomatic_assets.features.indicators import FEATURES
from boursomatic_assets.quality.anomalies import KINDS
from boursomatic_assets.tables.summaries.refreshing import SUMMARIES

ELSEWHERE = {"price_bars_15m", "archive_15m", "cold_storage", "current_advice", *SUMMARIES}
"""See test_intraday.py, test_years.py, test_freshness.py, test_summaries.py."""

CHECK_KEYS = {
    key for key in platform.resolve_asset_graph().asset_check_keys if key.asset_key.path[-1] not in ELSEWHERE
}
NUMBERS = tuple(feature.__name__ for feature in FEATURES)

OF_US = "(SELECT id FROM instruments WHERE exchange <> 'EURONEXT')"


def ids_of(table: str, count: int = 1, where: str = "true") -> str:
    """The ids of some rows of US instruments, the newest first."""
    time = "as_of" if table == "recommendations" else "ts"
    of_us = f"instrument_id IN {OF_US} AND {where}"
    return f"(SELECT id FROM {table} WHERE {of_us} ORDER BY {time} DESC, id LIMIT {count})"


def change(table: str, change: str, count: int = 1, where: str = "true") -> str:
    return f"UPDATE {table} SET {change} WHERE id IN {ids_of(table, count, where)}"


def remove(table: str, count: int, where: str = "true") -> str:
    return f"DELETE FROM {table} WHERE id IN {ids_of(table, count, where)}"


def drop_constraints(table: str, *constraints: str) -> str:
    return f"ALTER TABLE {table} " + ", ".join(f"DROP CONSTRAINT {name}" for name in constraints)


def snapshot(what: str, instead: str) -> str:
    """Rewrite a part of one active row's snapshot; the text is JSON, not JSONB, so numbers stay as written."""
    rewritten = f"regexp_replace(features_snapshot::text, '{what}', '{instead}')::json"
    return change("recommendations", f"features_snapshot = {rewritten}", where="is_active")


COPY_OF_BARS = (
    "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)"
    " SELECT gen_random_uuid(), {instrument}, {ts}, o, h, l, c, v, interval FROM price_bars WHERE id IN {bars}"
)
DUPLICATE_BARS = COPY_OF_BARS.format(instrument="instrument_id", ts="ts", bars=ids_of("price_bars", 3))
ORPHANED_BARS = COPY_OF_BARS.format(instrument="gen_random_uuid()", ts="ts", bars=ids_of("price_bars", 2))
EARLY_BAR = COPY_OF_BARS.format(
    instrument="instrument_id", ts="ts + interval '9 hours 30 minutes'", bars=ids_of("price_bars")
)
ORPHANED_FEATURES = (
    "INSERT INTO features (id, instrument_id, ts)"
    f" SELECT gen_random_uuid(), gen_random_uuid(), ts FROM features WHERE id IN {ids_of('features')}"
)
DUPLICATE_FEATURES = (
    "INSERT INTO features (id, instrument_id, ts)"
    f" SELECT gen_random_uuid(), instrument_id, ts FROM features WHERE id IN {ids_of('features', 2)}"
)
DUPLICATE_RECOMMENDATIONS = (
    "INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence,"
    " features_snapshot, is_active, as_of) SELECT gen_random_uuid(), instrument_id, model_version_id, profile,"
    f" label, confidence, features_snapshot, false, as_of FROM recommendations WHERE id IN"
    f" {ids_of('recommendations', 2)}"
)
RECOMMENDATIONS_WITHOUT_FEATURES = (
    "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'NEW', 'NYSE')",
    "INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence,"
    " features_snapshot, as_of) SELECT gen_random_uuid(), n.id, model_version_id, profile, label, confidence,"
    " features_snapshot, as_of FROM recommendations r JOIN instruments i ON i.id = r.instrument_id,"
    " instruments n WHERE i.symbol = 'SIMU001' AND n.symbol = 'NEW' AND r.is_active",
)
PLAIN_ADVICE = (  # knows the columns of the specification alone; its stop is above its target
    "INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence, stop_loss,"
    " take_profit, features_snapshot, generated_at)"
    " SELECT gen_random_uuid(), i.id, v.id, 'moderate', 'BUY', 0.9, 12, 9, '{}', '2024-02-29 21:30'"
    " FROM instruments i, model_versions v WHERE i.symbol = 'SIMU001' AND v.version = 'v2024.02.01'"
)
PLAIN_VERSION = (
    "INSERT INTO model_versions (id, version, trained_at, params_hash, metrics_json)"
    " VALUES (gen_random_uuid(), 'v1.0.0', '2024-01-15', '0', '{}')"
)
PRICE_CHECKS = ("o", "h", "l", "c", "v", "high_is_highest", "low_is_lowest")
IMPOSSIBLE_PRICES = (
    *(f"{column} = {value}" for column in "ohlcv" for value in ("'NaN'", "'Infinity'", "-1")),
    *(f"{column} = 0" for column in "ohlc"),
    "h = least(o, l) / 2",
    "l = h * 2",
)
IMPOSSIBLE_FEATURES = (
    *(f"{name} = {value}" for name in NUMBERS for value in ("'NaN'", "'Infinity'", "'-Infinity'")),
    "rsi_14 = 100.1",
    "rsi_14 = -0.1",
    "vol_20d = -0.1",
    "atr_14 = -0.1",
)
METRICS = ("accuracy", "precision", "recall", "f1", "sharpe", "max_drawdown")
WITHOUT_ONE_METRIC_EACH = tuple(
    f"UPDATE model_versions SET metrics_json = (metrics_json::jsonb - '{metric}')::json"
    f" WHERE id = (SELECT id FROM model_versions ORDER BY as_of LIMIT 1 OFFSET {n})"
    for n, metric in enumerate(METRICS)
)
DELETE_OLD_DECISION = (
    "DELETE FROM model_decisions d USING model_versions v WHERE v.id = d.version_id AND v.version = 'v2023.09.01'"
)
EARLY_CHAMPION = (
    "INSERT INTO model_decisions (id, version_id, effective_at, kind, speaker_id, reason, numbers, decided_by)"
    " SELECT gen_random_uuid(), id, '2020-01-02', 'forced', id, '', '{}', 'ann'"
    " FROM model_versions WHERE version = 'v2023.09.01'"
)
OLD_MODEL, NEW_MODEL = "version = 'v2023.09.01'", "version = 'v2024.02.01'"


@dataclass(frozen=True)
class Damage:
    """Statements that damage a table, and the errors and warnings that its check then counts."""

    check: str
    statements: tuple[str, ...]
    errors: int = 0
    warnings: int = 0

    def __str__(self) -> str:
        return self.check


def damage(check: str, *statements: str, errors: int = 0, warnings: int = 0) -> Damage:
    return Damage(check, statements, errors, warnings)


def changes(table: str, *wanted: str) -> tuple[str, ...]:
    """Statements that each change one row, all of them different rows."""
    nth = ids_of(table).replace("LIMIT 1", "LIMIT 1 OFFSET {}")
    return tuple(f"UPDATE {table} SET {change} WHERE id = {nth.format(n)}" for n, change in enumerate(wanted))


def recommendation_damage(change_: str, *constraints: str, where: str = "true") -> Damage:
    free = [drop_constraints("recommendations", *(f"ck_recommendations_{name}" for name in constraints))] * bool(
        constraints
    )
    return damage("advice_is_valid", *free, change("recommendations", change_, 2, where), errors=2)


def mark_changed(asset: str, session: str) -> str:
    return (
        "UPDATE computed_sessions SET changed_at = clock_timestamp()"
        f" WHERE asset = '{asset}' AND market = 'US' AND session = '{session}'"
    )


BARS_OF_ONE_INSTRUMENT = (
    "instrument_id = (SELECT id FROM instruments WHERE symbol = 'SIMU001') AND interval = 'daily'"
)
SCALE_PRICES = "o = o * {0}, h = h * {0}, l = l * {0}, c = c * {0}"
ONE_DAY_LATER = "created_at + interval '1 day'"
INSERT_REVISIONS = (
    "INSERT INTO price_bar_revisions (id, instrument_id, ts, interval, o, h, l, c, v, known_from, known_until)"
    f" SELECT gen_random_uuid(), instrument_id, ts, interval, o, h, l, c, v, created_at, {ONE_DAY_LATER}"
    " FROM price_bars WHERE {}"
)
LATER_BARS = f"{BARS_OF_ONE_INSTRUMENT} AND ts >= '2024-02-20'"
RESTATED = f"UPDATE price_bars SET {SCALE_PRICES.format(0.5)}, updated_at = {ONE_DAY_LATER} WHERE {{}}"
INSERT_REJECTED = (
    "INSERT INTO rejected_bars (id, market, session, source, file, line, raw, reason)"
    " SELECT gen_random_uuid(), market, session, 'files', 'a.csv', 3, '{}', 'price is missing' FROM (VALUES"
    " ('US', '2024-02-28'::date), ('US', '2023-02-28'), ('US', NULL), ('US', '2022-02-28'), ('EURONEXT', NULL))"
    " AS r(market, session)"
)
INSERT_FILES = (
    "INSERT INTO delivered_files (id, source, file, lines, header, blank, comments, footer, delivered, problem,"
    " passed_over) SELECT gen_random_uuid(), 'files', f.* FROM (VALUES"
    " ('closed.csv', 1010, 1, 2, 3, 4, 1000, NULL, false), ('fewer.csv', 1010, 1, 2, 3, 4, 981, NULL, false),"
    " ('more.csv', 0, 0, 0, 0, 0, 1, NULL, false), ('asked about.csv', 9, 1, 0, 0, 0, 0, 'the zone is?', false),"
    " ('readme.md', 7, 0, 0, 0, 0, 0, NULL, true))"
    " AS f(file, lines, header, blank, comments, footer, delivered, problem, passed_over)"
)
EXTRA_BAR = (
    "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'NEW', 'NYSE')",
    COPY_OF_BARS.format(
        instrument="(SELECT id FROM instruments WHERE symbol = 'NEW')", ts="ts", bars=ids_of("price_bars")
    ),
)
NOT_DELIVERED = (
    "INSERT INTO rejected_bars (id, market, session, source, raw, reason) VALUES (gen_random_uuid(), 'US',"
    """ '2024-02-28', 'yahoo', '{"symbol": "SIMU001"}', 'source did not deliver it')""",
    "UPDATE delivered_sessions SET kept = kept - 1, rejected = 1 WHERE market = 'US' AND session = '2024-02-28'",
    "UPDATE delivered_sessions SET kept = kept - 1, delivered = delivered - 1"
    " WHERE market = 'US' AND session = '2024-02-29'",
)


DAMAGES = [
    damage(
        "bars_are_usual",
        f"UPDATE price_bars SET v = 0 WHERE {LATER_BARS}",
        f"UPDATE price_bars SET o = c, h = c, l = c WHERE {LATER_BARS} AND ts >= '2024-02-28'",
        warnings=8,
    ),
    damage("bars_are_usual", f"UPDATE price_bars SET {SCALE_PRICES.format(0.5)} WHERE {LATER_BARS}", warnings=1),
    damage("bars_are_usual", "DELETE FROM price_bars WHERE ts = '2024-02-28'", warnings=1),
    damage(
        "series_stand_on_one_basis", INSERT_REVISIONS.format(LATER_BARS), RESTATED.format(LATER_BARS), warnings=1
    ),
    damage(
        "no_symbol_was_reused",
        f"DELETE FROM price_bars WHERE {BARS_OF_ONE_INSTRUMENT} AND ts BETWEEN '2023-09-01' AND '2024-02-19'",
        f"UPDATE price_bars SET {SCALE_PRICES.format(20)} WHERE {LATER_BARS}",
        warnings=1,
    ),
    damage("every_delivered_row_is_accounted_for", remove("price_bars", 2), errors=1),
    damage(
        "every_delivered_row_is_accounted_for",
        "UPDATE delivered_sessions SET delivered = delivered + 1, rejected = rejected + 1"
        " WHERE market = 'US' AND session >= '2024-02-28'",
        errors=2,
    ),
    damage("every_delivered_row_is_accounted_for", *EXTRA_BAR, errors=1),
    damage("every_delivered_row_is_accounted_for", *NOT_DELIVERED, *EXTRA_BAR, errors=1),
    damage(
        "every_delivered_row_is_accounted_for",
        "DELETE FROM delivered_sessions WHERE market = 'US' AND session >= '2024-02-28'",
        errors=2,
    ),
    damage("every_delivered_row_is_accounted_for", INSERT_REJECTED, errors=3),
    damage("every_line_of_a_file_is_accounted_for", INSERT_FILES, errors=2),
    damage("no_row_was_refused", INSERT_REJECTED, warnings=3),
    damage("features_follow_their_bars", mark_changed("price_bars", "2024-02-28"), warnings=2),
    # A band looks back on the session before, so that of the next session is stale as well.
    damage("advice_follows_its_features", mark_changed("features", "2024-02-28"), warnings=2),
    damage(
        "versions_follow_what_they_learned_from",
        f"UPDATE price_bars SET c = (l + h) / 2 WHERE ts = '2023-12-29' AND instrument_id IN {OF_US}",
        mark_changed("price_bars", "2023-12-29"),
        warnings=2,
    ),
    damage(
        "one_row_per_symbol_and_exchange",
        drop_constraints("instruments", "uq_instruments_symbol_exchange"),
        "INSERT INTO instruments (id, symbol, exchange)"
        " SELECT gen_random_uuid(), symbol, exchange FROM instruments ORDER BY symbol LIMIT 2",
        errors=3,
    ),
    damage(
        "one_row_per_symbol_and_exchange",
        drop_constraints("instruments", "uq_instruments_symbol_exchange"),
        "CREATE INDEX uq_instruments_symbol_exchange ON instruments (symbol, exchange)",
        errors=1,
    ),
    damage(
        "exchanges_are_known",
        "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'VOD', 'LSE')",
        errors=1,
    ),
    damage(
        "no_symbol_has_two_instruments",
        "INSERT INTO instruments (id, symbol, exchange) VALUES"
        " (md5('a')::uuid, 'SIMU001', 'NASDAQ'), (md5('b')::uuid, ' simu002', 'NYSE'),"
        " (md5('c')::uuid, 'SIMU003', 'EURONEXT'), (md5('d')::uuid, 'SIMU004', 'NYSE')",
        COPY_OF_BARS.format(instrument="md5('a')::uuid", ts="ts", bars=ids_of("price_bars")),
        COPY_OF_BARS.format(instrument="md5('b')::uuid", ts="ts", bars=ids_of("price_bars")),
        COPY_OF_BARS.format(instrument="md5('c')::uuid", ts="ts", bars=ids_of("price_bars")),
        warnings=2,
    ),
    damage(
        "one_bar_per_instrument_and_session",
        "DROP INDEX idx_price_bars_instrument_ts_interval",
        DUPLICATE_BARS,
        errors=4,
    ),
    damage(
        "prices_are_sane",
        drop_constraints("price_bars", *(f"ck_price_bars_{name}" for name in PRICE_CHECKS)),
        *changes("price_bars", *IMPOSSIBLE_PRICES),
        errors=len(IMPOSSIBLE_PRICES),
    ),
    damage(
        "bars_have_their_instrument",
        drop_constraints("price_bars", "fk_price_bars_instrument_id"),
        ORPHANED_BARS,
        errors=2,
    ),
    damage("bars_are_on_sessions", EARLY_BAR, errors=1),
    damage(
        "bars_are_on_sessions",
        change("price_bars", "ts = '2023-07-04'", where="ts = '2023-07-05'"),
        errors=1,
    ),
    damage("bars_are_on_sessions", change("price_bars", "ts = '2024-02-24'"), errors=1),
    damage("every_tracked_instrument_has_its_bar", remove("price_bars", 3, "ts > '2024-01-01'"), warnings=3),
    damage(
        "one_feature_row_per_instrument_and_session",
        "DROP INDEX idx_features_instrument_ts",
        DUPLICATE_FEATURES,
        errors=3,
    ),
    damage("features_are_possible", *changes("features", *IMPOSSIBLE_FEATURES), errors=len(IMPOSSIBLE_FEATURES)),
    damage("features_and_bars_match", remove("features", 2), errors=2),
    damage("features_and_bars_match", remove("price_bars", 2), errors=2),
    damage(
        "features_and_bars_match",
        drop_constraints("features", "fk_features_instrument_id"),
        ORPHANED_FEATURES,
        errors=1,
    ),
    damage(
        "features_resemble_what_the_model_learned",
        f"UPDATE features SET {ALL_HIGH} WHERE ts >= '2024-02-05' AND instrument_id IN {OF_US}",
        warnings=3,  # the sampled sessions: 5, 12 and 26 February, since the 19th is a holiday
    ),
    damage(
        "one_row_per_version",
        drop_constraints("model_versions", "uq_model_versions_version"),
        f"UPDATE model_versions SET {OLD_MODEL} WHERE {NEW_MODEL}",
        errors=2,
    ),
    damage(
        "one_version_per_revision",
        drop_constraints("model_versions", "uq_model_versions_as_of_revision"),
        "UPDATE model_versions SET as_of = '2024-02-01' WHERE as_of >= '2024-01-01'",
        errors=2,
    ),
    damage("exactly_one_model_is_active", "UPDATE model_versions SET is_active = false", errors=1),
    damage(
        "exactly_one_model_is_active",
        "DROP INDEX uq_model_versions_active",
        f"UPDATE model_versions SET is_active = true WHERE {OLD_MODEL}",
        errors=2,
    ),
    damage(
        "exactly_one_model_is_active",
        f"UPDATE model_versions SET is_active = false WHERE {NEW_MODEL}",
        f"UPDATE model_versions SET is_active = true WHERE {OLD_MODEL}",
        errors=2,
    ),
    damage("every_version_has_its_decision", DELETE_OLD_DECISION, errors=1),
    damage("every_version_has_its_decision", EARLY_CHAMPION, errors=1),
    damage("every_version_has_its_decision", PLAIN_VERSION, errors=1),
    damage(
        "parameters_are_those_of_the_active_model",
        f"UPDATE model_versions SET params_hash = repeat('0', 64) WHERE {NEW_MODEL}",
        warnings=2,
    ),
    damage(
        "parameters_are_those_of_the_active_model",
        "UPDATE model_versions SET params_hash = repeat('0', 64)",
        warnings=1,
    ),
    damage("metrics_are_complete", *WITHOUT_ONE_METRIC_EACH, errors=6),
    damage("metrics_are_complete", "UPDATE model_versions SET params_hash = 'none'", errors=7),
    damage("metrics_are_complete", PLAIN_VERSION, errors=1),
    *(
        damage("active_model_file_is_intact", f"UPDATE model_versions SET model_path = {path}", errors=1)
        for path in (f"'{'0' * 64}.txt'", "'../../model.txt'", "NULL")
    ),
    damage(
        "one_current_row_per_session_and_profile",
        "DROP INDEX uq_recommendations_current",
        DUPLICATE_RECOMMENDATIONS,
        errors=3,
    ),
    damage("advice_is_valid", PLAIN_ADVICE, errors=1),
    damage("newest_advice_is_active", PLAIN_ADVICE, errors=1),
    recommendation_damage("label = 'MAYBE'", "label"),
    recommendation_damage("profile = 'reckless'", "profile", where="profile = 'moderate'"),
    recommendation_damage("confidence = 1.01", "confidence"),
    recommendation_damage("confidence = 'NaN'", "confidence"),
    recommendation_damage("stop_loss = take_profit", where="label = 'BUY'"),
    recommendation_damage("label = 'SELL', stop_loss = take_profit", where="label = 'BUY'"),
    recommendation_damage("stop_loss = take_profit, take_profit = stop_loss", where="label = 'BUY'"),
    damage(
        "advice_has_its_instrument_and_model",
        drop_constraints("recommendations", "fk_recommendations_model_version_id"),
        change("recommendations", "model_version_id = gen_random_uuid()", 2),
        errors=2,
    ),
    damage(
        "advice_has_its_instrument_and_model",
        drop_constraints("recommendations", "fk_recommendations_instrument_id"),
        change("recommendations", "instrument_id = gen_random_uuid()", 2, "NOT is_active"),
        errors=2,
    ),
    damage("newest_advice_is_active", change("recommendations", "is_active = false", 2, "is_active"), errors=2),
    damage("newest_advice_is_active", change("recommendations", "is_active = true", 2, "NOT is_active"), errors=2),
    damage(
        "expired_advice_says_why",
        "INSERT INTO recommendation_expiries (id, recommendation_id, session, reason)"
        f" SELECT gen_random_uuid(), id, '2024-02-29', 'horizon' FROM recommendations WHERE id IN"
        f" {ids_of('recommendations', 2, 'is_active')}",
        errors=2,
    ),
    damage("expired_advice_says_why", f"UPDATE instruments SET is_active = false WHERE id IN {OF_US}", errors=36),
    damage("snapshots_are_valid", snapshot('"ret_1d":[^,]*', '"ret_1d":0.5'), errors=1),
    damage("snapshots_are_valid", snapshot('"ret_1d":[^,]*', '"ret_1d":1e999'), errors=1),
    damage("snapshots_are_valid", snapshot('"ret_1d":[^,]*', '"ret_1d":"0.5"'), errors=1),
    damage("snapshots_are_valid", snapshot('"rsi_14_rank":[^,]*,', ""), errors=1),
    damage("snapshots_are_valid", snapshot("v2024.02.01", "v2024.01.02"), errors=1),
    damage("snapshots_are_valid", snapshot("2024-02-29", "2024-03-29"), errors=1),
    damage("snapshots_are_valid", snapshot(".*", "[]"), errors=1),
    damage("snapshots_are_valid", snapshot(".*", "null"), errors=1),
    damage("snapshots_are_valid", remove("features", 1), errors=3),
    damage("snapshots_are_valid", PLAIN_ADVICE, errors=1),
    damage(
        "snapshots_are_valid",
        change("features", "ret_1d = 0.5, updated_at = now() + interval '1 second'"),
        warnings=3,
    ),
    *(
        damage("advice_is_as_it_was_published", change("recommendations", change_, 2), errors=2)
        for change_ in (
            "label = 'SELL', confidence = 0.9",
            "justification = justification || '.'",
            "stop_loss = 1",
        )
    ),
    damage(
        "advice_is_as_it_was_published",
        change("recommendations", "justification = 'because', is_active = false, superseded_at = now()", 2),
        warnings=2,
    ),
    damage("every_computed_session_has_its_advice", remove("recommendations", 2), errors=2),
    damage("history_is_as_the_chains_say", remove("recommendations", 2), errors=2),
    damage("history_is_as_the_chains_say", change("recommendations", "label = 'SELL'", 2), errors=2),
    damage(
        "every_computed_session_has_its_advice",
        f"DELETE FROM recommendations WHERE as_of >= '2024-02-29' AND instrument_id IN {OF_US}",
        errors=36,
    ),
    damage(
        "every_computed_session_has_its_advice",
        "UPDATE recommendations SET is_active = false, superseded_at = now() WHERE id IN"
        f" {ids_of('recommendations', 2)}",
        errors=2,
    ),
    damage(
        "every_computed_session_has_its_advice",
        "DELETE FROM computed_sessions WHERE asset = 'recommendations' AND session = '2024-02-29'",
        errors=36,
    ),
    damage("every_computed_session_has_its_advice", *RECOMMENDATIONS_WITHOUT_FEATURES, errors=3),
    damage("all_due_advice_is_scored_once", remove("track_record", 2), errors=2),
    damage("all_due_advice_is_scored_once", change("track_record", "ts = ts - interval '1 day'"), errors=2),
    damage(
        "all_due_advice_is_scored_once",
        "UPDATE recommendations SET is_active = false, superseded_at = now() WHERE id IN"
        f" (SELECT recommendation_id FROM track_record WHERE id IN {ids_of('track_record', 2)})",
        errors=2,
    ),
    damage(
        "all_due_advice_is_scored_once",
        drop_constraints("track_record", "pk_track_record"),
        "DROP INDEX uq_track_record_ts_recommendation",
        f"INSERT INTO track_record SELECT * FROM track_record WHERE id IN {ids_of('track_record', 2)}",
        errors=3,
    ),
    *(
        damage("scores_agree_with_the_bars", change("track_record", f"realised_return_pct = {wrong}", 2), errors=2)
        for wrong in ("realised_return_pct + 0.001", "NULL", "'NaN'")
    ),
    *(
        damage("hits_are_what_was_advised", change("track_record", change_, 2, "label = 'BUY'"), errors=2)
        for change_ in (
            "hit = NOT hit",
            "hit = NULL",
            "first_touched = 'stop', touched_on = ts + interval '1 day'",
        )
    ),
    damage(
        "hits_are_what_was_advised",
        change("track_record", "first_touched = 'stop', touched_on = ts", 2, "label = 'HOLD'"),
        errors=2,
    ),
    damage(
        "scores_follow_their_advice",
        # Recommendations of that session are due after 10 and 20 sessions.
        "UPDATE computed_sessions SET changed_at = clock_timestamp() WHERE asset = 'recommendations'"
        " AND market = 'US' AND session = '2024-01-31'",
        warnings=2,
    ),
    damage(
        "one_account_per_email",
        drop_constraints("users", "uq_users_email"),
        "DROP INDEX uq_users_lower_email",
        "INSERT INTO users (id, email, password_hash)"
        " SELECT gen_random_uuid(), 'ann@example.org', '' FROM generate_series(1, 2)",
        errors=2,
    ),
]


def counts(evaluation: dg.AssetCheckEvaluation) -> tuple[object, object]:
    return evaluation.metadata["errors"].value, evaluation.metadata["warnings"].value


def test_every_check_has_a_damage() -> None:
    assert {damage.check for damage in DAMAGES} == {key.name for key in CHECK_KEYS}


def test_a_series_restated_as_a_whole_has_one_price_basis(filled: Engine) -> None:
    execute(filled, INSERT_REVISIONS.format(BARS_OF_ONE_INSTRUMENT), RESTATED.format(BARS_OF_ONE_INSTRUMENT))
    assert check("series_stand_on_one_basis").passed


@pytest.mark.parametrize("market", ["US", "EURONEXT"])
def test_an_undamaged_platform_passes_every_check(filled: Engine, market: str) -> None:
    names = {damage.check for damage in DAMAGES}
    undated = {key.name for key in CHECK_KEYS if key.asset_key.path[-1] in UNPARTITIONED_ASSETS}
    evaluations = evaluate(names - undated, market) + evaluate(undated, market)
    assert {evaluation.check_name for evaluation in evaluations} == names
    for evaluation in evaluations:
        assert evaluation.passed, evaluation.check_name
        assert counts(evaluation) == (0, 0), evaluation.check_name


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_a_damaged_table_fails_its_check_with_the_right_counts(filled: Engine, damage: Damage) -> None:
    assert execute(filled, *damage.statements) != 0, "nothing was damaged"
    evaluation = check(damage.check)
    assert not evaluation.passed
    assert counts(evaluation) == (damage.errors, damage.warnings)
    wanted = dg.AssetCheckSeverity.ERROR if damage.errors else dg.AssetCheckSeverity.WARN
    assert evaluation.severity == wanted
    assert of_sessions(evaluation) in ((0, 0), (damage.errors, damage.warnings)), "the sessions add up"


def of_sessions(evaluation: dg.AssetCheckEvaluation) -> tuple[int, int]:
    """Errors and warnings of all rows of the table of sessions."""
    sessions = evaluation.metadata.get("sessions")
    records = [record.data for record in sessions.records] if isinstance(sessions, dg.TableMetadataValue) else []
    errors, warnings = (sum(int(row[name]) for row in records) for name in ("errors", "warnings"))
    return errors, warnings


def figures(name: str) -> dict[str, object]:
    """What a check shows; a table as its rows."""
    return {
        key: [record.data for record in value.records] if isinstance(value, dg.TableMetadataValue) else value.value
        for key, value in check(name).metadata.items()
    }


def named(found: object, *columns: str) -> list[str]:
    """Some columns of the rows of a table, each row as a text."""
    assert isinstance(found, list)
    return [" ".join(str(row[name]) for name in columns) for row in found]


def test_anomalies_are_listed_by_instrument_and_session(filled: Engine) -> None:
    assert figures("bars_are_usual") == {"errors": 0, "warnings": 0, **dict.fromkeys(KINDS, 0)}
    execute(
        filled,
        f"UPDATE price_bars SET v = 0 WHERE {BARS_OF_ONE_INSTRUMENT} AND ts >= '2024-01-03'",
        f"UPDATE price_bars SET o = c, h = c, l = c WHERE {BARS_OF_ONE_INSTRUMENT} AND ts >= '2024-02-28'",
        f"DELETE FROM price_bars WHERE {BARS_OF_ONE_INSTRUMENT} AND ts = '2023-12-28'",
        "DELETE FROM price_bars WHERE ts = '2023-06-15'",
    )
    found = figures("bars_are_usual")
    assert named(found["filler at"], "symbol", "session") == ["SIMU001 2024-02-28", "SIMU001 2024-02-29"]
    assert named(found["gap at"], "symbol", "session") == ["SIMU001 2023-12-29"]
    assert found["outage at"] == [{"market": "US", "session": "2023-06-15"}]
    assert found["zero volume"] == 38
    zero = named(found["zero volume at"], "market", "symbol", "session")
    assert zero[:2] == ["US SIMU001 2024-01-03", "US SIMU001 2024-01-04"]
    assert len(zero) == 20, "the first 20"
    assert "stale at" not in found


def test_missing_bars_are_listed(filled: Engine) -> None:
    assert "missing" not in figures("every_tracked_instrument_has_its_bar")
    execute(
        filled,
        f"DELETE FROM price_bars WHERE {BARS_OF_ONE_INSTRUMENT} AND ts BETWEEN '2024-01-02' AND '2024-02-28'",
    )
    found = figures("every_tracked_instrument_has_its_bar")
    names = named(found["missing"], "symbol", "session")
    assert (found["warnings"], len(names), names[0]) == (40, 20, "SIMU001 2024-01-02")
    assert named(found["sessions"], "market", "session", "warnings")[:2] == ["US 2024-01-02 1", "US 2024-01-03 1"]


def test_files_are_counted_and_those_whose_lines_do_not_add_up_are_named(filled: Engine) -> None:
    execute(filled, "DELETE FROM delivered_files", INSERT_FILES)
    assert figures("every_line_of_a_file_is_accounted_for") == {
        "errors": 2,
        "warnings": 0,
        "read": 3,
        "lines": 2020,
        "not_understood": 1,
        "passed_over": 1,
        "sessions": [{"market": "both", "session": "no session", "errors": 2, "warnings": 0}],
        "unaccounted": [
            {
                "row": "fewer.csv: 1,010 lines, but 981 delivered + 1 header + 2 blank + 3 comments"
                " + 4 footer = 991"
            },
            {"row": "more.csv: 0 lines, but 1 delivered + 0 header + 0 blank + 0 comments + 0 footer = 1"},
        ],
    }


def test_bars_of_an_undelivered_instrument_do_not_count_as_a_mismatch(filled: Engine) -> None:
    execute(filled, *NOT_DELIVERED)
    assert check("every_delivered_row_is_accounted_for").passed


def test_bars_older_than_the_delivery_log_need_no_delivery(filled: Engine) -> None:
    execute(
        filled,
        "DELETE FROM delivered_sessions",
        "UPDATE computed_sessions SET computed_at = changed_at WHERE asset = 'price_bars'",
    )
    assert check("every_delivered_row_is_accounted_for").passed


def test_damage_in_one_market_does_not_fail_the_check_of_the_other(filled: Engine) -> None:
    execute(filled, EARLY_BAR)
    assert not check("bars_are_on_sessions", "US").passed
    assert check("bars_are_on_sessions", "EURONEXT").passed


def test_a_snapshot_of_another_session_is_an_error(filled: Engine) -> None:
    older = (
        "(SELECT o.features_snapshot FROM recommendations o WHERE o.instrument_id = r.instrument_id"
        " AND o.profile = r.profile AND NOT o.is_active ORDER BY o.as_of DESC LIMIT 1)"
    )
    execute(
        filled, f"UPDATE recommendations r SET features_snapshot = {older} WHERE id IN {ids_of('recommendations')}"
    )
    assert counts(check("snapshots_are_valid")) == (1, 0)


def test_a_damaged_model_file_is_named(filled: Engine, home: Path) -> None:
    (active,) = rows(filled, "SELECT model_path FROM model_versions WHERE is_active")
    path = home / "models" / active["model_path"]
    path.write_bytes(path.read_bytes()[:-1])
    evaluation = check("active_model_file_is_intact")
    assert counts(evaluation) == (1, 0)
    assert str(path.name) in str(evaluation.metadata["problem"].value)


def test_an_instrument_that_is_no_longer_tracked_needs_no_more_bars(filled: Engine) -> None:
    execute(
        filled,
        "DELETE FROM price_bars WHERE ts > '2024-01-01'"
        " AND instrument_id = (SELECT id FROM instruments WHERE symbol = 'SIMU001')",
    )
    assert counts(check("every_tracked_instrument_has_its_bar")) == (0, 41)
    execute(filled, "UPDATE instruments SET is_active = false")
    assert check("every_tracked_instrument_has_its_bar").passed


def test_no_active_model_is_needed_before_the_first_promotion(migrated: Engine) -> None:
    assert check("exactly_one_model_is_active").passed
    execute(
        migrated,
        "INSERT INTO model_versions (id, version, params_hash, metrics_json, as_of)"
        """ VALUES (gen_random_uuid(), 'v1', '', '{}', now())""",
    )
    assert check("exactly_one_model_is_active").passed
    assert check("active_model_file_is_intact").passed


def test_a_failed_check_stops_downstream_assets_of_its_run(filled: Engine) -> None:
    execute(filled, EARLY_BAR, "DELETE FROM features WHERE ts = '2024-02-29'")
    (outcome,) = outcomes_of(LAST, LAST, ("price_bars", "features"), ("US",))
    assert not outcome.success
    assert any(
        "bars_are_on_sessions: 1 error on 1 session: US 2024-02-29" in problem for problem in outcome.problems
    )
    assert not rows(filled, f"SELECT FROM features WHERE ts = '2024-02-29' AND instrument_id IN {OF_US}")


def test_a_warning_stops_nothing(filled: Engine) -> None:
    execute(filled, "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'NEW', 'NYSE')")
    execute(
        filled,
        COPY_OF_BARS.format(
            instrument="(SELECT id FROM instruments WHERE symbol = 'NEW')",
            ts="'2024-02-28'",
            bars=ids_of("price_bars"),
        ),
        "DELETE FROM features WHERE ts = '2024-02-29'",
    )
    (outcome,) = outcomes_of(LAST, LAST, ("price_bars", "features"), ("US",))
    assert outcome.success
    assert outcome.problems == (
        "warn: price_bars.every_tracked_instrument_has_its_bar: 1 warning on 1 session: US 2024-02-29,"
        " such as missing US 2024-02-29 NEW",
    )
    assert len(rows(filled, f"SELECT FROM features WHERE ts = '2024-02-29' AND instrument_id IN {OF_US}")) == 12
