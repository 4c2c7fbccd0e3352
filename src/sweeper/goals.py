"""What a study searches for: one or several objectives, and constraints that a configuration must keep.

Two kinds of figures can be named. Those of a *training* (`mAP50-95`, `recall`, …) are known when it ended. Those of an
*architecture* at an image size (`latency_p50_ms`, `size_mb`, …) do not depend on the weights: they are measured once on
an untrained network, so that a configuration that breaks a constraint on them is refused before it trains.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from src.common.errors import UserError
from src.config.ranges import refuse_outside
from src.config.schema import SAMPLES_FOR, Pruner, StudyConfig

MAP = "mAP50-95"
TRAINED = (MAP, "mAP50", "precision", "recall", "f1")  # of val, higher is better
COSTS = {  # of an architecture: whether higher is better
    "latency_mean_ms": False,
    "latency_p50_ms": False,
    "latency_p90_ms": False,
    "latency_p95_ms": False,
    "latency_p99_ms": False,
    "throughput_ips": True,
    "size_mb": False,
    "memory_mb": False,
    "parameters": False,
    "gflops": False,
}
SEEDS_FOR_WILCOXON = 5  # with fewer pairs the signed-rank test can't reach p < 0.05
_BOUND = re.compile(r"\s*([\w@-]+)\s*(<=|>=)\s*([-+.\deE]+)\s*")


@dataclass(frozen=True)
class Objective:
    """One figure to make as large, or as small, as possible."""

    name: str
    maximize: bool

    @property
    def metric(self) -> str:
        """Its name in a trial's metrics."""
        return metric_of(self.name)


@dataclass(frozen=True)
class Bound:
    """A limit that a configuration must keep."""

    name: str
    limit: float
    at_most: bool

    @property
    def metric(self) -> str:
        """Its name in a trial's metrics."""
        return metric_of(self.name)

    @property
    def words(self) -> str:
        """As a user would type it."""
        return f"{self.name} {'<=' if self.at_most else '>='} {self.limit:g}"

    def excess(self, value: float) -> float:
        """By how much a value breaks the limit; at most 0 when it keeps it."""
        return value - self.limit if self.at_most else self.limit - value


