"""How many trainings run side by side on this machine's processor when nobody says.

A training on a processor keeps all cores busy only while it multiplies matrices: reading, judging, writing and drawing
are done by one thread. Trainings side by side, each with its share of the cores, fill those gaps. Where the sampler
learns from what is finished, or trials are stopped by others' results, they run one after the other: which are finished
first would depend on the machine's load, and the same command would give another sweep.
"""

from __future__ import annotations

from src.config.schema import Pruner
from src.machine.environment import memory_gb
from src.pipeline.request import SweepRequest

MOST = 8  # more were not measured
LEAST_EPOCHS = 20  # of the whole sweep; below, starting processes costs more than it gives
WASTE = 1.2  # idle places at the end: 3 trainings on 2 workers would take the time of 4
LIBRARIES_GB = 2.0  # of each worker
IMAGE_GB = 1.5  # of one training image of 640 px in a batch: twice what YOLOv8n needs, since networks differ
RANDOM_FIRST = 10  # trials before TPE learns from others, if nothing else is configured


def workers_of(request: SweepRequest, threads: int) -> int:
    """Local workers of a sweep: as configured, or for `study.workers=0` as many as fill this machine.

    Args:
        request: the sweep.
        threads: of the processor, for all of them together.
    """
    study = request.base.study
    if request.launcher is not None:  # its jobs are the workers
        return 1
    if study.workers:
        return study.workers
    if request.base.device != "cpu" or not in_any_order(request):
        return 1
    if request.trials() * request.base.epochs < LEAST_EPOCHS:
        return 1
    count = request.different()
    most = min(count, threads, MOST, int(memory_gb() / _needed_gb(request)))
    return max((n for n in range(1, most + 1) if -(-count // n) * n <= WASTE * count), default=1)


def in_any_order(request: SweepRequest) -> bool:
    """Whether what a sweep tries does not depend on the order in which its trials end."""
    study = request.base.study
    if study.pruner is not Pruner.none or request.halving is not None:
        return False
    sampler = str(request.sampler.get("_target_", "")).rpartition(".")[2]
    if request.n_trials is None or sampler == "RandomSampler":
        return True
    learns_after = int(request.sampler.get("n_startup_trials", RANDOM_FIRST))
    return sampler == "TPESampler" and request.different() <= learns_after


def _needed_gb(request: SweepRequest) -> float:
    imgsz = request.space.highest("imgsz", request.base.imgsz)
    batch = request.space.highest("batch", request.base.batch)
    return LIBRARIES_GB + IMAGE_GB * batch * (imgsz / 640) ** 2
