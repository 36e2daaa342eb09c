"""The IO manager, through real Dagster runs: frames are written as slices and loaded with their look-back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pytest
from dagster._core.storage.partition_status_cache import AssetPartitionStatus
from sqlalchemy import Engine
from worlds.frames import (
    bars,
    day,
    delivered_bars,
    insert_instruments,
    insert_model_version,
    instruments,
    midnight,
    query_rows,
    recommendation_rows,
    slice_of,
)

from boursomatic_assets import absorbed
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.features.lookback_blocks import LOOKBACK
from boursomatic_assets.orchestration.chunks import ChunkedRows
from boursomatic_assets.orchestration.io_manager import PostgresIOManager
from boursomatic_assets.orchestration.partitions import (
    CLOSED_DATES_IN_LOOKBACK,
    MARKET_SESSIONS,
    SAME_MARKET_LOOKBACK,
    slices_of_keys,
)
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.tables import frames, merging
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import SliceReader, read_slice

MONDAY, TUESDAY, WEDNESDAY = WEEK = ("2024-06-10", "2024-06-11", "2024-06-12")
SINGLE_RUN = dg.BackfillPolicy.single_run()

FEATURES = pl.DataFrame(schema=frames.required_columns(GRAINS["features"].table) | {"market": pl.String()})


@pytest.fixture
def with_instruments(migrated: Engine) -> Engine:
    """A database with the instruments and a model version."""
    insert_instruments(migrated)
    insert_model_version(migrated)
    return migrated


def asset_named(table: str, returned: Any, kind: Any = pl.DataFrame) -> dg.AssetsDefinition:
    """An asset of a table's name that returns a given value."""

    def compute() -> Any:
        return returned

    compute.__annotations__["return"] = kind
    return dg.asset(compute, name=table, partitions_def=MARKET_SESSIONS, backfill_policy=SINGLE_RUN)


def reader(seen: list[Any], kind: Any = pl.DataFrame) -> dg.AssetsDefinition:
    """An asset `features` that records the bars it is given."""

    def features(price_bars: Any) -> pl.DataFrame:
        seen.append(price_bars)
        return FEATURES

    features.__annotations__["price_bars"] = kind
    return dg.asset(
        features,
        ins={"price_bars": dg.AssetIn(partition_mapping=SAME_MARKET_LOOKBACK)},
        partitions_def=MARKET_SESSIONS,
        backfill_policy=SINGLE_RUN,
    )


def in_range(start: str, end: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}


def materialize(asset: dg.AssetsDefinition, key: str | None = None, **more: Any) -> dg.ExecuteInProcessResult:
    return dg.materialize([asset], resources={"io_manager": PostgresIOManager()}, partition_key=key, **more)


def metadata_of(result: dg.ExecuteInProcessResult, name: str = "price_bars") -> dict[str, dict[str, Any]]:
    """The metadata of each materialized partition."""
    events = result.asset_materializations_for_node(name)
    return {str(event.partition): {key: value.value for key, value in event.metadata.items()} for event in events}


def stored(market: str, *dates: str, table: str = "price_bars") -> pl.DataFrame:
    return read_slice(GRAINS[table], slice_of(market, *dates)).drop("market")


def of_market(frame: pl.DataFrame, market: str) -> pl.DataFrame:
    return frame.with_columns(market=pl.lit(market))


# Writing