@dataclass(frozen=True)
class Goals:
    """Objectives and constraints of a study."""

    objectives: tuple[Objective, ...] = (Objective(MAP, True),)
    bounds: tuple[Bound, ...] = ()
    lower_bound: float = 0.0  # standard errors that a configuration's value is moved to the worse side

    @property
    def names(self) -> list[str]:
        """Every figure that is asked for."""
        return [o.name for o in self.objectives] + [b.name for b in self.bounds]

    @property
    def needs_costs(self) -> bool:
        """Whether a figure of the architecture is asked for."""
        return any(name in COSTS for name in self.names)

    @property
    def plain(self) -> bool:
        """Whether this is the usual search for the highest mean mAP50-95."""
        return self == Goals()

    @property
    def selects(self) -> str:
        """The metric of a training that ranks configurations in the report: the first objective that is one."""
        return next((o.metric for o in self.objectives if o.name in TRAINED), metric_of(MAP))

    def words(self) -> list[str]:
        """Objectives and constraints as a user would type them."""
        return [f"{'max' if o.maximize else 'min'} {o.name}" for o in self.objectives] + [b.words for b in self.bounds]

    def values(self, replicates: Sequence[Mapping[str, float]]) -> tuple[float, ...]:
        """A configuration's values, one per objective, from the metrics of its replicates; () where one is missing."""
        columns = [(o, [r.get(o.metric, math.nan) for r in replicates]) for o in self.objectives]
        found = tuple(_worse(objective, column, self.lower_bound) for objective, column in columns)
        return found if replicates and all(math.isfinite(v) for v in found) else ()

    def excesses(self, replicates: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """By how much each constraint is broken, on the mean over replicates; only where its metric is known."""
        found = {}
        for bound in self.bounds:
            values = [r[bound.metric] for r in replicates if math.isfinite(r.get(bound.metric, math.nan))]
            if values:
                found[bound.words] = bound.excess(fmean(values))
        return found

    def broken(self, metrics: Mapping[str, float]) -> list[Bound]:
        """The constraints that these metrics break."""
        return [b for b in self.bounds if b.metric in metrics and b.excess(metrics[b.metric]) > 0]


def metric_of(name: str) -> str:
    """Where a trial keeps a figure: `val/…` of the training, `arch/…` of the untrained network."""
    return f"arch/{name}" if name in COSTS else f"val/{name}"


def _worse(objective: Objective, values: Sequence[float], errors: float) -> float:
    """The mean, moved by `errors` standard errors of the mean to the side that is worse."""
    if not values or not errors or len(values) < 2:
        return fmean(values) if values else math.nan
    shift = errors * stdev(values) / math.sqrt(len(values))
    return fmean(values) - shift if objective.maximize else fmean(values) + shift


def parse_goals(cfg: StudyConfig) -> Goals:
    """The goals that group `study` describes.

    Raises:
        UserError: an unknown metric, a constraint that can't be read, or settings that exclude each other.
    """
    if not cfg.objectives:
        raise UserError("study.objectives is empty", remedy="study.objectives=[mAP50-95]")
    objectives = tuple(_objective(text) for text in cfg.objectives)
    if len({o.name for o in objectives}) < len(objectives):
        raise UserError("study.objectives names a metric twice", value=cfg.objectives)
    goals = Goals(objectives, tuple(_bound(text) for text in cfg.constraints), cfg.lower_bound)
    _check_pruner(cfg, goals)
    refuse_outside({"study.lower_bound": (cfg.lower_bound, 0, math.inf)})
    return goals


def check_seeds(cfg: StudyConfig, seeds: int) -> None:
    """Refuse what can't work with so few replicates.

    Raises:
        UserError: naming the key.
    """
    if cfg.lower_bound > 0 and seeds < 2:
        raise UserError(
            "study.lower_bound needs the spread over seeds",
            value=f"{seeds} seed",
            remedy="seed=1,2,3 or study.lower_bound=0",
        )
    if cfg.pruner is Pruner.wilcoxon and seeds < SEEDS_FOR_WILCOXON:
        raise UserError(
            f"study.pruner=wilcoxon compares replicates, and tells nothing with fewer than {SEEDS_FOR_WILCOXON} seeds",
            value=f"{seeds} seeds",
            remedy="seed=range(1,9), or study.pruner=median, which judges by epochs",
        )


def _check_pruner(cfg: StudyConfig, goals: Goals) -> None:
    if cfg.pruner is Pruner.none:
        return
    if len(goals.objectives) > 1:
        raise UserError(
            "a study of several objectives can't be pruned: no order says which trial is behind",
            value=f"study.pruner={cfg.pruner.value}",
            remedy="study.pruner=none, or one objective and constraints",
        )
    if goals.objectives[0] != Objective(MAP, True):
        raise UserError(
            "trials are pruned by their val mAP50-95, which is not the objective of this study",
            value=f"study.objectives={cfg.objectives}",
            remedy="study.pruner=none, or study.objectives=[mAP50-95]",
        )


def _objective(text: str) -> Objective:
    words = text.split()
    name = words[-1] if words else ""
    if name not in (*TRAINED, *COSTS) or len(words) > 2 or (len(words) == 2 and words[0] not in ("max", "min")):
        raise UserError(
            "study.objectives holds an unknown metric",
            value=text,
            remedy=f"one of: {', '.join((*TRAINED, *COSTS))}; 'max NAME' or 'min NAME' to turn its direction",
        )
    return Objective(name, COSTS.get(name, True) if len(words) == 1 else words[0] == "max")


def _bound(text: str) -> Bound:
    match = _BOUND.fullmatch(text)
    try:
        name, sign, limit = (match[1], match[2], float(match[3])) if match else ("", "", math.nan)
    except ValueError:
        name, sign, limit = "", "", math.nan
    if name not in (*TRAINED, *COSTS) or not math.isfinite(limit):
        raise UserError(
            "study.constraints holds what is no limit on a known metric",
            value=text,
            remedy=f"'NAME <= NUMBER' or 'NAME >= NUMBER' with one of: {', '.join((*TRAINED, *COSTS))}",
        )
    return Bound(name, limit, sign == "<=")


def samples_needed(goals: Goals) -> int:
    """Samples that a measurement needs, so that every percentile that is asked for is supported."""
    return max((n for p, n in SAMPLES_FOR.items() if f"latency_{p}_ms" in goals.names), default=1)


def best_first(values: Sequence[tuple[float, ...]], objectives: Sequence[Objective]) -> list[int]:
    """Indices of value vectors, best first: by Pareto front, within a front by the first objective.

    Fronts are peeled one after the other (non-dominated sorting; Deb et al., NSGA-II, 2002).
    """
    if len(objectives) == 1:
        return sorted(range(len(values)), key=lambda i: -values[i][0] if objectives[0].maximize else values[i][0])
    signed = [tuple(v if o.maximize else -v for v, o in zip(row, objectives, strict=True)) for row in values]
    left, order = list(range(len(signed))), []
    while left:
        front = [i for i in left if not any(_dominates(signed[j], signed[i]) for j in left)]
        order += sorted(front, key=lambda i: tuple(-v for v in signed[i]))
        left = [i for i in left if i not in set(front)]
    return order


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x >= y for x, y in zip(a, b, strict=True))
