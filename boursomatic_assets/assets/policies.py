"""What all assets share: policies, and what the UI shows of a table before its first row.

What belongs here: definition-time metadata, projected from the models.
Kept elsewhere: what a run reports (`io_manager.py`).
"""

from boursomatic_assets import settings
from boursomatic_assets.orchestration.dagster_patches.backfill_policies import NO_LIMIT, stage_policies

MAX_SESSIONS_PER_RUN = settings.sessions_per_run()
"""Sessions of a market that a run holds, at most. By default a range is one run, whatever its length: memory is
bounded by pieces, a bad date costs that date alone, what is repeated unchanged is not written, and the two markets
keep two cores busy. Shorter runs pay a process, its checks and a wait for the daemon each."""

BARS_POLICY, FEATURES_POLICY, RECOMMENDATIONS_POLICY, TRACK_RECORD_POLICY = stage_policies(
    ("bars", "features", "advice", "track record"),
    MAX_SESSIONS_PER_RUN if MAX_SESSIONS_PER_RUN < NO_LIMIT else None,
)
"""One for each stage: assets of one policy share a run, but features and the track record look back on sessions,
and models on a market, that other runs may be writing. One policy for all would make one run of all assets, which
could only wait for a run that may not have begun."""
