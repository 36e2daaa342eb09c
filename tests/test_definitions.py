"""What the UI shows before the first run: every asset and check is named, owned, described and grouped."""

import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml
from sqlalchemy.dialects import postgresql

from boursomatic_assets.definitions import defs
from boursomatic_assets.schema import Table

GROUPS = {
    "users": "accounts",
    "instruments": "market_data",
    "price_bars": "market_data",
    "cold_storage": "archive",
    "price_bars_15m": "intraday",
    "archive_15m": "intraday",
    "features": "features",
    "model_versions": "models",
    "recommendations": "recommendations",
    "track_record": "recommendations",
    "current_advice": "recommendations",
    "advice_by_sector": "summaries",
    "coverage_by_month": "summaries",
    "track_record_by_month": "summaries",
}
ROOT = Path(__file__).parent.parent
SUMMARIES = {"advice_by_sector", "coverage_by_month", "track_record_by_month"}
UNDATED = {"users", "archive_15m", "cold_storage", "current_advice", *SUMMARIES}
NOT_RUN = {"users", "current_advice"}
"""Assets that the platform checks, and computes by no run of their own."""

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
SPECS = {spec.key.to_user_string(): spec for spec in sorted(defs.resolve_all_asset_specs(), key=lambda s: s.key)}
CHECKS = sorted(
    (spec for check in defs.asset_checks or () for spec in check.check_specs),  # type: ignore[union-attr]
    key=lambda spec: spec.name,
)


def test_the_assets_are_these_in_these_groups() -> None:
    assert {name: spec.group_name for name, spec in SPECS.items()} == GROUPS


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_an_asset_has_a_description_an_owner_and_a_kind(spec: dg.AssetSpec) -> None:
    assert spec.description
    assert len(spec.description.splitlines()[0]) > 20
    assert [owner.partition(":")[0] for owner in spec.owners] == ["team"]
    assert "postgres" in spec.kinds


def test_the_assets_of_a_group_have_one_owner_tier_and_cadence() -> None:
    said = {
        (spec.group_name, *spec.owners, spec.tags.get("tier"), spec.tags.get("cadence")) for spec in SPECS.values()
    }
    assert said == {
        ("accounts", "team:accounts", "application", None),
        ("archive", "team:market-data", "raw", "session"),
        ("market_data", "team:market-data", "raw", "session"),
        ("intraday", "team:market-data", "raw", "session"),
        ("features", "team:research", "derived", "session"),
        ("models", "team:research", "derived", "month"),
        ("recommendations", "team:advice", "published", "session"),
        ("summaries", "team:advice", "derived", "session"),
    }


@pytest.mark.parametrize("name", sorted(set(SPECS) - NOT_RUN))
def test_an_asset_refers_to_its_code(name: str) -> None:
    references = SPECS[name].metadata["dagster/code_references"]
    assert isinstance(references, dg.CodeReferencesMetadataValue)
    (reference,) = references.code_references
    assert isinstance(reference, dg.LocalFileCodeReference)
    assert Path(reference.file_path).name == f"{name}.py"


