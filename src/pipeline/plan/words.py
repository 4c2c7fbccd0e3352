"""What a plan says, line by line."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

from src.cli.progress import clock
from src.decide.resolution import POWER, Design, Resolution, resolution
from src.pipeline.context import Inputs
from src.pipeline.plan.cost import Cost, Volume
from src.pipeline.plan.measure import Training
from src.pipeline.plan.noise import noise_of
from src.pipeline.request import SweepRequest

Say = Callable[[str], None]


def said_volume(request: SweepRequest, volume: Volume) -> str:
    """How many trainings there are."""
    seeds = len(request.seeds)
    text = f"{volume.total} trainings ({request.different()} configurations, {seeds} seed(s) each)"
    return text + (f", {volume.done} of them finished already" if volume.done else "")


def said_training(t: Training) -> str:
    """What a training of one kind takes."""
    return f"{t.epoch_s:.1f} s an epoch, {t.around_s:.1f} s around them, {t.evaluate_s:.1f} s to evaluate"


def say_cost(cost: Cost, request: SweepRequest, outputs: Path, say: Say) -> None:
    """The bill: time, energy and disk."""
    say("cost on this machine:")
    for row in cost.rows:
        say(f"  {row.name:<18} {clock(row.seconds):>8}   {row.note}")
    extra = f", up to {clock(cost.rounds_s)} more where the latency needs further rounds" if cost.rounds_s else ""
    say(f"  {'in all':<18} {clock(cost.seconds):>8}   {cost.seconds / 3600:.2f} hours{extra}")
    if request.base.study.pruner.value != "none":
        say(f"  at most: study.pruner={request.base.study.pruner.value} stops some of them earlier")
    joules = ", ".join(f"{name} {value / 3.6e6:.3g} kWh" for name, value in cost.joules.items())
    say(f"  {'energy':<18} {joules or 'this machine has no counter that may be read'}")
    free = shutil.disk_usage(outputs).free
    short = "" if cost.disk_bytes < free else ": TOO LITTLE"
    say(f"  {'disk':<18} {cost.disk_bytes / 1e9:.2f} GB, of {free / 1e9:.0f} GB that are free{short}")


def design_of(request: SweepRequest, volume: Volume) -> Design:
    """The study as the decision will see it."""
    cfg = request.base
    confirmed = cfg.decision.confirm_seeds
    seeds = confirmed or len(request.seeds)
    if cfg.study.until == "decided" and cfg.study.max_trainings is not None:
        seeds += max(0, cfg.study.max_trainings - volume.total) // 2  # where they count: on the pair in question
    compared = volume.finalists if confirmed else request.different()
    return Design(compared, seeds, cfg.decision.margin, cfg.decision.confidence, cfg.study.until == "decided")


def say_resolution(request: SweepRequest, inputs: Inputs, volume: Volume, say: Say) -> None:
    """What the study can resolve, and whether that is enough for its margin."""
    cfg, design = request.base, design_of(request, volume)
    known = noise_of(cfg, inputs.dataset(cfg))
    say("what it can resolve:")
    say(f"  {'over seeds':<18} s.d. {known.noise.seed_sd:.4f} of mAP50-95, {known.seeds_from}")
    say(f"  {'over images':<18} s.d. {known.noise.images_sd:.4f} of a difference, {known.images_from}")
    for line in verdict(design, resolution(design, known.noise)):
        say(line)


def verdict(design: Design, found: Resolution) -> list[str]:
    """Sentences on whether a study can decide within its margin."""
    if design.configurations < 2:
        return ["  there is one configuration: nothing is compared"]
    shared = f"{design.configurations} configurations with {design.seeds} seed(s) each"
    if found.resolvable == math.inf:
        return [
            f"THIS STUDY CAN'T DECIDE: {shared} establish no spread over seeds",
            f"  remedy: {_remedy(design, found)}, or decision.seed_sd=… from earlier sweeps",
        ]
    lines = [f"  {shared} resolve differences of {found.resolvable:.4f} mAP50-95 ({POWER:.0%} of such studies do)"]
    if found.resolvable <= design.margin:
        return [*lines, f"this study can decide within decision.margin={design.margin:g}"]
    return [
        *lines,
        f"THIS STUDY CAN'T DECIDE within decision.margin={design.margin:g}: a cheaper model that is as good would be "
        f"found in {found.power:.0%} of such studies",
        f"  remedy: {_remedy(design, found)}, or decision.margin={found.resolvable:.2g}",
    ]


def _remedy(design: Design, found: Resolution) -> str:
    if found.seeds_needed is None:
        return "more images in val (no number of seeds makes up for them)"
    return f"{found.seeds_needed} seeds of each configuration, study.until=decided"
