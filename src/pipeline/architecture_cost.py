"""What an architecture costs at an image size: measured once on an untrained network, before anything is trained.

Latency, size and memory do not depend on the weights. All architectures of a search space are measured together,
interleaved, so that they can be compared with each other; the figures stay in the sweep's folder, where every worker
finds them.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from src.benchmark import measure
from src.common.errors import StageError, Unavailable, UserError
from src.common.hashes import hash_of
from src.common.whole_files import locked, write_text
from src.config.schema import SAMPLES_FOR, AppConfig
from src.data import load_split
from src.export.isolated import export_one
from src.models.base import family
from src.pipeline.accuracy import device_of
from src.pipeline.calibration import calibration_images
from src.pipeline.context import Context, Inputs
from src.pipeline.leftovers import clear_leftovers
from src.pipeline.measured import figures_of
from src.pipeline.request import SweepRequest
from src.records.schema import Artifact, Checkpoint, Measurement
from src.runtime import availability, supports
from src.sweeper.goals import Bound, samples_needed
from src.sweeper.space import Space, overrides_of

log = logging.getLogger(__name__)

ARCHITECTURE = ("model", "data", "imgsz", "device")  # keys that decide what a network costs
MOST_ARCHITECTURES = 64  # measured beforehand; others when their turn comes


class Costs:
    """Figures of the architectures of one sweep, by their names in a trial's metrics (`arch/…`)."""

    def __init__(self, request: SweepRequest, context: Context, inputs: Inputs) -> None:
        self._request, self._context, self._inputs = request, context, inputs
        self._folder = context.places.costs

    def of(self, cfg: AppConfig) -> dict[str, float]:
        """The figures of one configuration's architecture, measured now where that has not been done.

        Raises:
            StageError: it can't be measured.
        """
        path = self._path(cfg)
        if not path.is_file():
            self.measure([cfg])
        figures: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["figures"]
        return figures

    def measure(self, cfgs: Sequence[AppConfig], say: Callable[[str], None] = log.info) -> None:
        """Measure what has not been measured, all together.

        Raises:
            StageError: an architecture can't be exported or measured.
        """
        with locked(self._folder / "lock"):
            clear_leftovers(self._folder)
            missing = {self._path(c): c for c in cfgs if not self._path(c).is_file()}
            if not missing:
                return
            say(f"measuring the latency and size of {len(missing)} untrained architecture(s)")
            built = {path: self._build(cfg, path.with_suffix("")) for path, cfg in missing.items()}
            self._measure(missing, built, say)

    def _path(self, cfg: AppConfig) -> Path:
        classes = len(self._inputs.dataset(cfg).class_names)
        built = self._inputs.start(cfg).built(cfg.model)
        return self._folder / f"{cfg.model.name}-{cfg.imgsz}-{hash_of([built, classes])[:8]}.json"

    def _build(self, cfg: AppConfig, folder: Path) -> tuple[Checkpoint, Artifact]:
        dataset, study = self._inputs.dataset(cfg), cfg.study
        own, start = family(cfg.model.family), self._inputs.start(cfg)
        checkpoint = own.save_untrained(cfg.training, start, dataset.class_names, folder / "untrained.pt")
        images = calibration_images(cfg, dataset)
        try:
            made = export_one(checkpoint, study.cost_artifact, folder, cfg.export, calibration=images)
        except Unavailable as error:
            raise StageError("cost", study.cost_artifact, str(error)) from error
        return checkpoint, made

    def _measure(
        self,
        cfgs: dict[Path, AppConfig],
        built: dict[Path, tuple[Checkpoint, Artifact]],
        say: Callable[[str], None],
    ) -> None:
        one = next(iter(cfgs.values()))
        samples = max(one.benchmark.min_samples, samples_needed(self._request.goals))
        found, failures = measure(
            [(artifact, one.study.cost_runtime) for _, artifact in built.values()],
            dataclasses.replace(one.benchmark, batches=[1], min_samples=samples),
            [s.image for s in load_split(self._inputs.dataset(one), "val")],
            device=device_of(one),
            threads=self._context.threads,
            out_dir=self._folder / "samples",
            base=self._context.folder,
            end_to_end=False,
            labels=[f"{cfg.model.name} {cfg.imgsz} px" for cfg in cfgs.values()],
            decisive=(max(self._asked(), default="p50"), "model_only/1"),
            progress=say,
        )
        if failures:
            raise StageError("cost", failures[0].target, failures[0].message)
        for m in found:
            self._refuse_unsupported(m)
        by_artifact = {m.artifact_sha256: m for m in found if m.scope == "model_only" and m.batch == 1}
        for path, (checkpoint, artifact) in built.items():
            text = json.dumps(
                {
                    "figures": _figures(checkpoint, by_artifact[artifact.sha256]),
                    "artifact": artifact.label,
                    "runtime": one.study.cost_runtime,
                    "threads": self._context.threads,
                },
                indent=1,
            )
            write_text(path, text + "\n")

    def _asked(self) -> list[str]:
        """Percentiles that the study's goals name."""
        return [name for name in SAMPLES_FOR if f"latency_{name}_ms" in self._request.goals.names]

    def _refuse_unsupported(self, m: Measurement) -> None:
        """A goal on a percentile that the calls don't support would hold by not being known."""
        for name in self._asked():
            if getattr(m.latency, name) is None:
                worth = f"{m.latency.count} calls are worth {m.extra['effective_samples']:.0f} independent ones"
                why = f"{worth}, too few for {name}: measure on a quieter machine, or raise benchmark.min_samples"
                raise StageError("cost", f"{m.runtime}/{m.format}/{m.precision} at {m.imgsz} px", why)