def test_dg_and_dagster_load_the_same_definitions() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    (served,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert served["python_module"] == {
        "module_name": told["code_location_target_module"],
        "location_name": told["code_location_name"],
    }


@pytest.mark.parametrize(
    "name", sorted(set(SPECS) - {"archive_15m", "cold_storage", "current_advice"} - SUMMARIES)
)  # files, and views
def test_an_asset_is_named_like_its_table_and_describes_its_columns(name: str) -> None:
    table = Table.metadata.tables[name.removesuffix("_15m")]
    assert SPECS[name].metadata["dagster/table_name"] == f"public.{table.name}"
    schema = SPECS[name].metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    shown = {column.name: (column.type, column.constraints.nullable) for column in schema.columns}
    assert shown == {
        column.name: (str(column.type.compile(dialect=DIALECT)).lower(), column.nullable)
        for column in table.columns
    }
    assert all(column.description for column in schema.columns)


def test_every_edge_of_the_graph_is_there() -> None:
    upstream = {name: sorted(dep.asset_key.to_user_string() for dep in spec.deps) for name, spec in SPECS.items()}
    assert upstream == {
        "users": [],
        "instruments": [],
        "price_bars": ["instruments"],
        "price_bars_15m": ["instruments"],
        "archive_15m": ["price_bars_15m"],
        "cold_storage": ["features", "price_bars"],
        "features": ["price_bars"],
        "model_versions": ["features", "price_bars"],
        "recommendations": ["features", "model_versions", "price_bars"],
        "track_record": ["price_bars", "recommendations"],
        "current_advice": ["recommendations"],
        "advice_by_sector": ["recommendations"],
        "track_record_by_month": ["track_record"],
        "coverage_by_month": ["features", "price_bars", "recommendations"],
    }


def test_dated_assets_are_partitioned_by_date_and_market() -> None:
    partitioned = {name for name, spec in SPECS.items() if spec.partitions_def is not None}
    assert partitioned == set(SPECS) - UNDATED
    for name in partitioned:
        partitions = SPECS[name].partitions_def
        assert isinstance(partitions, dg.MultiPartitionsDefinition)
        assert partitions.partition_dimension_names == ["date", "market"]


def test_no_partitioned_asset_has_a_freshness_policy() -> None:
    """It would look at the last materialisation, and a backfill of old dates would turn it green."""
    assert {name for name, spec in SPECS.items() if spec.freshness_policy} == {"archive_15m"}


def test_every_asset_has_a_check() -> None:
    assert {spec.asset_key.to_user_string() for spec in CHECKS} == set(SPECS)


@pytest.mark.parametrize("spec", CHECKS, ids=[spec.name for spec in CHECKS])
def test_a_check_has_a_description_and_its_assets_partitions(spec: dg.AssetCheckSpec) -> None:
    assert spec.description
    assert spec.description.splitlines()[0].endswith(".")
    partitions = SPECS[spec.asset_key.to_user_string()].partitions_def
    assert spec.partitions_def == partitions, "a check is about the partition that was just written"


def test_no_description_is_indented() -> None:
    """Markdown shows indented text as code."""
    repository = defs.get_repository_def()
    resources = defs.resolve_job_def("market_session").resource_defs
    definitions = [
        *SPECS.values(),
        *CHECKS,
        *repository.get_all_jobs(),
        *repository.schedule_defs,
        *repository.sensor_defs,
    ]
    texts = [each.description for each in [*definitions, *resources.values()]]
    assert [text for text in texts if "\n    " in (text or "")] == []


def test_checks_for_anomalies_and_staleness_are_not_blocking() -> None:
    assert {spec.name for spec in CHECKS if not spec.blocking} == {
        "every_tracked_instrument_has_its_bar",
        "no_row_is_in_two_places",
        "no_row_was_refused",
        "no_quarter_was_refused",
        "features_follow_their_bars",
        "features_resemble_what_the_model_learned",
        "versions_follow_what_they_learned_from",
        "parameters_are_those_of_the_active_model",
        "advice_follows_its_features",
        "scores_follow_their_advice",
        "bars_are_usual",
        "series_stand_on_one_basis",
        "no_symbol_was_reused",
        "no_symbol_has_two_instruments",
        "quarters_are_complete",
        "daily_and_15m_bars_agree",
        "us_is_up_to_date",
        "euronext_is_up_to_date",
        *(f"{name}_is_up_to_date" for name in SUMMARIES),
    }


JOBS = {
    "price_bars_15m": "market_session_15m",
    **dict.fromkeys(("archive_15m", "cold_storage"), "archive_15m_bars"),
    **dict.fromkeys(SUMMARIES, "summaries"),
}


@pytest.mark.parametrize("job_name", ["market_session", *sorted({*JOBS.values()})])
def test_a_job_runs_its_assets_with_all_their_checks(job_name: str) -> None:
    expected = {name for name in set(SPECS) - NOT_RUN if JOBS.get(name, "market_session") == job_name}
    expected |= {"instruments"} if job_name == "market_session_15m" else set()
    job = defs.resolve_job_def(job_name)
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == expected
    check_names = {spec.name for spec in CHECKS if spec.asset_key.to_user_string() in expected}
    assert {key.name for key in job.asset_layer.asset_graph.asset_check_keys} == check_names
