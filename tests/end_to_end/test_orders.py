"""Orders: in whatever order history is loaded, `refresh --models` ends in the same versions, decisions and advice.

The reference is the small platform of `worlds/platform.py`, loaded at once. Names of versions differ in their
revision, which says how often a due date was trained; everything else must be equal to the last bit.

The orders made up by chance are a drill; its short twin, in `make test`, is one order written down.
BOURSOMATIC_ORDERS=50 tries so many orders, always the same ones.
"""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from conftest import Admin, migrated_database
from hypothesis import HealthCheck, Phase, given, note, settings
from sqlalchemy import Engine, create_engine
from worlds.commands import boursomatic
from worlds.orders import Order, Piece, deliver_part, orders, plan
from worlds.platform import FIRST, LAST, bring_up_to_date, frame, platform

from boursomatic_assets import registry
from boursomatic_assets.cli import launching
from boursomatic_assets.learning.parameters import Parameters

EXAMPLES = int(os.environ.get("BOURSOMATIC_ORDERS", "4"))

MIDDLE = dt.date(2023, 8, 1)
ONE_ORDER = (
    Piece(MIDDLE, LAST, ("US",)),
    Piece(FIRST, MIDDLE - dt.timedelta(1), ("US",)),
    Piece(FIRST, LAST, ("EURONEXT",)),
)
"""The newer half before the older one, and a market that comes late."""

unchecked = dg.Definitions(
    assets=platform.assets, jobs=platform.jobs, resources=platform.resources, executor=platform.executor
)
"""The platform without its checks, which change nothing and take a fifth of a load's time."""

ANY_REVISION = r"'\.r[0-9]+', '', 'g'"
BARS = """
SELECT i.symbol, i.is_active, i.id::text, count(*),
    md5(string_agg(concat_ws(' ', b.ts, o, h, l, c, v), ',' ORDER BY b.ts)) AS bars
FROM instruments i JOIN price_bars b ON b.instrument_id = i.id GROUP BY 1, 2, 3 ORDER BY 1
"""
FEATURES = """
SELECT i.symbol, count(*),
    md5(string_agg((to_jsonb(f) - '{id,created_at,updated_at}'::text[])::text, ',' ORDER BY f.ts)) AS features
FROM instruments i JOIN features f ON f.instrument_id = i.id GROUP BY 1 ORDER BY 1
"""
VERSIONS = """
SELECT v.as_of, v.model_path, v.params_hash, v.metrics_json::text, v.history_digest, v.is_active
FROM model_versions v
WHERE NOT EXISTS (SELECT FROM model_versions n WHERE n.as_of = v.as_of AND n.revision > v.revision)
ORDER BY v.as_of
"""
DECISIONS = f"""
SELECT DISTINCT ON (d.effective_at)
    d.effective_at, v.model_path, d.kind, d.decided_by, s.as_of, s.model_path AS champion,
    regexp_replace(d.reason, {ANY_REVISION}) AS reason, regexp_replace(d.numbers::text, {ANY_REVISION}) AS numbers
FROM model_decisions d JOIN model_versions v ON v.id = d.version_id
    LEFT JOIN model_versions s ON s.id = d.speaker_id
ORDER BY d.effective_at, d.decided_at DESC
"""
ADVICE = f"""
SELECT i.symbol, r.profile, r.as_of, v.as_of AS due, r.label, r.view, r.confidence, r.expected_return_pct,
    r.horizon_days, r.stop_loss, r.take_profit, r.is_active, v.model_path,
    regexp_replace(r.justification, {ANY_REVISION}) AS justification,
    regexp_replace(r.features_snapshot::text, {ANY_REVISION}) AS snapshot
FROM recommendations r JOIN instruments i ON i.id = r.instrument_id
    JOIN model_versions v ON v.id = r.model_version_id
WHERE r.superseded_at IS NULL ORDER BY 1, 2, 3
"""
SCORES = """
SELECT i.symbol, r.profile, r.as_of,
    (to_jsonb(t) - '{id,recommendation_id,instrument_id,created_at,updated_at}'::text[])::text AS score
FROM track_record t JOIN instruments i ON i.id = t.instrument_id
    JOIN recommendations r ON r.id = t.recommendation_id
WHERE r.superseded_at IS NULL ORDER BY 1, 2, 3
"""
# Of each newest row: what was newest for a while and expired then is in the log, which tells the order itself.
EXPIRED = """
SELECT DISTINCT ON (i.symbol, r.profile) i.symbol, r.profile, r.as_of, nullif((
    SELECT reason FROM recommendation_expiries WHERE recommendation_id = r.id ORDER BY decided_at DESC LIMIT 1
), 'renewed') AS reason
FROM recommendations r JOIN instruments i ON i.id = r.instrument_id
WHERE r.superseded_at IS NULL ORDER BY i.symbol, r.profile, r.as_of DESC
"""
RESULTS = {
    "bars": BARS,
    "features": FEATURES,
    "versions": VERSIONS,
    "decisions": DECISIONS,
    "advice": ADVICE,
    "scores": SCORES,
    "expired": EXPIRED,
}


