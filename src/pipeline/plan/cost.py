"""From what was measured to what a sweep costs: plain arithmetic, apart from the measuring.

Kinds of trainings that were not measured are reckoned: seconds of an epoch, of its surroundings and of the evaluation
lie on the straight line over the arithmetic of one image (GFLOPs) that the measured kinds give by least squares, never
below the least of them in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from src.config.schema import AppConfig
from src.pipeline.plan.kinds import Kind
from src.pipeline.plan.measure import Finalist, Training
from src.pipeline.request import SweepRequest
from src.pipeline.side_by_side import workers_of


@dataclass(frozen=True)
class Row:
    """One line of the bill."""

    name: str
    seconds: float
    note: str


@dataclass(frozen=True)
class Cost:
    """What a sweep costs."""

    rows: list[Row]
    rounds_s: float  # that further rounds of the benchmark may add
    joules: dict[str, float]  # by counter; empty where this machine has none
    disk_bytes: float

    @property
    def seconds(self) -> float:
        """In all, without further rounds."""
        return math.fsum(row.seconds for row in self.rows)


@dataclass(frozen=True)
class Volume:
    """How much a sweep does."""

    done: int  # trainings of the search that are finished already
    total: int  # trainings of the search
    further: int  # trainings after the search at most: confirmation, further seeds
    finalists: int  # at most
    side_by_side: int  # trainings that run at the same time

    @property
    def left(self) -> float:
        """Share of the search that is still to be done."""
        return (self.total - self.done) / self.total if self.total else 0.0


def volume_of(request: SweepRequest, kinds: Sequence[Kind], done: int, threads: int) -> Volume:
    """How much a sweep does at most."""
    cfg, total = request.base, request.trials()
    configurations = request.different()
    architectures = len({(k.cfg.model.name, k.cfg.imgsz) for k in kinds})
    finalists = min(configurations, cfg.decision.finalists + architectures - 1)
    further = finalists * cfg.decision.confirm_seeds
    if cfg.study.until == "decided" and cfg.study.max_trainings is not None:
        further = max(further, cfg.study.max_trainings - total)
    return Volume(min(done, total), total, further, finalists, side_by_side(request, threads))


def side_by_side(request: SweepRequest, threads: int) -> int:
    """Trainings that run at the same time, each on its share of the cores, on a GPU or on a machine of its own."""
    study = request.base.study
    if request.launcher is not None:
        return max(study.workers, 1)
    count = workers_of(request, threads)
    if study.gpus or request.base.device != "cpu":
        return min(count, max(len(study.gpus), 1))  # workers that share a GPU are no faster
    return count


def share_of(request: SweepRequest, threads: int) -> int:
    """Threads of the processor that each training has."""
    if request.launcher is not None and not request.launcher.here:
        return threads
    return max(threads // side_by_side(request, threads), 1)


def reckoned(kind_gflops: float, measured: Sequence[Training]) -> Training:
    """What an unmeasured kind costs, from those that were measured."""
    x = [t.gflops for t in measured]
    return Training(
        gflops=kind_gflops,
        epoch_s=_on_line(kind_gflops, x, [t.epoch_s for t in measured]),
        around_s=_on_line(kind_gflops, x, [t.around_s for t in measured]),
        evaluate_s=_on_line(kind_gflops, x, [t.evaluate_s for t in measured]),
        size_bytes=round(_on_line(kind_gflops, x, [float(t.size_bytes) for t in measured])),
        watts=measured[0].watts,
    )


def _on_line(at: float, x: Sequence[float], y: Sequence[float]) -> float:
    centre, height = math.fsum(x) / len(x), math.fsum(y) / len(y)
    squares = math.fsum((v - centre) ** 2 for v in x)
    slope = math.fsum((a - centre) * (b - height) for a, b in zip(x, y, strict=True)) / squares if squares else 0.0
    return max(height + slope * (at - centre), min(y) * min(1.0, at / max(x)))


def by_the_clock(kinds: Sequence[Kind], costs: Sequence[Training], threads: int) -> None:
    """Enter the epochs of trainings that end when their minutes of processor time are used, all of its threads busy."""
    for kind, cost in zip(kinds, costs, strict=True):
        study = kind.cfg.study
        if study.budget == "minutes" and study.minutes is not None and cost.epoch_s > 0:
            kind.epochs = kind.trainings * max(1.0, study.minutes * 60 / (cost.epoch_s * threads))


def cost_of(
    request: SweepRequest, kinds: Sequence[Kind], costs: Sequence[Training], finalist: Finalist | None, volume: Volume
) -> Cost:
    """The bill of a sweep.

    Args:
        request: of the sweep.
        kinds: of trainings in the search.
        costs: of each kind.
        finalist: what one costs; None where nothing is exported or measured.
        volume: how much is done.
    """
    pairs = list(zip(kinds, costs, strict=True))
    train = math.fsum(k.trainings * c.around_s + k.epochs * c.epoch_s for k, c in pairs) * volume.left
    evaluate = math.fsum(k.trainings * c.evaluate_s for k, c in pairs) * volume.left
    trainings, epochs = volume.total * volume.left, math.fsum(k.epochs for k in kinds) * volume.left
    rows = [
        Row("training", train / volume.side_by_side, f"{trainings:.0f} trainings, {epochs:.0f} epochs"),
        Row("evaluation", evaluate / volume.side_by_side, f"{trainings:.0f} times val"),
    ]
    mean = (train + evaluate) / trainings if trainings else 0.0
    if volume.further:
        rows.append(Row("further trainings", volume.further * mean, f"{volume.further} at most, after the search"))
    if finalist is not None:
        rows += finalist_rows(request.base, finalist, volume.finalists)
    watts = _mean_watts([(k.epochs, c.watts) for k, c in pairs])
    seconds = math.fsum(row.seconds for row in rows)
    each = math.fsum(k.trainings * c.size_bytes for k, c in pairs) / max(1, volume.total)
    copies = 2 if request.base.tracking.enabled else 1  # checkpoints and artifacts are given to MLflow too
    disk = each * (trainings + volume.further) + (finalist.size_bytes if finalist else 0) * volume.finalists
    extra = request.base.benchmark.extra_seconds if finalist is not None else 0.0
    return Cost(rows, extra, {name: w * seconds for name, w in watts.items()}, disk * copies)


def finalist_rows(cfg: AppConfig, finalist: Finalist, count: int) -> list[Row]:
    """The bill of the finalists; test is opened for one of them."""
    rounds = cfg.benchmark.rounds
    return [
        Row("exports", finalist.export_s * count, f"{count} finalists at most"),
        Row("verification", (finalist.verify_s + finalist.evaluate_s) * (count + 1), "val of each, test of one"),
        Row("benchmark", finalist.round_s * rounds * count, f"rounds: {rounds}, at most {count} finalists together"),
    ]


def _mean_watts(parts: Sequence[tuple[float, Mapping[str, float]]]) -> dict[str, float]:
    """Watts by counter, over the epochs of all kinds."""
    weight = math.fsum(epochs for epochs, _ in parts)
    names = {name for _, watts in parts for name in watts}
    return {n: math.fsum(e * w.get(n, 0.0) for e, w in parts) / weight for n in sorted(names)} if weight else {}
