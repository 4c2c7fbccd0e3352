"""What the trials of a sweep share: folders, dataset, starting weights, threads and the tracker.

Everything that can be wrong is found here, before the first training.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from src.common.errors import UserError
from src.common.licences import allowed
from src.config.schema import AppConfig
from src.config.training import Training
from src.data import resolve, use_reading
from src.machine.environment import cores, environment
from src.models.base import Start, family, licence_of
from src.pipeline.calibration import calibration_images
from src.pipeline.exchange import Alone, Exchange
from src.records.schema import DatasetRef
from src.records.sweep_folder import WEIGHTS, SweepFolder
from src.track import Tracker, check_also, open_tracker

log = logging.getLogger(__name__)

HURRY_S = 2.0  # for sending what waits for a tracking server, when the command must end


@dataclass(frozen=True)
class Context:
    """What the trials of a sweep share."""

    name: str
    folder: Path  # outputs/sweeps/<name>
    outputs: Path
    tracker: Tracker
    parent: str  # run id of the sweep; "" for a single trial
    threads: int
    exchange: Exchange = field(default_factory=Alone)  # with machines that do not share the folder

    @property
    def places(self) -> SweepFolder:
        """Where everything lies in the folder."""
        return SweepFolder(self.folder)

    def trial_folder(self, trial: int) -> Path:
        """Folder of one trial."""
        return self.places.trial(trial).path


class Inputs:
    """Datasets and starting weights, resolved once for each distinct configuration of them."""

    def __init__(self, outputs: Path) -> None:
        self._outputs = outputs
        self._data: dict[str, DatasetRef] = {}
        self._starts: dict[str, Start] = {}

    def dataset(self, cfg: AppConfig) -> DatasetRef:
        """The prepared dataset that `cfg.data` asks for.

        Raises:
            UserError: the data is wrong.
        """
        use_reading(cfg.data)  # also where it is known: another trial may have read in another way since
        key = repr(cfg.data)
        if key not in self._data:
            self._data[key] = resolve(cfg.data, self._outputs)
        return self._data[key]

    def fingerprints(self) -> set[str]:
        """Of the datasets that were asked for so far."""
        return {dataset.fingerprint for dataset in self._data.values()}

    def start(self, cfg: AppConfig) -> Start:
        """The weights that `cfg.model` starts from.

        Raises:
            UserError: the weights are wrong.
        """
        key = repr((cfg.model, cfg.train.distill_model))
        if key not in self._starts:
            self._starts[key] = family(cfg.model.family).start(cfg.training, self._outputs / WEIGHTS)
        return self._starts[key]


def prepare(cfgs: list[AppConfig], trainings: Iterable[Training] = ()) -> Inputs:
    """Resolve and check the inputs of every configuration.

    Args:
        cfgs: one for every distinct model and dataset.
        trainings: others that their families are to check by themselves, such as those of all cells of a sweep.

    Raises:
        UserError: the first thing that is wrong.
    """
    inputs = Inputs(Path(cfgs[0].outputs))
    check_also(cfgs[0].tracking)  # refused before data are made and weights are fetched
    _check_licences(cfgs)
    for training in trainings:
        family(training.model.family).check(training)
    for cfg in cfgs:
        use_reading(cfg.data)  # refused before weights are fetched
        own = family(cfg.model.family)
        own.check(cfg.training)
        own.check_start(cfg.training, inputs.start(cfg), inputs.dataset(cfg))
        if cfg.export.calibration.folder is not None:
            calibration_images(cfg, inputs.dataset(cfg))
    return inputs


def _check_licences(cfgs: list[AppConfig]) -> None:
    """Refuse to train what may not be shipped, where that is everything.

    Raises:
        UserError: no model is within `decision.licence`.
    """
    limit = cfgs[0].decision.licence
    found = {cfg.model.name: licence_of(cfg.training, None) for cfg in cfgs}
    if not any(allowed(licence, limit) for licence in found.values()):
        told = ", ".join(f"{name} is {licence}" for name, licence in found.items())
        free = [f"model={name} is {one}" for name, one in _trained_from_scratch() if allowed(one, limit)]
        remedy = "; or ".join([*free[:1], "decision.licence=any"])
        raise UserError(f"no model may be shipped under decision.licence ({told})", value=limit, remedy=remedy)


def _trained_from_scratch() -> list[tuple[str, str]]:
    """A model of each family with the licence of what its training gives."""
    models = {"torchvision": "frcnn_mobilenet", "transformers": "rtdetrv2_s", "ultralytics": "v8n"}
    return [(name, family(own).licence) for own, name in models.items()]


def threads_of(cfg: AppConfig) -> int:
    """Threads to use: as configured, never more than the cores at hand.

    Raises:
        UserError: more threads than cores.
    """
    have = cores()
    if cfg.threads > have:
        raise UserError("threads must not exceed the cores at hand", value=cfg.threads, remedy=f"threads={have} or 0")
    return cfg.threads or have


def open_context(cfg: AppConfig, name: str, folder: Path, threads: int) -> Context:
    """Open the folders and the tracker."""
    folder.mkdir(parents=True, exist_ok=True)
    outputs = Path(cfg.outputs)
    return Context(name, folder, outputs, open_tracker(cfg.tracking, outputs), "", threads)


def tags_of(name: str, dataset: DatasetRef | None, config_hash: str) -> dict[str, str]:
    """Tags of the contract: sweep, dataset fingerprint, configuration hash, source revision, host."""
    env = environment()
    return {
        "sweep": name,
        "dataset.fingerprint": dataset.fingerprint if dataset else "",
        "config.hash": config_hash,
        "mlflow.source.git.commit": env.git_commit,
        "git.dirty": str(env.git_dirty).lower(),
        "host.fingerprint": env.host,
    }


def now() -> str:
    """The time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextlib.contextmanager
def tracking(context: Context, seconds: float = 60.0) -> Iterator[None]:
    """Close the tracker at the end: what waits for a server is sent, in a hurry when something went wrong."""
    try:
        yield
    except BaseException:
        context.tracker.close(min(seconds, HURRY_S))
        raise
    context.tracker.close(seconds)


def worker_number() -> int | None:
    """This process's number among the sweep's local workers; None for the one that the user started."""
    value = os.environ.get("DETSWEEP_WORKER", "")
    return int(value) if value.isdigit() else None
