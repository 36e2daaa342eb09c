"""What the platform changes in Dagster, and what it reads that Dagster keeps private: all of it, and nothing else.

What belongs here: every import of `dagster._*`, `dagster_graphql`, `dagster_postgres` and `dagster_shared`, every
access to a private attribute of a Dagster object, each behind a small function or class with a name of its own.
Kept elsewhere: whatever can be done with Dagster's public interface. Nothing here imports `definitions`: the
storage is handed the name of the module (`dagster.yaml`).

The public face, by module:

- `guard`: the patches as data, `enabled()`, and the one warning on a version that nobody proved;
- `storage`: `BoursomaticStorage`, which `dagster.yaml` names; it installs the other patches in a process, and
  always takes the colours from a log where nobody wants any;
- `partition_keys`: `install()`, for processes that use partitions without a storage;
- `lookback`: `LookBack`, the mapping of the graph's edges;
- `backfill_policies`: `stage_policies`, which assets share a run;
- `backfill_progress`: `progress`, what a backfill has materialised;
- `steps`: what a step reads, and what it reports of each of its partitions;
- `check_history.failed_checks`: the checks that fail, always in force;
- `command_runs`: runs of the command line as the UI stores its own, always in force;
- `command_backfills`: backfills of the command line as the UI stores its own, always in force;
- `launcher`: the run launchers, which know whether a run lives, always in force;
- `queue`: runs that go to workers through a broker, where one is set;
- `tags`: the tags that mark runs;
- `webserver`: the rules for requests in front of Dagster's webserver, always in force;
- `storages.lost_connections`: what waits and is done again while the database is away, always in force.

The rest of `storages/` and of `check_history/`, and `partition_ranges` are used by `storage` alone. On
another version of Dagster, or with `BOURSOMATIC_STOCK_DAGSTER=1`, none of it is in force and Dagster does the work
in its own way; what it keeps private is then not even imported. `docs/dagster-patches.md` lists each patch with
its proof.
"""
