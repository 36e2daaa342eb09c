"""What is learned: from features and closes to a model, its metrics and its probabilities.

In data order: `parameters`, `labels`, `history`, `fitting`, `walk`, `calibration`; `evaluation` of the record with
`ranking`, `outcomes`, `portfolio` and `bootstrap`; `drift`; `training`, `model`, `gate`, `model_files`;
`prediction` with `contributions`; and `search`, which only looks. Everything here sees frames only: no Dagster, no
database. What a user is advised is made in `signals`; which version speaks is kept in `decisions`, and when one is
due is decided in `registry`.
"""

import os

# Waiting threads of LightGBM's runtime would spin: two runs side by side on two cores then take many times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
