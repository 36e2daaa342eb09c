"""The gate: whether a challenger takes the champion's place.

Both are judged on the challenger's validation window, which neither was trained on: a champion is older, so
its own training ended earlier still.
"""

from dataclasses import dataclass

import lightgbm as lgb

from boursomatic_assets.learning.evaluation import score
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger


@dataclass(frozen=True)
class Decision:
    """Whether a challenger is promoted, and one sentence that says why."""

    promoted: bool
    reason: str


def gate(
    challenger: Challenger, champion: lgb.Booster | None, history: History, parameters: Parameters
) -> Decision:
    """Promote the first model, and then each whose log loss is at most the champion's + gate_tolerance."""
    loss = challenger.metrics["log_loss"]
    window = f"{challenger.window.start:%Y-%m-%d} to {challenger.window.end:%Y-%m-%d}"
    if champion is None:
        no_skill = challenger.metrics["log_loss_no_skill"]
        return Decision(
            True,
            f"Promoted as the first model: log loss {loss:.6f} on {window}, no skill {no_skill:.6f}.",
        )
    limit = score(champion, history, challenger.window, parameters.horizon)["log_loss"]
    promoted = loss <= limit + parameters.gate_tolerance
    verdict, relation = ("Promoted", "is at most") if promoted else ("Not promoted", "is above")
    return Decision(
        promoted,
        f"{verdict}: log loss {loss:.6f} on {window} {relation} the champion's {limit:.6f}"
        f" + {parameters.gate_tolerance:g}.",
    )
