"""Orders: in whatever order history is loaded, `refresh --models` ends in the same versions, decisions and advice.

The reference is the small platform of `worlds/platform.py`, loaded at once. Names of versions differ in their
revision, which says how often a due date was trained; everything else must be equal to the last bit.
"""

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from conftest import Admin
from sqlalchemy import Engine, create_engine
from worlds.commands import boursomatic
from worlds.platform import FIRST, LAST, bring_up_to_date, frame, platform, rows

from boursomatic_assets import registry
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.cli import launching
from boursomatic_assets.learning.parameters import Parameters

MIDDLE = dt.date(2023, 9, 15)

VERSIONS = """
SELECT v.as_of, v.model_path, v.params_hash, v.metrics_json::text, v.history_digest, d.kind, d.decided_by,
    s.as_of AS champion
FROM model_versions v JOIN model_decisions d ON d.version_id = v.id
    LEFT JOIN model_versions s ON s.id = d.speaker_id
WHERE NOT EXISTS (SELECT FROM model_versions n WHERE n.as_of = v.as_of AND n.revision > v.revision)
ORDER BY v.as_of
"""
ACTIVE = "SELECT as_of, model_path FROM model_versions WHERE is_active"
ADVICE = """
SELECT i.symbol, r.profile, r.as_of, v.as_of AS due, r.label, r.confidence, r.expected_return_pct, r.horizon_days,
    r.stop_loss, r.take_profit, r.is_active,
    regexp_replace(r.justification, '\\.r[0-9]+', '', 'g') AS justification,
    regexp_replace(r.features_snapshot::text, '\\.r[0-9]+', '', 'g') AS snapshot
FROM recommendations r JOIN instruments i ON i.id = r.instrument_id
    JOIN model_versions v ON v.id = r.model_version_id
WHERE r.superseded_at IS NULL ORDER BY 1, 2, 3
"""
SCORES = """
SELECT i.symbol, r.profile, r.as_of, t.ts, r.label, t.outcome, t.hit, t.realised_return_pct
FROM track_record t JOIN instruments i ON i.id = t.instrument_id
    JOIN recommendations r ON r.id = t.recommendation_id
WHERE r.superseded_at IS NULL ORDER BY 1, 2, 3
"""
RESULTS = (VERSIONS, ACTIVE, ADVICE, SCORES)


@pytest.fixture
def at_once(admin: Admin, shared_platform: str) -> Iterator[list[pl.DataFrame]]:
    """What the platform holds that was loaded at once."""
    engine = create_engine(admin.address(shared_platform))
    yield [frame(engine, query) for query in RESULTS]
    engine.dispose()


@pytest.fixture
def empty(
    at_once: None,
    migrated: Engine,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
    dagster_instance: dg.DagsterInstance,
) -> Engine:
    """An empty platform that reads the same bars."""
    monkeypatch.setattr(launching, "defs", platform)
    monkeypatch.setenv("BOURSOMATIC_FILES", str(admin.run / "bars of the platform"))
    return migrated


def load(start: dt.date, end: dt.date, *markets: str) -> None:
    bring_up_to_date(start, end, markets=markets or tuple(MARKETS), strict=False)


def symbols_late(folder: Path) -> None:
    """A quarter of the instruments is delivered after everything else was published."""
    whole = Path(os.environ["BOURSOMATIC_FILES"])
    folder.mkdir()
    (folder / "instruments.csv").write_bytes((whole / "instruments.csv").read_bytes())
    for market in MARKETS:
        bars = pl.read_parquet(whole / f"{market}.parquet")
        late = bars["symbol"].unique().sort()[::4]
        bars.filter(~pl.col("symbol").is_in(late.implode())).write_parquet(folder / f"{market}.parquet")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("BOURSOMATIC_FILES", str(folder))
        load(FIRST, LAST)
    load(FIRST, LAST)


def scattered(folder: Path) -> None:
    """Parts of both markets in no order, some of them twice: later months come before earlier ones."""
    load(dt.date(2023, 6, 1), dt.date(2023, 12, 29), "EURONEXT")
    load(dt.date(2024, 1, 2), LAST, "US")
    load(FIRST, dt.date(2023, 10, 31), "US")
    load(FIRST, MIDDLE, "EURONEXT")
    load(dt.date(2023, 10, 2), dt.date(2024, 1, 31), "US")
    load(dt.date(2024, 1, 2), LAST, "EURONEXT")


ORDERS = (symbols_late, scattered)


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.__name__)
def test_any_order_and_a_refresh_end_in_the_same_versions_decisions_and_advice(
    empty: Engine, at_once: list[pl.DataFrame], tmp_path: Path, order: Callable[[Path], None]
) -> None:
    order(tmp_path / "bars")
    assert "model versions from" in boursomatic("status").output
    result = boursomatic("refresh", "--models")
    assert result.exit_code == 0, result.output
    for query, expected in zip(RESULTS, at_once, strict=True):
        assert frame(empty, query).equals(expected), query
    with empty.connect() as connection:
        assert registry.stale_versions(connection, Parameters()) == []
    assert "stale:" not in boursomatic("status").output
    assert rows(empty, "SELECT count(*) FROM recommendations WHERE superseded_at IS NOT NULL")[0]["count"] > 0
    assert "no model version is stale" in boursomatic("refresh", "--models").output
