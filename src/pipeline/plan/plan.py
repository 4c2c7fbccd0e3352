"""`python -m src.run -m … plan=true`: measures, reckons and says what the sweep will cost and what it can decide.

It comes after every check that a sweep makes before its first training, and leaves nothing behind but the prepared
dataset: what is measured lies in a folder that is removed again, and no tracker hears of it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from src.cli.progress import Watch
from src.common.errors import EXIT_OK
from src.common.whole_files import locked
from src.pipeline.context import Context, Inputs
from src.pipeline.plan.cost import Row, by_the_clock, cost_of, reckoned, share_of, volume_of
from src.pipeline.plan.kinds import Kind, kinds_of
from src.pipeline.plan.measure import (
    MEASURED,
    Finalist,
    Training,
    gflops_of,
    measure_finalist,
    measure_training,
    spread_out,
)
from src.pipeline.plan.words import Say, said_training, said_volume, say_cost, say_resolution
from src.pipeline.request import SweepRequest
from src.pipeline.study_trials import all_records
from src.records.schema import TrialRecord
from src.track import NullTracker

FOLDER = "plan"  # below `outputs`, while something is measured


def plan_sweep(request: SweepRequest, inputs: Inputs, threads: int, say: Say | None = None) -> int:
    """Say what a sweep costs and resolves; nothing of it is trained in full or recorded.

    Returns:
        The contract's exit code.

    Raises:
        StageError: a training of the search space fails at its first epochs.
    """
    say = say or Watch(0, 0).say
    kinds = kinds_of(request)
    done = sum(r.role == "search" for r in all_records(request.folder)) if request.folder.is_dir() else 0
    volume, share = volume_of(request, kinds, done, threads), share_of(request, threads)
    say(f"plan of sweep {request.name()}: {said_volume(request, volume)}")
    outputs = Path(request.base.outputs)
    folder = outputs / FOLDER
    outputs.mkdir(parents=True, exist_ok=True)
    with locked(outputs / f"{FOLDER}.lock"):
        shutil.rmtree(folder, ignore_errors=True)  # of a plan that was killed
        context = Context(FOLDER, folder, outputs, NullTracker(), "", share)
        try:
            costs, finalist, start_s = _measure(kinds, context, inputs, threads, say)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    by_the_clock(kinds, costs, share)
    cost = cost_of(request, kinds, costs, finalist, volume)
    cost.rows.insert(0, Row("start", start_s, "libraries, checks"))
    say_cost(cost, request, outputs, say)
    say_resolution(request, inputs, volume, say)
    say("nothing was recorded; the same command without plan=true runs the sweep")
    return EXIT_OK


def _measure(
    kinds: Sequence[Kind], context: Context, inputs: Inputs, threads: int, say: Say
) -> tuple[list[Training], Finalist | None, float]:
    """What each kind costs on a training's share of the cores, what a finalist on all, and what comes once."""
    begun = time.perf_counter()
    gflops = [gflops_of(kind.cfg, inputs, context.folder) for kind in kinds]
    chosen = spread_out(kinds, gflops)
    # The first training of a process loads libraries: it is no example of the others.
    measure_training(kinds[chosen[0]], len(kinds), context, inputs, epochs=1)
    start_s = time.perf_counter() - begun
    say(f"measured here, {MEASURED} epochs after one that warms up, on {context.threads} thread(s):")
    found: dict[int, tuple[TrialRecord, Training]] = {}
    for i in chosen:
        found[i] = measure_training(kinds[i], i, context, inputs)
        say(f"  {kinds[i].label}: {said_training(found[i][1])}")
    measured = [training for _, training in found.values()]
    if rest := len(kinds) - len(chosen):
        say(f"  {rest} further kind(s) of trainings reckoned from these, on a straight line over GFLOPs")
    least = found[chosen[0]][1]
    start_s -= least.epoch_s + least.around_s + least.evaluate_s  # what was no loading of libraries
    costs = [found[i][1] if i in found else reckoned(gflops[i], measured) for i in range(len(kinds))]
    middle = chosen[len(chosen) // 2]
    finalist = measure_finalist(kinds[middle], found[middle][0], replace(context, threads=threads), inputs)
    return costs, finalist, max(0.0, start_s)
