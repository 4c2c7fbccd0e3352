"""`python -m src.run replay=RUN_ID`: train a recorded trial again, and say whether the result is bit-identical.

A number is worth what it takes to get it again. The configuration comes from the trial's record; what differs between
then and now (libraries, processor, threads, source, data) is named when the weights do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.progress import Watch
from src.common.errors import EXIT_FAILED, EXIT_OK, UserError
from src.config.checks import check
from src.config.schema import AppConfig, plain_config
from src.pipeline.context import open_context, prepare, threads_of, tracking
from src.pipeline.one_trial import trial_of
from src.pipeline.study_trials import outcome
from src.pipeline.trial import run_trial
from src.records.schema import TrialRecord
from src.records.store import load
from src.records.sweep_folder import all_folders, runs_folder

SHORTEST = 6  # characters of a run id


@dataclass(frozen=True)
class Difference:
    """Something that is not as it was."""

    what: str
    then: str
    now: str


def replay(cfg: AppConfig) -> int:
    """Train the trial of run `cfg.replay` again.

    Returns:
        0 when weights and metrics are bit-identical, 1 when they are not.

    Raises:
        UserError: no such run, or its record can't be replayed.
    """
    then = find_run(Path(cfg.outputs), cfg.replay or "")
    again = config_of(then, cfg)
    name = f"replay-{then.run_id[:8] or then.config_hash}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    inputs = prepare([again])
    context = open_context(again, name, runs_folder(Path(cfg.outputs)) / name, threads_of(again))
    with tracking(context), Watch(1, again.epochs) as watch:
        watch.say(f"replay of {then.sweep}, trial {then.trial}, run {then.run_id}")
        watch.trial(0, "replay")
        now = run_trial(trial_of(0, then.overrides, again, context, inputs), context, watch.epoch)
        watch.finish(outcome(now), epochs_run=len(now.history))
        found = differences(then, now)
        if not found:
            watch.say("bit-identical: the same weights, the same metrics, epoch by epoch")
            return EXIT_OK
        watch.say("NOT bit-identical:")
        for d in found:
            watch.say(f"  {d.what}: {d.then} then, {d.now} now")
    return EXIT_FAILED


def find_run(outputs: Path, run_id: str) -> TrialRecord:
    """The finished trial whose MLflow run id begins with `run_id`.

    Raises:
        UserError: none or several.
    """
    paths = [trial.record for sweep in all_folders(outputs) for trial in sweep.all_trials()]
    records = [load(TrialRecord, path) for path in paths if path.exists()]
    found = [r for r in records if len(run_id) >= SHORTEST and r.run_id.startswith(run_id)]
    if len(found) != 1:
        raise UserError(
            f"replay names {len(found) or 'no'} recorded run{'s' if len(found) > 1 else ''} under {outputs}",
            value=run_id,
            remedy="a run id as in reports/<sweep>/trials.csv, at least six characters of it",
        )
    if found[0].checkpoint is None:
        raise UserError("the run to replay did not finish its training", value=run_id)
    return found[0]


def config_of(record: TrialRecord, cfg: AppConfig) -> AppConfig:
    """The recorded configuration, with this call's folders and tracking.

    Raises:
        UserError: the record is of a version of the configuration that is not understood, or of a training that ended
            by the clock.
    """
    if record.config.get("study", {}).get("budget") == "minutes":
        raise UserError(
            "the run to replay ended when its minutes were used, and won't end there again, bit for bit",
            value=record.run_id,
            remedy="a run of study.budget=epochs",
        )
    kept = ("outputs", "reports", "tracking", "study")
    here = plain_config(cfg)
    plain = {**_renamed(record.config), **{key: here[key] for key in kept}, "replay": None}
    try:
        made = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(AppConfig), plain))
    except OmegaConfBaseException as error:
        raise UserError(
            f"the recorded configuration can't be read: {error}",
            value=record.run_id,
            remedy=f"replay it with the source it was made with: git checkout {record.environment.git_commit[:12]}",
        ) from None
    assert isinstance(made, AppConfig)
    check(made)
    return made


def _renamed(config: dict[str, Any]) -> dict[str, Any]:
    """A recorded configuration with keys of earlier versions under today's names."""
    model = config.get("model")
    if not isinstance(model, dict) or "yaml" not in model:
        return config
    rest = {key: value for key, value in model.items() if key != "yaml"}
    return {**config, "model": {**rest, "architecture": model["yaml"]}}


def differences(then: TrialRecord, now: TrialRecord) -> list[Difference]:
    """What differs in the result, and then what might explain it; empty when the result is the same."""
    a, b = then.checkpoint, now.checkpoint
    if a is not None and b is not None and a.weights_sha256 == b.weights_sha256 and then.metrics == now.metrics:
        return []
    pairs = [
        ("weights", a.weights_sha256[:16] if a else "none", b.weights_sha256[:16] if b else "none"),
        ("val/mAP50-95", str(then.metrics.get("val/mAP50-95")), str(now.metrics.get("val/mAP50-95"))),
        ("start", a.start if a else "", b.start if b else ""),
        (
            "dataset",
            then.dataset.fingerprint[:16] if then.dataset else "",
            now.dataset.fingerprint[:16] if now.dataset else "",
        ),
        ("processor", then.environment.cpu, now.environment.cpu),
        ("cores", str(then.environment.cores), str(now.environment.cores)),
        ("python", then.environment.python, now.environment.python),
        ("source", then.environment.git_commit[:12], now.environment.git_commit[:12]),
        ("uncommitted changes", str(then.environment.git_dirty), str(now.environment.git_dirty)),
    ]
    libraries = sorted(then.environment.libraries.keys() | now.environment.libraries.keys())
    pairs += [
        (name, then.environment.libraries.get(name, "none"), now.environment.libraries.get(name, "none"))
        for name in libraries
    ]
    return [Difference(what, x, y) for what, x, y in pairs if x != y]
