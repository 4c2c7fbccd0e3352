"""`python -m src.promote sweep=NAME`: register the recommended model; make it `champion` if every gate passes.

`rollback=true` restores the champion before. A model that fails a gate leaves every alias where it was. With
`challenger=true` it waits for a live comparison instead, whose outcome `outcome=FILE` acts on.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.cli.command import application, quote_paths
from src.common.errors import EXIT_FAILED, EXIT_OK, UserError
from src.common.hashes import sha256_file
from src.common.root import ROOT
from src.config.idle_keys import Idle, refuse_idle
from src.config.ranges import MOST_THREADS, refuse_outside
from src.config.schema import TrackingConfig
from src.decide.licence import licence_of
from src.decide.verdict import verdict
from src.monitor.outcome import load_outcome
from src.monitor.profile import Profile
from src.promote import live, rejudge
from src.promote.gates import GateResult, Judgement, against, own_gates, said_of
from src.promote.recorded_model import RecordedModel, deficit, identity, recorded_model_of
from src.promote.reference_profile import reference_profile
from src.promote.registry import CHAMPION, Registry, side_of
from src.promote.rule import Rule
from src.promote.serving_plan import plan_of
from src.records.find_sweep import find_sweep
from src.records.schema import Artifact
from src.records.sweep_folder import is_name
from src.report import Decision, load_decision
from src.track import follow, is_local, store_uri

ACCEPT = ("approve", "conditional")


@dataclass
class PromoteArgs:
    """Arguments of the command."""

    sweep: str = "latest"  # name of a sweep, or latest
    model: str = "detsweep"  # name in the Model Registry
    rollback: bool = False  # make the champion before this one champion again
    accept: str = "approve"  # approve | conditional: take a model although conditions of its verdict are not met
    reference: bool = False  # hold later challengers against it, too
    challenger: bool = False  # wait for a live comparison with the champion instead of taking its place
    outcome: str | None = None  # outcome.json of a live comparison, to act on
    outputs: str = "outputs"
    threads: int | None = None  # of the served model; null = as measured
    tracking: TrackingConfig = field(default_factory=lambda: TrackingConfig(name="local"))


IDLE: list[Idle[PromoteArgs]] = [
    Idle(
        "sweep accept reference challenger threads",
        lambda a: not a.rollback,
        "is about a sweep's model, and rollback restores the champion before",
        "leave it out, or rollback=false",
    ),
    Idle(
        "sweep accept reference challenger threads",
        lambda a: a.outcome is None,
        "is about a sweep's model, and an outcome is acted on",
        "leave it out, or leave outcome out",
    ),
    Idle(
        "reference",
        lambda a: not a.challenger,
        "is for a version that becomes the champion now, and a challenger waits",
        "leave it out, or challenger=false",
    ),
]


def run(args: PromoteArgs) -> int:
    """Promote or roll back; returns the exit code."""
    check(args)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # The sweep is read first: a name that is wrong is told before a store is made.
    outcome = load_outcome(Path(args.outcome).expanduser()) if args.outcome else None
    no_sweep = args.rollback or outcome is not None
    decision = None if no_sweep else load_decision(find_sweep(Path(args.outputs), args.sweep))
    uri = store_uri(args.tracking, Path(args.outputs))
    follow(uri, Path(args.outputs))
    registry = Registry(uri, args.model)
    if outcome is not None:
        return live.conclude(registry, outcome)
    if decision is None:
        restored, replaced = registry.rollback()
        mark = f"the reference is version {registry.reference()}"
        print(f"{args.model}: champion is version {restored} again (was {replaced}, now previous); {mark}")
        return EXIT_OK
    return promote(
        decision,
        registry,
        args.threads,
        accept=args.accept,
        reference=args.reference,
        challenger=args.challenger,
    )


def check(args: PromoteArgs) -> None:
    """Refuse arguments that make no sense.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    if not is_name(args.model):
        raise UserError("model must be a plain name", value=args.model)
    if args.accept not in ACCEPT:
        raise UserError(
            "accept says which verdicts may be promoted",
            value=f"accept={args.accept}",
            remedy=" or ".join(f"accept={word}" for word in ACCEPT),
        )
    if args.rollback and args.outcome:
        raise UserError("rollback and outcome exclude each other", value=f"outcome={args.outcome}")
    refuse_idle(args, IDLE)
    refuse_outside({"threads": (args.threads, 1, MOST_THREADS)})


