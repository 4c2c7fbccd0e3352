"""`python -m src.promote sweep=NAME`: register the recommended model; make it `champion` if every gate passes.

`rollback=true` restores the champion before. A model that fails a gate leaves every alias where it was.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.cli import ROOT, application
from src.config import TrackingConfig, is_name
from src.errors import EXIT_FAILED, EXIT_OK, UserError
from src.gates import Gate, against, own_gates, standing_of
from src.records import Artifact, sha256_file
from src.registry import CHAMPION, Registry
from src.report import Decision, find_sweep, load_decision
from src.track import follow, is_local, store_uri


@dataclass
class PromoteArgs:
    """Schema of `conf/promote.yaml`."""

    sweep: str = "latest"
    model: str = "detsweep"
    rollback: bool = False
    outputs: str = "outputs"
    threads: int = 1
    tracking: TrackingConfig = field(default_factory=lambda: TrackingConfig(name="local"))


def run(args: PromoteArgs) -> int:
    """Promote or roll back; returns the exit code."""
    if not is_name(args.model):
        raise UserError("model must be a plain name", value=args.model)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # The sweep is read first: a name that is wrong is told before a store is made.
    ranking = None if args.rollback else load_decision(find_sweep(Path(args.outputs), args.sweep))
    uri = store_uri(args.tracking, Path(args.outputs))
    follow(uri, Path(args.outputs))
    registry = Registry(uri, args.model)
    if ranking is None:
        restored, replaced = registry.rollback()
        print(f"{args.model}: champion is version {restored} again (was {replaced}, now previous)")
        return EXIT_OK
    return promote(ranking, registry, args.threads)


def promote(ranking: Decision, registry: Registry, threads: int = 1) -> int:
    """Register the recommended model of a ranking and move the alias if every gate passes.

    Raises:
        UserError: nothing can be registered: no recommendation, no run, or an artifact that is not what was measured.
    """
    gates = own_gates(ranking)
    if ranking.recommended is None:
        return _tell(gates, None)
    artifact, run_id = _artifact(ranking)
    standing = standing_of(ranking)
    reigning = registry.version_of(CHAMPION)
    if reigning is not None:
        gates += against(registry.standing(reigning), standing)
    version = registry.register(run_id, artifact, plan_of(ranking, threads), standing, ROOT / "src")
    gates.append(registry.predicts(version, artifact.input_shape[-1]))
    tags = {
        "sweep": ranking.saved.sweep.sweep,
        "trial": str(ranking.recommended.best.trial.trial),
        "sha256": artifact.sha256,
    }
    registry.tag(version, gates, tags)
    if all(g.passed for g in gates):
        registry.promote(version)
    return _tell(gates, version)


def plan_of(ranking: Decision, threads: int) -> dict[str, Any]:
    """What the served model needs beside its file."""
    winner = ranking.recommended
    assert winner is not None
    best = winner.best
    confidence = best.val_depth.figures.get("threshold") if best.val_depth else None
    return {
        "runtime": winner.runtime,
        "threads": threads,
        "confidence": confidence if confidence is not None else 0.25,
        "class_names": best.trial.dataset.class_names if best.trial.dataset else [],
    }


def _artifact(ranking: Decision) -> tuple[Artifact, str]:
    winner = ranking.recommended
    assert winner is not None
    artifact, run_id = winner.best.artifact, winner.best.trial.run_id
    if artifact is None or not Path(artifact.path).exists():
        raise UserError("the recommended artifact is gone", value=artifact.path if artifact else None)
    if sha256_file(Path(artifact.path)) != artifact.sha256:
        raise UserError(
            "the recommended artifact is not the file that was measured",
            value=artifact.path,
            remedy="run the sweep's command again: it exports and measures what is missing",
        )
    if not run_id:
        raise UserError("the sweep ran without tracking, so there is no run to register from", remedy="tracking=local")
    if is_local(run_id):
        raise UserError(
            "the recommended trial's run has not reached the tracking server yet",
            value=run_id,
            remedy="python -m src.track tracking.uri=… when the server is back",
        )
    return artifact, run_id


def _tell(gates: list[Gate], version: str | None) -> int:
    for gate in gates:
        print(f"{'pass' if gate.passed else 'FAIL'}  {gate.name}: {gate.said}")
    passed = all(g.passed for g in gates)
    where = f"version {version}" if version else "nothing was registered"
    print(f"{where}: {'is the champion now' if passed else 'no alias was moved'}")
    return EXIT_OK if passed else EXIT_FAILED


def main() -> None:
    """Run as a Hydra application."""
    application(run, "promote", PromoteArgs)


if __name__ == "__main__":
    main()
