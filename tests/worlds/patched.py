"""Whether this run of the suite has the patches of Dagster; BOURSOMATIC_STOCK_DAGSTER=1 asks for one without.

What belongs here: the mark of tests that say what a patch adds. All others must pass both ways.
"""

import pytest

from boursomatic_assets.orchestration.dagster_patches import guard

PATCHED = guard.enabled()

only_patched = pytest.mark.skipif(not PATCHED, reason="docs/dagster-patches.md: stock Dagster answers otherwise")