def _figures(checkpoint: Checkpoint, m: Measurement) -> dict[str, float]:
    figures = {**figures_of(m), "parameters": checkpoint.parameters, "gflops": checkpoint.gflops}
    return {f"arch/{name}": float(value) for name, value in figures.items()}


def check_costs(request: SweepRequest) -> None:
    """Refuse what could not measure costs, before anything is prepared.

    Raises:
        UserError: the runtime is not to be had, or does not run the artifact.
    """
    study = request.base.study
    if not request.goals.needs_costs:
        return
    fmt, _, precision = study.cost_artifact.partition("/")
    if not supports(study.cost_runtime, fmt, precision):
        raise UserError(
            "study.cost_runtime does not run study.cost_artifact",
            value=f"{study.cost_artifact} on {study.cost_runtime}",
            remedy="for example study.cost_artifact=onnx/fp32 study.cost_runtime=onnxruntime",
        )
    try:
        availability(study.cost_runtime)
    except Unavailable as error:
        raise UserError(
            "study.cost_runtime is not to be had here", value=study.cost_runtime, remedy=str(error)
        ) from None


def measure_ahead(request: SweepRequest, costs: Costs, say: Callable[[str], None]) -> None:
    """Measure every architecture of the search space, and refuse a space in which none is feasible.

    Raises:
        UserError: every architecture breaks a constraint, or one can't be measured.
    """
    if not request.goals.needs_costs:
        return
    cfgs = [
        request.config_of(words) for words in itertools.islice(_architectures(request.space), MOST_ARCHITECTURES + 1)
    ]
    if len(cfgs) > MOST_ARCHITECTURES:
        return
    try:
        costs.measure(cfgs, say)
        found = [(cfg, costs.of(cfg)) for cfg in cfgs]
    except StageError as error:
        raise UserError(
            "what an architecture costs can't be measured", value=error.target, remedy=error.message
        ) from error
    broken = [(cfg, figures, request.goals.broken(figures)) for cfg, figures in found]
    if all(bounds for _, _, bounds in broken):
        cfg, figures, bounds = min(broken, key=lambda row: sum(_overshoot(b, row[1]) for b in row[2]))
        bound = bounds[0]
        raise UserError(
            "no architecture of the search space keeps study.constraints, so nothing would be trained",
            value=f"{bound.words}: the nearest, {cfg.model.name} at {cfg.imgsz} px, has {figures[bound.metric]:.4g}",
            remedy="a smaller imgsz or model, another study.cost_artifact, or another limit",
        )


def _overshoot(bound: Bound, figures: Mapping[str, float]) -> float:
    """By which share of itself a limit is broken."""
    return bound.excess(figures[bound.metric]) / (abs(bound.limit) or 1.0)


def _architectures(space: Space) -> Iterator[list[str]]:
    """Overrides of every distinct architecture; other keys at a value of theirs."""
    from src.sweeper.space import corners

    seen: set[str] = set()
    cells = space.cells() if space.size() is not None else corners(space)
    for cell in cells:
        key = repr({k: v for k, v in cell.items() if k.split(".")[0] in ARCHITECTURE})
        if key not in seen:
            seen.add(key)
            yield overrides_of(cell)
