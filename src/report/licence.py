"""What the licences of a decision's networks call for."""

from __future__ import annotations

from src.decide.choice import Decision
from src.decide.licence import AGPL, licence_of, licence_of_trial

UNKNOWN = "LicenseRef-"  # SPDX for a licence that is none of its list: nobody said which, until somebody looks


def under_agpl(decision: Decision) -> bool:
    """Whether a network that was trained is bound by the AGPL."""
    return any(AGPL in (licence_of_trial(t) or "") for t in decision.saved.trials if t.checkpoint is not None)


def judged_licence(decision: Decision) -> str:
    """The licence of what is recommended, or comes closest; "" where no record tells."""
    judged = decision.recommended or decision.closest
    return (licence_of(judged) or "") if judged is not None else ""
