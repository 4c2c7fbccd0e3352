"""The licence that binds what is shipped, as far as the records tell."""

from __future__ import annotations

from src.decide.candidates import Candidate

ULTRALYTICS = "AGPL-3.0"  # of its code and of every network trained with it


def licence_of(c: Candidate) -> str | None:
    """The licence of a candidate's network; None where no record tells."""
    return ULTRALYTICS if "ultralytics" in c.best.trial.environment.libraries else None
