"""Learning: from features and closes to a model, its metrics and its probabilities.

What belongs here, in the order of the data: `parameters`, `labels`, `history`, `fitting`, `walk`, `calibration`;
the metrics of the record (`evaluation/`); `drift`; `training`, `model`, `gate`; `prediction` with
`contributions`; and `search`, which changes nothing.
Kept elsewhere: features (`features/`), recommendations (`advice/`), which version is champion (`registry/`).
Sees frames only, neither Dagster nor a database.
"""

import os

# Waiting threads of LightGBM's runtime would spin: two runs side by side on two cores then take many times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
