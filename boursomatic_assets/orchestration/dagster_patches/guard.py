"""Which patches of Dagster there are, what they were proven on, and whether they are in force.

What belongs here: the patches as data, the installed versions, the switch, the one warning.
Kept elsewhere: the patches themselves (the modules beside this one), what each costs (`docs/dagster-patches.md`).

All patches are in force, or none is: they rest on each other (a look-back that the daemon does not wait for needs
runs that wait), and only these two ways are tested.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from boursomatic_assets import settings

logger = logging.getLogger(__name__)

CORE = {"dagster": ("1.13.27",)}
STORAGE = CORE | {"dagster-postgres": ("0.29.27",)}
PAGES = CORE | {"dagster-graphql": ("1.13.27",)}


@dataclass(frozen=True)
class Patch:
    """One change of what Dagster does."""

    name: str
    what: str
    """What is different with it."""

    without: str
    """What is slower or missing without it."""

    proof: str
    """The test that both ways give the same answer, as `file::test`."""

    proven_on: Mapping[str, tuple[str, ...]]
    """The versions of each package that the test passed on."""


PATCHES = (
    Patch(
        "batched events",
        "events of a range are written with one statement for each kind and asset",
        "a backfill writes its events one by one",
        "orchestration/dagster_patches/test_stock_dagster.py::test_both_ways_give_the_same_answer",
        STORAGE,
    ),
    Patch(
        "short step statistics",
        "the statistics of a run's steps hold its first 1,000 materialisations",
        "the page of a long run takes seconds",
        "orchestration/dagster_patches/test_event_log.py::test_statistics_of_steps_are_dagsters_with_the_first_materializations",
        STORAGE,
    ),
    Patch(
        "check states",
        "the server collects the partitions of a check by colour, ranges included",
        "pages with checks are slow, and checks of a range stay grey",
        "orchestration/dagster_patches/test_check_states.py::test_single_partitions_have_the_colours_that_dagster_finds_one_by_one",
        STORAGE,
    ),
    Patch(
        "results by session",
        "each session of a range has its own result of a check, and what never ran keeps its last one",
        "the result of a range is that of its run alone, and a failed run shows all its checks as failed",
        "checks/test_sessions.py::test_only_sessions_with_a_violation_are_red",
        STORAGE,
    ),
    Patch(
        "staged backfills",
        "a backfill of a job becomes one of its assets, and each run is tagged with what it computes",
        "a job's page cannot backfill a range, and runs are limited in number alone",
        "end_to_end/test_launching.py::test_a_jobs_page_asks_for_what_the_assets_page_asks_for",
        STORAGE,
    ),
    Patch(
        "partition keys",
        "keys of a definition of dates are looked up in an array",
        "each page and each look of the daemon walks through the calendar",
        "orchestration/test_partitions.py::test_the_dates_of_any_day_are_those_that_dagster_walks_through",
        CORE,
    ),
    Patch(
        "partition ranges",
        "ranges of partitions are drawn from split keys",
        "an asset's page of ten years takes seconds",
        "orchestration/dagster_patches/test_partition_ranges.py::test_runs_of_dates_are_those_of_dagster",
        PAGES,
    ),
    Patch(
        "look-backs",
        "a look-back is one pass over an array of dates, and a step waits for what other runs are to write",
        "the daemon thinks for minutes about years of sessions, and cuts a range into more runs",
        "orchestration/test_partitions.py::test_a_look_back_waits_for_the_own_session_and_what_dagsters_own_mapping_needs",
        CORE,
    ),
    Patch(
        "dying starts",
        "a run whose worker dies between its claim and its start fails within a minute",
        "such a run is noticed when its time to start is up",
        "orchestration/workers/test_execution.py::test_a_run_whose_worker_died_before_it_started_fails_at_the_next_look",
        CORE,
    ),
    Patch(
        "stages",
        "a backfill policy names its stage, so that assets of different stages have runs of their own",
        "the limits that assets' pages show differ by one",
        "orchestration/dagster_patches/test_stock_dagster.py::test_both_ways_give_the_same_answer",
        CORE,
    ),
    Patch(
        "partition metadata",
        "metadata of a run's partitions is attached at once",
        "attaching it takes 10 ms or more for each partition of a range",
        "orchestration/dagster_patches/test_stock_dagster.py::test_both_ways_give_the_same_answer",
        CORE,
    ),
)


def enabled() -> bool:
    """Whether the patches are in force in this process."""
    return not settings.stock_dagster() and _proven()


def unproven() -> dict[str, str]:
    """The installed version of each package that no patch was proven on."""
    found = {package: _installed(package) for package in proven_on()}
    return {package: one for package, one in found.items() if one not in proven_on()[package]}


def proven_on() -> dict[str, set[str]]:
    """The versions of each package that every patch of it was proven on."""
    packages = {package for patch in PATCHES for package in patch.proven_on}
    return {
        package: set.intersection(*(set(p.proven_on[package]) for p in PATCHES if package in p.proven_on))
        for package in sorted(packages)
    }


@cache
def _proven() -> bool:
    """Whether the installed versions are proven; says once per process if they are not."""
    found = unproven()
    if found:
        logger.warning(_warning(found))
    return not found


def _warning(found: Mapping[str, str]) -> str:
    """What is found, what is proven, what that costs and what can be done."""
    proven = {package: " or ".join(sorted(versions)) for package, versions in proven_on().items()}
    slower = "; ".join(patch.without for patch in PATCHES)
    return (
        f"the patches of Dagster are off: {_listed(found)} is installed, they are proven on {_listed(proven)}."
        f" Everything works in Dagster's own way, but: {slower}."
        f" Install {' '.join(f'{package}=={one}' for package, one in proven.items())}, or see"
        " docs/dagster-patches.md for how a version is proven; BOURSOMATIC_STOCK_DAGSTER=1 silences this"
    )


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {one}" for package, one in versions.items())


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # which no proven version is called
        return "(none)"