def promote(
    decision: Decision,
    registry: Registry,
    threads: int | None = None,
    *,
    accept: str = "approve",
    reference: bool = False,
    challenger: bool = False,
) -> int:
    """Register the recommended model of a decision and move the alias if every gate passes.

    Args:
        decision: on a sweep.
        registry: where to.
        threads: of the served model; None = as many as it was measured with.
        accept: `conditional` takes a model although conditions of its verdict are not met.
        reference: hold later challengers against it, whether or not it is clearly better than the present reference.
        challenger: wait for a live comparison with the champion instead of taking its place.

    Raises:
        UserError: nothing can be registered: no recommendation, no run, or an artifact that is not what was measured;
            or there is no champion to challenge.
    """
    if challenger and registry.version_of(CHAMPION) is None:
        raise UserError("there is no champion to challenge", value="challenger=true", remedy="challenger=false")
    gates = own_gates(decision, accept)
    if decision.recommended is None:
        return _tell(gates, None)
    artifact, run_id = _artifact(decision)
    recorded = recorded_model_of(decision)
    judged = judge(registry, recorded, decision)
    gates += judged.gates
    plan = plan_of(decision, threads)
    version = registry.register(run_id, artifact, plan, recorded, ROOT / "src", _profile(decision))
    gates.append(registry.predicts(version, side_of(artifact, plan)))
    registry.tag(version, gates, _tags(decision, artifact, plan, accept))
    if all(g.passed for g in gates):
        if challenger:
            registry.challenge(version)
        else:
            registry.promote(version, reference=reference or judged.better)
    return _tell(gates, version, registry.reference(), challenger=challenger)


def _profile(decision: Decision) -> Profile | None:
    """The reference profile to register; None, with a line that says why, where it can't be made."""
    try:
        return reference_profile(decision)
    except UserError as error:
        print(f"registered without a reference profile, so drift can't be watched: {error.what} ({error.value})")
        return None


def judge(registry: Registry, challenger: RecordedModel, decision: Decision) -> Judgement:
    """Hold a challenger against the present champion and the reference; a use of the test split is counted first."""
    present, fixed = registry.version_of(CHAMPION), registry.reference()
    if present is None or fixed is None:
        return Judgement([], True)
    champion = _recorded(registry, present, challenger, decision)
    reference = champion if fixed == present else _recorded(registry, fixed, challenger, decision)
    known = champion.sha256 == challenger.sha256 or deficit(reference, challenger) is None
    use = 1 if known else registry.use_of(challenger.split, identity(reference, challenger))
    rule = Rule(decision.settings.margin, decision.settings.confidence, use)
    return against(challenger, champion, reference, rule)


def _recorded(registry: Registry, version: str, challenger: RecordedModel, decision: Decision) -> RecordedModel:
    """The standing of a version, judged again where the challenger was judged on another test split."""
    recorded = registry.recorded(version)
    if challenger.evaluation is None or deficit(recorded, challenger) is not None:
        return recorded
    print(f"version {version} was not judged on this test split: it runs over its images now")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return rejudge.on_split_of(decision, recorded, *registry.model_of(version, Path(folder)))
        except rejudge.FAILURES as error:
            print(f"version {version} can't be judged on this test split: {error}")
            return recorded


def _tags(decision: Decision, artifact: Artifact, plan: Mapping[str, Any], accept: str) -> dict[str, str]:
    """What a version's tags say of where it came from and how it runs."""
    assert decision.recommended is not None
    judged = verdict(decision)
    tags = {
        "sweep": decision.saved.sweep.sweep,
        "trial": str(decision.recommended.best.trial.trial),
        "sha256": artifact.sha256,
        "runtime": f"{plan['runtime']} {plan['runtime_version']}".strip(),
        "threads": str(plan["threads"]),
        "verdict": judged.word,
        "licence": licence_of(decision.recommended) or "not established",
        "margin": f"{decision.settings.margin:g}",
        "confidence": f"{decision.settings.confidence:g}",
    }
    if plan["measured_threads"] not in (None, plan["threads"]):
        tags["threads"] += f" (measured with {plan['measured_threads']})"
    if judged.word == "conditional":
        tags["conditions"] = said_of(judged.conditions)
        tags["accepted"] = "conditional" if accept == "conditional" else "no"
    return tags


def _artifact(decision: Decision) -> tuple[Artifact, str]:
    winner = decision.recommended
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


def _tell(
    gates: list[GateResult], version: str | None, reference: str | None = None, *, challenger: bool = False
) -> int:
    """Print every gate and what became of the version; the exit code."""
    for gate in gates:
        print(f"{'pass' if gate.passed else 'FAIL'}  {gate.name}: {gate.said}")
    passed = all(g.passed for g in gates)
    where = f"version {version}" if version else "nothing was registered"
    if not passed:
        print(f"{where}: no alias was moved")
        return EXIT_FAILED
    if challenger:
        print(f"{where}: is the challenger now, and waits for the outcome of a live comparison")
        return EXIT_OK
    mark = "it is the reference too" if reference == version else f"the reference is version {reference}"
    print(f"{where}: is the champion now; {mark}")
    return EXIT_OK


def main() -> None:
    """Run as a Hydra application."""
    quote_paths(("outcome", "outputs"))
    application(run, "promote", PromoteArgs)


if __name__ == "__main__":
    main()
