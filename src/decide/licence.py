"""The licence that binds what is shipped, as far as the records tell."""

from __future__ import annotations

from src.common.licences import ANY, allowed
from src.config.schema import DecisionConfig
from src.decide.candidates import Candidate
from src.records.schema import TrialRecord

AGPL = "AGPL-3.0"  # of Ultralytics' code and of every network trained with it


def licence_of(candidate: Candidate) -> str | None:
    """The licence of a candidate's network; None where no record tells."""
    return licence_of_trial(candidate.best.trial)


def licence_of_trial(trial: TrialRecord) -> str | None:
    """As the checkpoint's record says; earlier versions left that out, and knew no other family than Ultralytics."""
    if trial.checkpoint is not None and trial.checkpoint.licence:
        return trial.checkpoint.licence
    return AGPL if "ultralytics" in trial.environment.libraries else None


def may_ship(candidate: Candidate, decision: DecisionConfig) -> bool:
    """Whether the licence is within `decision.licence`."""
    return decision.licence == ANY or allowed(licence_of(candidate), decision.licence)
