"""Boursomatic: price bars of two stock markets into audited recommendations, as Dagster assets on PostgreSQL."""

import warnings

# Said by Dagster at every import of our definitions, about features that we chose knowingly.
warnings.filterwarnings("ignore", message=r"(?s).*is currently in (beta|preview)")
# Runs are cut per asset (`assets/policies.py`); the job over all of them only takes single sessions.
warnings.filterwarnings("ignore", message=r"(?s).*materializes assets with varying BackfillPolicies")