@pytest.fixture
def at_once(admin: Admin, shared_platform: str) -> Iterator[dict[str, pl.DataFrame]]:
    """What the platform holds that was loaded at once."""
    engine = create_engine(admin.address(shared_platform))
    yield {name: frame(engine, query) for name, query in RESULTS.items()}
    engine.dispose()


@pytest.mark.slow
def test_a_late_market_and_older_bars_and_a_refresh_end_in_the_same(
    admin: Admin, at_once: dict[str, pl.DataFrame], dagster_instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    ends_in_the_same(ONE_ORDER, admin, at_once, dagster_instance, tmp_path)


@pytest.mark.slow
@pytest.mark.drill
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=[*HealthCheck],
)
@given(order=orders())
def test_any_order_and_a_refresh_end_in_the_same_versions_decisions_and_advice(
    admin: Admin,
    at_once: dict[str, pl.DataFrame],
    dagster_instance: dg.DagsterInstance,
    tmp_path: Path,
    order: Order,
) -> None:
    """Its short twin is `test_a_late_market_and_older_bars_and_a_refresh_end_in_the_same`."""
    note(f"The order was:\n{plan(order)}")
    ends_in_the_same(order, admin, at_once, dagster_instance, tmp_path)


def ends_in_the_same(
    order: Order, admin: Admin, at_once: dict[str, pl.DataFrame], instance: dg.DagsterInstance, folder: Path
) -> None:
    """Load an order into an empty database, refresh all, and compare."""
    with pytest.MonkeyPatch.context() as monkeypatch, migrated_database(admin, monkeypatch) as engine:
        monkeypatch.setattr(launching, "defs", unchecked)
        load(order, admin.run / "bars of the platform", folder, instance)
        result = boursomatic("refresh", "--models")
        assert result.exit_code == 0, result.output
        differing = {
            name: differences(frame(engine, query), at_once[name])
            for name, query in RESULTS.items()
            if not frame(engine, query).equals(at_once[name])
        }
        assert not differing
        nothing_is_stale(engine)


def load(order: Order, whole: Path, folder: Path, instance: dg.DagsterInstance) -> None:
    """Load the pieces of an order, one after the other."""
    for piece in order:
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("BOURSOMATIC_FILES", str(deliver_part(whole, folder, piece.without)))
            bring_up_to_date(piece.start, piece.end, markets=piece.markets, instance=instance)


def differences(found: pl.DataFrame, expected: pl.DataFrame) -> str:
    """The number of rows on each side, and the first row that only one has, to be read when a test fails."""
    both = [{str(row) for row in rows.iter_rows(named=True)} for rows in (found, expected)]
    first = [min(rows, default="none")[:600] for rows in (both[0] - both[1], both[1] - both[0])]
    return f"{found.height} rows, {expected.height} expected; found: {first[0]}; expected: {first[1]}"


def nothing_is_stale(engine: Engine) -> None:
    """Nothing is left for a second refresh."""
    with engine.connect() as connection:
        assert registry.stale_versions(connection, Parameters()) == []
    assert "stale:" not in boursomatic("status").output
    assert "no model version is stale" in boursomatic("refresh", "--models").output
