"""Backfill policies: which assets share a run, and how many sessions a run holds.

What belongs here: one policy per stage.
Kept elsewhere: how Dagster groups by policy (`orchestration/dagster_patches/backfill_policies.py`), how a run is
cut into chunks (`orchestration/chunks.py`).
"""

from boursomatic_assets import settings
from boursomatic_assets.orchestration.dagster_patches.backfill_policies import NO_LIMIT, stage_policies

MAX_SESSIONS_PER_RUN = settings.sessions_per_run()
"""Sessions of a market in one run, at most. By default a range is one run, whatever its length: chunks bound the
memory, a bad date fails alone, unchanged rows are not written again, and the two markets keep two cores busy.
Each additional run costs a process, its checks and a wait for the daemon."""

BARS_POLICY, FEATURES_POLICY, RECOMMENDATIONS_POLICY, TRACK_RECORD_POLICY = stage_policies(
    ("bars", "features", "advice", "track record"),
    MAX_SESSIONS_PER_RUN if MAX_SESSIONS_PER_RUN < NO_LIMIT else None,
)
"""One policy per stage. Assets of one policy share a run, but features and the track record look back on sessions,
and models on a market, that other runs may still write. A single policy would put all assets into one run, which
might wait for a run that has not started."""
