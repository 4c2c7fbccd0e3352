"""Which model is served: a file, or what an alias of the registry points at, loaded with what it was measured with."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src import runtime
from src.common.errors import Unavailable, UserError
from src.machine.environment import cores
from src.predict.engine import Predictor, Wanted
from src.predict.model import choose_runtime, open_model
from src.promote.serving_plan import CONFIDENCE, known_threshold
from src.records.schema import Artifact
from src.serve import scratch
from src.serve.options import ServeArgs

WARM_CALLS = 3  # before the service says that it is ready
ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class Served:
    """A loaded model and what is told of it."""

    predictor: Predictor
    artifact: Artifact
    names: list[str]  # of the classes
    runtime: str
    threads: int
    confidence: float
    name: str  # of the registered model, or the file's
    version: str  # in the registry; "" of a file
    folder: Path | None = None  # that a registered model was copied into

    @property
    def facts(self) -> dict[str, Any]:
        """For answers and logs."""
        return {"name": self.name, "version": self.version, "artifact": self.artifact.label, "runtime": self.runtime}

    def name_of(self, class_id: int) -> str:
        """The name of a class, or its number where nothing tells."""
        return self.names[class_id] if 0 <= class_id < len(self.names) else str(class_id)


@dataclass(frozen=True)
class Copy:
    """The files of a registered version, as copied here."""

    version: str
    folder: Path
    artifact: Artifact
    plan: dict[str, Any]


@dataclass(frozen=True)
class Address:
    """A model of the registry: by alias or by version."""

    name: str
    alias: str | None
    version: str | None


def address_of(model: str) -> Address:
    """Take `models:/NAME@ALIAS` or `models:/NAME/VERSION` apart.

    Raises:
        UserError: it is neither.
    """
    found = ADDRESS.fullmatch(model)
    if found is None:
        raise UserError(
            "model is no address of a registered model", value=model, remedy="models:/detsweep@champion, models:/NAME/3"
        )
    return Address(found["name"], found["alias"], found["version"])


class Source:
    """Finds and loads the model that the arguments name.

    Args:
        args: of the service.
    """

    def __init__(self, args: ServeArgs) -> None:
        self.args = args
        self.address = address_of(args.model) if args.registered else None
        self._registry: Any = None

    def version(self) -> str:
        """The version that is to be served now; "" of a file.

        Raises:
            UserError: nothing of that name or alias is registered.
        """
        if self.address is None:
            return ""
        if self.address.version:
            return self.address.version
        version = self._opened_registry().version_of(self.address.alias or "")
        if version is None:
            raise UserError(
                "the registry has no such model",
                value=self.args.model,
                remedy="python -m src.promote sweep=NAME first, or model=PATH of a file",
            )
        return str(version)

    def check(self) -> None:
        """Look whether there is a model, without loading it.

        Raises:
            UserError: it is missing, damaged, or nothing here runs it.
        """
        if self.address is None:
            opened = open_model(Path(self.args.model).expanduser(), imgsz=None, names=self.args.names, trust=False)
            choose_runtime(opened.artifact, self.args.runtime)
        else:
            self.version()

    def fetch(self, version: str) -> Copy | None:
        """A copy of a version's files; None of a file, which is served where it lies.

        Raises:
            UserError: it is missing or damaged, or the registry is away.
        """
        if self.address is None:
            return None
        folder = scratch.make()
        try:
            artifact, plan = self._opened_registry().model_of(version, folder)
        except BaseException:  # an alias that points at what can't be had is looked at again and again
            scratch.remove(folder)
            raise
        return Copy(version, folder, artifact, plan)

    def open(self, copy: Copy | None) -> Served:
        """Load a copy (None = the file), and call it a few times.

        Raises:
            UserError: it is missing, damaged, or nothing here runs it; the copy is removed.
        """
        try:
            served = self._from_file() if copy is None else self._from_copy(copy)
            served.predictor.try_out(served.artifact.path, calls=WARM_CALLS)
        except BaseException as error:
            if copy is not None:
                scratch.remove(copy.folder)
            if isinstance(error, Unavailable):
                raise UserError(str(error), value=f"runtime={self.args.runtime}") from None
            raise
        return served

    def _from_file(self) -> Served:
        path = Path(self.args.model).expanduser()
        opened = open_model(path, imgsz=None, names=self.args.names, trust=False)
        engine, threads = choose_runtime(opened.artifact, self.args.runtime), self._threads(0)
        confidence = CONFIDENCE if self.args.conf is None else self.args.conf
        predictor = self._predictor(opened.artifact, engine, threads, confidence)
        return Served(predictor, opened.artifact, opened.names, engine, threads, confidence, path.name, "")

    def _from_copy(self, copy: Copy) -> Served:
        assert self.address is not None
        plan = copy.plan
        artifact = dataclasses.replace(copy.artifact, input_shape=_shape(copy.artifact, plan))
        engine = choose_runtime(artifact, self.args.runtime or str(plan["runtime"]))
        threads = self._threads(int(plan["threads"]))
        confidence = known_threshold(float(plan["confidence"])) if self.args.conf is None else self.args.conf
        predictor = self._predictor(artifact, engine, threads, confidence)
        names, name = [str(name) for name in plan["class_names"]], self.address.name
        return Served(predictor, artifact, names, engine, threads, confidence, name, copy.version, copy.folder)

    def _threads(self, measured: int) -> int:
        """Of the engine: as asked, else as measured where one process has the machine, else a share of the cores."""
        share = max(cores() // self.args.workers, 1)
        return self.args.threads or min(measured or share, share)

    def _predictor(self, artifact: Artifact, engine: str, threads: int, confidence: float) -> Predictor:
        session = runtime.load(engine, artifact, threads=threads, device=self.args.device, beside_others=True)
        wanted = Wanted(confidence, self.args.iou, self.args.max_det, "class", None)
        return Predictor(session, artifact, wanted)

    def _opened_registry(self) -> Any:
        if self._registry is None:
            from src.promote.registry import Registry
            from src.track import follow, store_uri

            assert self.address is not None
            uri = store_uri(self.args.tracking, Path(self.args.outputs))
            follow(uri, Path(self.args.outputs))
            self._registry = Registry(uri, self.address.name)
        return self._registry


def _shape(artifact: Artifact, plan: dict[str, Any]) -> list[int]:
    """Shape of the input [n, c, h, w]; sides that the file leaves free are those of the training."""
    batch, channels, *sides = artifact.input_shape
    return [batch, channels, *(side if side > 0 else int(plan["imgsz"]) for side in sides)]