@pytest.mark.parametrize("label", [lambda frame: frame, lambda frame: of_market(frame, "US")], ids=["", "market"])
def test_one_partition_is_one_slice(
    with_instruments: Engine, label: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    frame = bars("ACME", MONDAY)
    result = materialize(asset_named("price_bars", label(frame)), f"{MONDAY}|US")
    assert stored("US", MONDAY).equals(frame)
    assert metadata_of(result) == {
        f"{MONDAY}|US": {
            "dagster/table_name": f"{with_instruments.url.database}.public.price_bars",
            "dagster/row_count": 1,
            "US/rows": 1,
            "run": {
                **{"rows": 1, "inserted": 1, "changed": 0, "unchanged": 0, "removed": 0},
                "absorbed_errors": 0,
            },
        }
    }


def test_a_range_of_one_market_is_one_run(with_instruments: Engine) -> None:
    frame = pl.concat([bars("ACME BOLT", MONDAY), bars("ACME", WEDNESDAY)])
    result = materialize(asset_named("price_bars", frame), tags=in_range(f"{MONDAY}|US", f"{WEDNESDAY}|US"))
    assert stored("US", *WEEK).equals(frame.sort("instrument_id", "ts"))
    counts = {key: metadata["US/rows"] for key, metadata in metadata_of(result).items()}
    assert counts == {f"{MONDAY}|US": 2, f"{TUESDAY}|US": 0, f"{WEDNESDAY}|US": 1}


def test_a_range_of_both_markets_is_one_run(with_instruments: Engine) -> None:
    ours, theirs = bars("ACME BOLT", *WEEK), bars("LUXE", MONDAY, TUESDAY)
    frame = pl.concat([of_market(theirs, "EURONEXT"), of_market(ours, "US")])
    result = materialize(asset_named("price_bars", frame), tags=in_range(f"{MONDAY}|US", f"{WEDNESDAY}|EURONEXT"))
    assert stored("US", *WEEK).equals(ours.sort("instrument_id", "ts"))
    assert stored("EURONEXT", *WEEK).equals(theirs)
    metadata = metadata_of(result)
    counts = {key: found[f"{key.partition('|')[2]}/rows"] for key, found in metadata.items()}
    assert counts == {f"{date}|US": 2 for date in WEEK} | {
        f"{MONDAY}|EURONEXT": 1,
        f"{TUESDAY}|EURONEXT": 1,
        f"{WEDNESDAY}|EURONEXT": 0,
    }
    of_run = {key: found["run"]["inserted"] for key, found in metadata.items() if "run" in found}
    assert of_run == {f"{WEDNESDAY}|{market}": 8 for market in ("US", "EURONEXT")}, "once a market, at the newest"


def test_a_range_of_both_markets_requires_the_column_market(with_instruments: Engine) -> None:
    asset = asset_named("price_bars", bars("ACME", MONDAY))
    with pytest.raises(frames.FrameError, match="a frame for several markets must carry the column 'market'"):
        materialize(asset, tags=in_range(f"{MONDAY}|US", f"{MONDAY}|EURONEXT"))


@pytest.mark.parametrize(
    ("frame", "keys", "why"),
    [
        (
            bars("ACME", MONDAY, TUESDAY),
            (f"{MONDAY}|US", f"{MONDAY}|US"),
            "1 rows of the frame lie outside of the run's partitions",
        ),
        (bars("LUXE", MONDAY), (f"{MONDAY}|US", f"{MONDAY}|US"), "1 rows .* outside of the slice US 2024-06-10"),
        (
            of_market(bars("ACME", MONDAY, WEDNESDAY), "US"),
            (f"{MONDAY}|US", f"{TUESDAY}|EURONEXT"),
            "1 rows of the frame lie outside of the run's partitions",
        ),
        (
            of_market(bars("ACME", MONDAY), "EURONEXT"),
            (f"{MONDAY}|US", f"{TUESDAY}|EURONEXT"),
            "1 of 4 partitions failed, 3 are written: EURONEXT 2024-06-10: .* outside of the slice",
        ),
    ],
    ids=["time", "market", "time of a range", "market of a range"],
)
def test_rows_of_other_partitions_raise_an_error(
    with_instruments: Engine, frame: pl.DataFrame, keys: tuple[str, str], why: str
) -> None:
    with pytest.raises((frames.FrameError, dg.Failure), match=why):
        materialize(asset_named("price_bars", frame), tags=in_range(*keys))
    assert query_rows(with_instruments, "SELECT count(*) FROM price_bars") == [(0,)]


def test_a_second_run_reports_that_nothing_changed(with_instruments: Engine) -> None:
    asset = asset_named("price_bars", bars("ACME BOLT", MONDAY))
    materialize(asset, f"{MONDAY}|US")
    metadata = metadata_of(materialize(asset, f"{MONDAY}|US"))[f"{MONDAY}|US"]
    assert tuple(metadata["run"][name] for name in ("inserted", "changed", "unchanged")) == (0, 0, 2)


def test_the_partition_of_a_closed_market_is_empty_and_has_a_note(with_instruments: Engine) -> None:
    """2025-01-09: a day of mourning in New York."""
    empty = bars("ACME", MONDAY).clear()
    result = materialize(asset_named("price_bars", empty), "2025-01-09|US")
    assert result.success
    found = metadata_of(result)["2025-01-09|US"]
    assert (found["note"], found["US/rows"]) == ("market closed", 0)


def test_within_a_range_only_the_closed_date_has_the_note(with_instruments: Engine) -> None:
    frame = bars("ACME", "2025-01-08", "2025-01-10")
    result = materialize(asset_named("price_bars", frame), tags=in_range("2025-01-08|US", "2025-01-10|US"))
    assert {key: found.get("note") for key, found in metadata_of(result).items()} == {
        "2025-01-08|US": None,
        "2025-01-09|US": "market closed",
        "2025-01-10|US": None,
    }


def test_valid_and_rejected_rows_of_a_delivery_go_to_their_tables(with_instruments: Engine) -> None:
    raw = pl.concat([delivered_bars("ACME", *WEEK), delivered_bars("BOLT", TUESDAY, c=None)])
    asset = asset_named("price_bars", apply_contract(raw, slice_of("US", *WEEK), instruments(), "toy"), Delivery)
    result = materialize(asset, tags=in_range(f"{MONDAY}|US", f"{WEDNESDAY}|US"))
    assert stored("US", *WEEK).equals(bars("ACME", *WEEK))
    found = query_rows(with_instruments, "SELECT date(session)::text, reason, run_id FROM rejected_bars")
    assert found == [(TUESDAY, "price is missing", result.run_id)]


def test_a_partition_without_rows_says_what_came_of_its_delivery(with_instruments: Engine) -> None:
    refused = (delivered_bars(symbol, TUESDAY, c=None) for symbol in ("ACME", "BOLT"))
    raw = pl.concat([delivered_bars("ACME", MONDAY), *refused])
    asset = asset_named("price_bars", apply_contract(raw, slice_of("US", *WEEK), instruments(), "toy"), Delivery)
    found = metadata_of(materialize(asset, tags=in_range(f"{MONDAY}|US", f"{WEDNESDAY}|US")))
    assert {key[8:10]: metadata.get("note") for key, metadata in found.items()} == {
        "10": None,
        "11": "all 2 delivered rows are refused: `boursomatic rejected` says why",
        "12": "nothing delivered: what is stored of this session stays",
    }


def test_a_partition_without_rows_of_an_asset_that_says_nothing_has_a_note(with_instruments: Engine) -> None:
    found = metadata_of(materialize(asset_named("price_bars", bars("ACME", MONDAY).clear()), f"{MONDAY}|US"))
    assert found[f"{MONDAY}|US"]["note"] == "nothing computed for this session"


COUNTS = ("delivered", "merged", "rejected", "repaired")


def test_each_partition_has_its_own_delivery_counts(with_instruments: Engine) -> None:
    """Chunks have one date; a row without a readable time is delivered with each, and is in no partition."""
    raw = pl.concat(
        [
            delivered_bars("ACME", *WEEK),
            delivered_bars("BOLT", TUESDAY, c=None),
            delivered_bars("ACME", TUESDAY),
            delivered_bars("ACME", MONDAY, ts=None),
        ]
    )

    @dg.asset(name="price_bars", partitions_def=MARKET_SESSIONS, backfill_policy=SINGLE_RUN)
    def asset(context: dg.AssetExecutionContext) -> ChunkedRows:
        def compute(part: Slice) -> Delivery:
            here = pl.col("ts").is_between(part.start, part.end, closed="left") | pl.col("ts").is_null()
            return apply_contract(raw.filter(here), part, instruments(), "toy")

        return ChunkedRows(slices_of_keys(context.partition_keys), compute, bars=1)

    found = metadata_of(materialize(asset, tags=in_range(f"{MONDAY}|US", "2024-06-13|US")))
    assert {key[8:10]: [metadata[f"US/{name}"] for name in COUNTS] for key, metadata in found.items()} == {
        "10": [1, 0, 0, 0],
        "11": [3, 1, 1, 0],
        "12": [1, 0, 0, 0],
        "13": [0, 0, 0, 0],
    }
    assert {key[8:10]: metadata["run"] for key, metadata in found.items() if "run" in metadata} == {
        "13": {**found["2024-06-13|US"]["run"], "delivered": 6, "merged": 1, "rejected": 2, "repaired": 0}
    }


def test_rejected_rows_roll_back_with_their_slice(with_instruments: Engine) -> None:
    """One transaction: no rejected row without the valid rows of the same delivery."""
    raw = pl.concat([delivered_bars("ACME", MONDAY), delivered_bars("BOLT", MONDAY, c=None)])
    delivery = apply_contract(raw, slice_of("US", MONDAY), instruments(), "toy")
    broken = replace(delivery, rejected=delivery.rejected.with_columns(reason=pl.lit("x" * 101)))
    with pytest.raises(Exception, match="value too long"):
        materialize(asset_named("price_bars", broken, Delivery), f"{MONDAY}|US")
    assert query_rows(
        with_instruments, "SELECT (SELECT count(*) FROM price_bars) + (SELECT count(*) FROM rejected_bars)"
    ) == [(0,)]


def deliver(*raw: pl.DataFrame, dates: tuple[str, ...] = (MONDAY, TUESDAY)) -> Delivery:
    """A validated delivery."""
    return apply_contract(pl.concat(raw), slice_of("US", *dates), instruments(), "toy")


def test_of_two_deliveries_the_one_requested_last_stays(with_instruments: Engine) -> None:
    """While one run waits for its source, another requests and writes a newer delivery."""
    newer = deliver(delivered_bars("ACME", MONDAY, c=10.5), dates=(MONDAY,))
    older = deliver(
        delivered_bars("ACME", MONDAY, TUESDAY),
        delivered_bars("BOLT", MONDAY),
        delivered_bars("BOLT", MONDAY, v=-1.0, line=2),
    )

    def overtaken_by_newer(part: Slice) -> Delivery:
        assert materialize(asset_named("price_bars", newer, Delivery), f"{MONDAY}|US").success
        return older

    asset = asset_named(
        "price_bars", ChunkedRows([slice_of("US", MONDAY, TUESDAY)], overtaken_by_newer), ChunkedRows
    )
    result = materialize(asset, tags=in_range(f"{MONDAY}|US", f"{TUESDAY}|US"))
    assert stored("US", MONDAY)["c"].to_list() == [10.5]
    assert stored("US", TUESDAY)["c"].to_list() == [10.0]
    assert query_rows(with_instruments, "SELECT session::date::text, kept FROM delivered_sessions ORDER BY 1") == [
        (MONDAY, 1),
        (TUESDAY, 1),
    ]
    assert query_rows(with_instruments, "SELECT count(*) FROM rejected_bars") == [(0,)]
    monday, tuesday = (metadata_of(result)[f"{date}|US"] for date in (MONDAY, TUESDAY))
    assert monday["note"] == "left as it is: a delivery that was requested later stays"
    assert (monday["US/delivered"], "US/rows" in monday) == (3, False)
    assert ("note" in tuesday, tuesday["US/rows"]) == (False, 1)


def test_a_pandas_frame_can_be_returned(with_instruments: Engine) -> None:
    frame = bars("ACME BOLT", MONDAY, TUESDAY)
    pandas = frame.to_pandas().astype({"ts": "datetime64[ns]"})
    asset = asset_named("price_bars", pandas, pd.DataFrame)
    materialize(asset, tags=in_range(f"{MONDAY}|US", f"{TUESDAY}|US"))
    assert stored("US", MONDAY, TUESDAY).equals(frame.sort("instrument_id", "ts"))


def test_a_nan_of_pandas_is_a_missing_number(with_instruments: Engine) -> None:
    names = [name for name in FEATURES.columns if FEATURES.schema[name] == pl.Float64]
    frame = pd.DataFrame(
        {
            "instrument_id": bars("ACME", MONDAY)["instrument_id"].to_list(),
            "ts": [pd.Timestamp(MONDAY)],
            **{key: [float("nan")] for key in names},
            "ret_1d": [0.5],
            "additional_features": ["{}"],
        }
    )
    materialize(asset_named("features", frame, pd.DataFrame), f"{MONDAY}|US")
    assert query_rows(with_instruments, "SELECT ret_1d, rsi_14 FROM features") == [(0.5, None)]


def test_a_recommendation_is_superseded_by_one_of_the_same_session(with_instruments: Engine) -> None:
    key = f"{MONDAY}|US"
    materialize(asset_named("recommendations", recommendation_rows("ACME", "US", MONDAY, label="BUY")), key)
    result = materialize(
        asset_named("recommendations", recommendation_rows("ACME", "US", MONDAY, label="SELL")), key
    )
    found = metadata_of(result, "recommendations")[key]
    assert (found["run"]["changed"], found["US/rows"]) == (1, 1)
    query = "SELECT label, is_active, superseded_at IS NULL FROM recommendations ORDER BY 1"
    assert query_rows(with_instruments, query) == [("BUY", False, False), ("SELL", True, True)]


def test_instruments_are_upserted_and_loaded_whole(migrated: Engine) -> None:
    seen: list[pl.DataFrame] = []

    @dg.asset(name="instruments")
    def listing() -> pl.DataFrame:
        return instruments()

    @dg.asset(partitions_def=MARKET_SESSIONS)
    def price_bars(instruments: pl.DataFrame) -> pl.DataFrame:
        seen.append(instruments)
        return bars("ACME", MONDAY)

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([listing], resources={"io_manager": PostgresIOManager()}, instance=instance)
        dg.materialize(
            [listing, price_bars],
            selection=[price_bars],
            resources={"io_manager": PostgresIOManager()},
            instance=instance,
            partition_key=f"{MONDAY}|US",
        )
    (found,) = seen
    columns = instruments().columns
    assert found.select(columns).equals(instruments().sort("symbol", "exchange"))


def failing_on(bad: set[str]) -> dg.AssetsDefinition:
    """An asset `price_bars` of both US instruments that fails for some dates."""

    def compute(part: Slice) -> pl.DataFrame:
        if found := bad & {date.isoformat() for date in part.dates}:
            raise ValueError(f"no bars can be had of {min(found)}")
        return bars("ACME BOLT", *(date.isoformat() for date in part.sessions))

    @dg.asset(name="price_bars", partitions_def=MARKET_SESSIONS, backfill_policy=SINGLE_RUN)
    def asset(context: dg.AssetExecutionContext) -> ChunkedRows:
        return ChunkedRows(slices_of_keys(context.partition_keys), compute, bars=16)

    return asset


def test_a_failing_date_is_named_and_all_others_are_written(
    with_instruments: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    """A year of one market: 260 partition dates, in chunks of eight."""
    tags = in_range("2023-06-12|US", "2024-06-12|US")
    result = materialize(failing_on({"2024-02-14"}), tags=tags, instance=dagster_instance, raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.error
    message = failure.step_failure_data.error.message
    assert (
        "price_bars: 1 of 260 partitions failed, 259 are written: US 2024-02-14: no bars can be had of" in message
    )
    assert "The others are not checked, and this run computes nothing from them: correct this" in message
    assert message.rstrip().endswith("US 2023-06-12 .. 2024-02-13, US 2024-02-15 .. 2024-06-12")
    keys = [
        key for key in MARKET_SESSIONS.get_partition_keys() if "2023-06-12" <= key < "2024-06-12|V" and "US" in key
    ]
    found = dagster_instance.get_status_by_partition(dg.AssetKey("price_bars"), keys, MARKET_SESSIONS)
    assert found
    assert {key for key in keys if found[key] == AssetPartitionStatus.FAILED} == {"2024-02-14|US"}
    assert {found[key] for key in keys if key != "2024-02-14|US"} == {AssetPartitionStatus.MATERIALIZED}
    sessions = len(slice_of("US", *(key[:10] for key in keys)).sessions)
    assert query_rows(with_instruments, "SELECT count(*) FROM price_bars") == [(2 * (sessions - 1),)]
    latest = dagster_instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey("price_bars"), asset_partitions=["2024-02-15|US"]), limit=1
    )
    assert latest.records[0].asset_materialization
    assert latest.records[0].asset_materialization.metadata["US/rows"].value == 2


def only_up_to(dates: int) -> dg.AssetsDefinition:
    """An asset `price_bars` that runs out of memory for more dates than this."""

    def compute(part: Slice) -> pl.DataFrame:
        if len(part.dates) > dates:
            raise MemoryError
        return bars("ACME", *(date.isoformat() for date in part.sessions))

    @dg.asset(name="price_bars", partitions_def=MARKET_SESSIONS, backfill_policy=SINGLE_RUN)
    def asset(context: dg.AssetExecutionContext) -> ChunkedRows:
        return ChunkedRows(slices_of_keys(context.partition_keys), compute)

    return asset


def test_a_run_that_absorbed_errors_shows_them(
    with_instruments: Engine, dagster_instance: dg.DagsterInstance, absorbed_errors: list[str]
) -> None:
    result = materialize(
        only_up_to(2), tags=in_range(f"{MONDAY}|US", f"{WEDNESDAY}|US"), instance=dagster_instance
    )
    reason = f"US {MONDAY} .. {WEDNESDAY} is done in halves, after MemoryError: no message"
    assert absorbed_errors == [reason]
    of_run = metadata_of(result)[f"{WEDNESDAY}|US"]["run"]
    assert (of_run["absorbed_errors"], of_run["absorbed_reasons"]) == (1, reason)
    run = dagster_instance.get_run_by_id(result.run_id)
    assert run
    assert run.tags[absorbed.TAG] == f"1 error, the first: {reason}"


def test_a_run_that_absorbed_nothing_has_no_tag(
    with_instruments: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    result = materialize(only_up_to(2), f"{MONDAY}|US", instance=dagster_instance)
    assert metadata_of(result)[f"{MONDAY}|US"]["run"]["absorbed_errors"] == 0
    assert dagster_instance.get_run_tags([absorbed.TAG]) == []


def test_a_defect_of_the_code_fails_all_dates_of_its_chunk_at_once(
    with_instruments: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    """It is tried once, and its traceback is the cause of the failure that names the dates."""
    tried = []

    def compute(part: Slice) -> pl.DataFrame:
        tried.append(part)
        return bars("ACME", MONDAY).select(pl.col("no such column"))

    @dg.asset(name="price_bars", partitions_def=MARKET_SESSIONS, backfill_policy=SINGLE_RUN)
    def asset(context: dg.AssetExecutionContext) -> ChunkedRows:
        return ChunkedRows(slices_of_keys(context.partition_keys), compute)

    week = in_range(f"{MONDAY}|US", f"{WEDNESDAY}|US")
    result = materialize(asset, tags=week, instance=dagster_instance, raise_on_error=False)
    assert len(tried) == 1
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error
    assert f"3 of 3 partitions failed, 0 are written: US {MONDAY} .. {WEDNESDAY}: " in error.message
    assert error.cause
    assert error.cause.cls_name == "ColumnNotFoundError"


def test_after_many_failures_the_rest_is_not_tried(with_instruments: Engine) -> None:
    bad = {f"2024-06-{number:02}" for number in range(3, 29)}
    with pytest.raises(dg.Failure, match="10 of 22 partitions failed, 2 are written, and nothing was tried"):
        materialize(failing_on(bad), tags=in_range("2024-05-30|US", "2024-06-28|US"))


def test_the_error_of_a_single_partition_is_its_own(with_instruments: Engine) -> None:
    with pytest.raises(ValueError, match="no bars can be had of 2024-06-10"):
        materialize(failing_on({MONDAY}), f"{MONDAY}|US")


def test_a_reader_reads_slice_by_slice(with_history: Engine) -> None:
    reader = load(FEATURES, SliceReader, partition_key=f"{MONDAY}|US")
    part = slice_of("US", MONDAY)
    assert reader(part)["ts"].to_list() == [midnight(MONDAY)]
    assert reader(part.looking_back(3))["ts"].dt.date().to_list() == [
        day(date) for date in ("2024-06-05", "2024-06-06", "2024-06-07", MONDAY)
    ]


# Loading


def history(market: str, symbol: str) -> pl.DataFrame:
    """Two years of bars of one instrument, until a few sessions after the requested ones."""
    sessions = [str(date) for date in MARKETS[market].sessions().tolist() if "2022-06" < str(date) < "2024-06-21"]
    return bars(symbol, *sessions)


def load(frame: pl.DataFrame, kind: Any = pl.DataFrame, **run: Any) -> Any:
    """The input that `features` is given in a run."""
    seen: list[Any] = []
    upstream = asset_named("price_bars", frame, kind)
    result = dg.materialize(
        [upstream, reader(seen, kind)],
        selection=["features"],
        resources={"io_manager": PostgresIOManager()},
        **run,
    )
    assert result.success
    return seen[0]


@pytest.fixture
def with_history(with_instruments: Engine) -> Engine:
    """Two years of bars of both markets."""
    for market, symbol in (("US", "ACME"), ("EURONEXT", "LUXE")):
        frame = history(market, symbol)
        part = Slice(MARKETS[market], tuple(frame["ts"].dt.date()))
        with with_instruments.begin() as connection:
            merging.replace(connection, GRAINS["price_bars"], part, frame)
    return with_instruments


def expected(market: str, start: str, end: str) -> list[Any]:
    """The sessions that a look-back from `start` to `end` holds."""
    keys = [str(key) for key in MARKET_SESSIONS.get_partition_keys() if key.endswith(f"|{market}")]
    first = keys.index(f"{start}|{market}") - LOOKBACK - CLOSED_DATES_IN_LOOKBACK
    dates = [day(key.partition("|")[0]) for key in keys[first : keys.index(f"{end}|{market}") + 1]]
    return [midnight(str(date)) for date in dates if MARKETS[market].is_session(date)]


@pytest.mark.parametrize("market", MARKETS)
def test_a_session_is_loaded_with_its_look_back_and_nothing_else(with_history: Engine, market: str) -> None:
    found = load(FEATURES, partition_key=f"{MONDAY}|{market}")
    assert found["ts"].to_list() == expected(market, MONDAY, MONDAY)
    assert found["ts"].max() == midnight(MONDAY)
    assert found["market"].unique().to_list() == [market]
    assert found.height > LOOKBACK


def test_a_range_is_loaded_with_the_look_back_of_its_first_session(with_history: Engine) -> None:
    found = load(FEATURES, tags=in_range(f"{MONDAY}|US", f"{WEDNESDAY}|US"))
    assert found["ts"].to_list() == expected("US", MONDAY, WEDNESDAY)


def test_a_range_of_both_markets_loads_both(with_history: Engine) -> None:
    found = load(FEATURES, tags=in_range(f"{MONDAY}|US", f"{WEDNESDAY}|EURONEXT"))
    for market in MARKETS:
        own = found.filter(pl.col("market") == market)
        assert own["ts"].to_list() == expected(market, MONDAY, WEDNESDAY)


def test_loaded_rows_equal_the_written_rows(with_history: Engine) -> None:
    found = load(FEATURES, partition_key=f"{MONDAY}|US").drop("market")
    written = history("US", "ACME").filter(pl.col("ts").is_in(found["ts"].implode()))
    assert found.equals(written)


def test_a_pandas_frame_can_be_loaded(with_history: Engine) -> None:
    found = load(FEATURES, pd.DataFrame, partition_key=f"{MONDAY}|US")
    assert isinstance(found, pd.DataFrame)
    assert found["ts"].max() == pd.Timestamp(MONDAY)
    assert len(found) == len(expected("US", MONDAY, MONDAY))


def test_an_empty_table_is_loaded_as_an_empty_frame_of_the_right_shape(with_instruments: Engine) -> None:
    found = load(FEATURES, partition_key=f"{MONDAY}|US")
    assert found.is_empty()
    assert found.schema == bars("ACME", MONDAY).schema | {"market": pl.String()}


def test_an_asset_without_a_table_is_named_and_nothing_is_written(with_instruments: Engine) -> None:
    frame = bars("ACME", MONDAY)
    with pytest.raises(ValueError, match=r"'sentiment' has no table here.*price_bars"):
        materialize(asset_named("sentiment", frame), f"{MONDAY}|US")
    assert query_rows(with_instruments, "SELECT count(*) FROM price_bars") == [(0,)]
