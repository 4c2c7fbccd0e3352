"""The licence that binds what is shipped, as far as the records tell."""

from __future__ import annotations

from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.records.schema import TrialRecord

AGPL = "AGPL-3.0"  # of Ultralytics' code and of every network trained with it


def licence_of(c: Candidate) -> str | None:
    """The licence of a candidate's network; None where no record tells."""
    return _licence_of(c.best.trial)


def under_agpl(decision: Decision) -> bool:
    """Whether a network that was trained is bound by the AGPL."""
    return any((_licence_of(t) or "").startswith(AGPL) for t in decision.saved.trials if t.checkpoint is not None)


def _licence_of(trial: TrialRecord) -> str | None:
    """As the checkpoint's record says; earlier versions left that out, and knew no other family than Ultralytics."""
    if trial.checkpoint is not None and trial.checkpoint.licence:
        return trial.checkpoint.licence
    return AGPL if "ultralytics" in trial.environment.libraries else None
