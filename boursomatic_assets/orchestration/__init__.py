"""How Dagster runs the platform.

What belongs here: partitions, the IO manager, chunks, what a run reports, backfills, the Dagster instance.
Kept elsewhere: what is computed (`assets/`), what a table must hold (`checks`), SQL (`tables`). All that depends
on what Dagster keeps private is in `dagster_patches/`, apart.
"""
