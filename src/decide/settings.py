"""A saved sweep's own decision group, and the decision under it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from src.common.errors import UserError
from src.common.licences import ANY, check_limit
from src.config.schema import DecisionConfig
from src.decide.choice import Decision, decide
from src.decide.load import Saved, load_sweep
from src.records.sweep_folder import SweepFolder


def decision_of(saved: Saved) -> DecisionConfig:
    """The decision group that the sweep was started with; keys that it did not know have their defaults.

    Raises:
        UserError: a value of the wrong type.
    """
    known = {f.name: f.type for f in dataclasses.fields(DecisionConfig)}
    given = {key: value for key, value in saved.sweep.decision.items() if key in known}
    check_limit(given.get("licence", ANY))
    for key, value in given.items():
        if known[key] == "Any":
            continue
        if value is not None and not isinstance(value, str) and "str" in str(known[key]):
            raise UserError(f"{SweepFolder(saved.folder).record}: decision.{key} must be text", value=value)
        if isinstance(value, str) and "str" not in str(known[key]):
            raise UserError(f"{SweepFolder(saved.folder).record}: decision.{key} must be a number", value=value)
    return DecisionConfig(**{"name": "recorded", **given})


def load_decision(sweep_dir: Path) -> Decision:
    """Read a sweep and decide under its own decision group."""
    saved = load_sweep(sweep_dir)
    return decide(saved, decision_of(saved))
