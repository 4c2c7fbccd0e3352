"""Whether a decision has to do with the AGPL."""

from __future__ import annotations

from src.decide.choice import Decision
from src.decide.licence import AGPL, licence_of_trial


def under_agpl(decision: Decision) -> bool:
    """Whether a network that was trained is bound by the AGPL."""
    return any(AGPL in (licence_of_trial(t) or "") for t in decision.saved.trials if t.checkpoint is not None)
