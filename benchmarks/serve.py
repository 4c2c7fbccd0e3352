"""Requests a second of the service against the artifact without HTTP, against other servers, and what watching costs.

python -m benchmarks.serve [rounds] [pairs] [seconds]      (0 rounds, or 0 pairs: without that part)

YOLOv8n, untrained, as ONNX at 320 px, registered, on all cores; two photographs (scikit-learn's, 640 x 427 px), ten
boxes in each. Eight clients ask again as soon as they are answered; they run on the same cores. In turns, in each
round:

- `src.benchmark`'s end to end timing, one call after the other, with the service's settings of ONNX Runtime (idle
  threads sleep): the peer of the promise. With the settings that `src.benchmark` takes (they spin) beside it.
- The service's own parts without HTTP: what is lost to HTTP, and to clients that want the cores too.
- The service, `mlflow models serve` of the same version, and Flask as guides have it, on the same ONNX file and on
  the checkpoint.
- The service with the kind of file that a decision on such a machine promotes, static INT8 on OpenVINO: what someone
  gains who comes from the guide's Flask and its checkpoint.

Then, in pairs of changing order, the same version with and without its reference profile and a log. A single request
is timed against the call that `src.predict` makes on the same picture.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks._serving import (
    Form,
    Pixels,
    Server,
    alone,
    detector_of,
    one_by_one,
    over_the_call,
    predictor_of,
    side_by_side,
    started,
)
from benchmarks._table import held, lines
from src.config.schema import ExportConfig
from src.export import export
from src.loadtest.client import Target
from src.machine.environment import cores
from src.monitor.features import Seen, observation
from src.monitor.profile import Profile, profile_of
from src.predict.model import open_model
from src.predict.sources import decode_picture
from src.records.schema import Artifact, Checkpoint
from tests.serve.registered import register
from tests.tiny import make_checkpoint

IMGSZ, BOXES = 320, 10
LEAST, TIMES, MOST_MS, MOST_SHARE = 0.9, 3.0, 2.0, 0.03  # the limits
CALLS = 60
PEER, SPINNING, PARTS = "src.benchmark end to end", "the same, idle threads spin", "the service's parts, no HTTP"
NETWORK = "the network alone, idle threads spin"
SERVICE, MLFLOW, FLASK, TORCH = "the service", "mlflow models serve", "Flask, ONNX file", "Flask, checkpoint"
SMALL = "the service, static INT8 on OpenVINO"
Arm = Callable[[], float]


@dataclass(frozen=True)
class Bench:
    """What is served."""

    folder: Path
    artifact: Artifact
    checkpoint: Checkpoint
    contents: list[bytes]  # of pictures
    confidence: float

    @property
    def uri(self) -> str:
        """Of the registry."""
        return f"sqlite:///{self.folder}/mlflow.db"

    def register(self, profile: Profile | None, artifact: Artifact | None = None, **planned: str) -> str:
        """Register the artifact, or another one; returns its address."""
        plan = {"threads": cores(), "imgsz": IMGSZ, "confidence": self.confidence, **planned}
        return f"models:/detsweep/{register(self.uri, artifact or self.artifact, self.folder, profile, **plan)}"

    def register_small(self) -> str:
        """Register the same network as static INT8, rounded by the photographs themselves; returns its address."""
        settings, images = ExportConfig(name="b"), [str(path) for path in photographs()]
        small = export(self.checkpoint, "openvino/int8", self.folder, settings, calibration=images)
        return self.register(None, replace(small, names=self.artifact.names), runtime="openvino")


def photographs() -> list[Path]:
    """Two that come with scikit-learn."""
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).with_name("images")
    return [folder / name for name in ("china.jpg", "flower.jpg")]


def threshold(artifact: Artifact, contents: Sequence[bytes]) -> float:
    """At which a picture has about `BOXES` boxes."""
    predictor = predictor_of(artifact, 0.001)
    found = [predictor([predictor.prepare(decode_picture(c, Path("a")))])[0].scores for c in contents]
    return float(np.mean([np.sort(scores)[-BOXES] for scores in found]))


def made(folder: Path) -> Bench:
    """The artifact and what it is asked for."""
    checkpoint = make_checkpoint(folder, imgsz=IMGSZ)
    exported = export(checkpoint, "onnx/fp32", folder, ExportConfig(name="b"))
    artifact = open_model(Path(exported.path), imgsz=None, names=None, trust=False).artifact
    contents = [path.read_bytes() for path in photographs()]
    return Bench(folder, artifact, checkpoint, contents, threshold(artifact, contents))


def reference(bench: Bench) -> Profile:
    """The look of the pictures, as a promotion would have recorded it."""
    predictor = predictor_of(bench.artifact, bench.confidence)
    images = [decode_picture(content, Path("a")) for content in bench.contents]
    seen = [observation(i[:, :, ::-1].copy(), predictor([predictor.prepare(i)])[0], Seen(0.0)) for i in images]
    return profile_of(seen * 100, bench.artifact.names)


def ours(bench: Bench, running: ExitStack, model: str, *words: str) -> Server:
    """The service of a registered version."""
    log = bench.folder / f"{model.rpartition('/')[2]}.log"
    command = ["-m", "src.serve", f"model={model}", "port=PORT", f"tracking.uri={bench.uri}", *words]
    paths = ("/v2/health/ready", "/predict")
    return running.enter_context(started([*command, f"outputs={bench.folder}"], Target, paths, log))


def others(bench: Bench, running: ExitStack, model: str) -> dict[str, Server]:
    """The other servers."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["-m", "mlflow", "models", "serve", "-m", model, "-p", "PORT", "--env-manager", "local"]
    env = {"MLFLOW_TRACKING_URI": bench.uri, "PATH": path}
    served = started(command, Pixels, ("/health", "/invocations"), bench.folder / "mlflow.log", env)
    found = {MLFLOW: running.enter_context(served)}
    for name, file in ((FLASK, bench.artifact.path), (TORCH, bench.checkpoint.path)):
        words = ["-m", "benchmarks._flask_app", file, "PORT", str(bench.folder / "ultralytics"), str(bench.confidence)]
        log = bench.folder / f"{name.split()[-1]}.log"
        found[name] = running.enter_context(started(words, Form, ("/health", "/predict"), log))
    return found


def in_turns(arms: Mapping[str, Arm], rounds: int) -> dict[str, list[float]]:
    """What each arm says in each round; the order is reversed every other round."""
    found: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds):
        for name in list(arms)[:: -1 if turn % 2 else 1]:
            found[name].append(arms[name]())
    return found


def arms_of(bench: Bench, servers: Mapping[str, Server], seconds: float) -> dict[str, Arm]:
    """Everything that is measured in pictures a second."""
    quiet, spinning = (detector_of(bench.artifact, bench.confidence, spinning=s) for s in (False, True))
    predictor = predictor_of(bench.artifact, bench.confidence)
    arms: dict[str, Arm] = {
        NETWORK: lambda: alone(spinning, bench.contents[0], seconds),
        PEER: lambda: one_by_one(quiet, bench.contents, seconds),
        SPINNING: lambda: one_by_one(spinning, bench.contents, seconds),
        PARTS: lambda: side_by_side(predictor, bench.contents, seconds),
    }
    return arms | {name: (lambda s=s: s.rate(bench.contents, seconds)) for name, s in servers.items()}  # type: ignore[misc]


def requests(bench: Bench, service: Server, rounds: int, *, spinning: bool) -> list[float]:
    """ms of a request over the call, the median of each round."""
    predictor = predictor_of(bench.artifact, bench.confidence, spinning=spinning)
    return [
        statistics.median(over_the_call(service, predictor, bench.contents[turn % 2], CALLS)) for turn in range(rounds)
    ]


def row(name: str, values: Sequence[float], limit: str = "") -> list[str]:
    """Median and range."""
    return [name, *(f"{v:.3f}" for v in (statistics.median(values), min(values), max(values))), limit]


def ratio(found: Mapping[str, Sequence[float]], one: str, other: str) -> list[float]:
    """Of the rates of each round."""
    return [a / b for a, b in zip(found[one], found[other], strict=True)]


def verdict(values: Sequence[float], limit: float, *, most: bool) -> str:
    """The limit, and whether the median keeps it."""
    value = statistics.median(values)
    return f"at {'most' if most else 'least'} {limit}: {held(value <= limit if most else value >= limit)}"


def compared(bench: Bench, service: Server, model: str, rounds: int, seconds: int) -> list[list[str]]:
    """The service against what it is held against, each figure beside its limit."""
    with ExitStack() as running:
        small = ours(bench, running, bench.register_small())
        servers = {SERVICE: service, SMALL: small, **others(bench, running, model)}
        for server in servers.values():
            server.check(bench.contents[0])
        rates = in_turns(arms_of(bench, servers, seconds), rounds)
    rows = [row(f"{name}, 1/s", values) for name, values in rates.items()]
    promised = {PEER: LEAST, MLFLOW: TIMES, FLASK: TIMES, TORCH: TIMES}
    for name in (name for name in rates if name not in (SERVICE, SMALL)):
        values = ratio(rates, SERVICE, name)
        limit = verdict(values, promised[name], most=False) if name in promised else ""
        rows.append(row(f"the service / {name}", values, limit))
    values = ratio(rates, SMALL, TORCH)
    return [*rows, row(f"{SMALL} / {TORCH}", values, verdict(values, TIMES, most=False))]


def single(bench: Bench, service: Server, rounds: int) -> list[list[str]]:
    """What a request costs over the call."""
    sleeping, spinning = (requests(bench, service, rounds, spinning=s) for s in (False, True))
    limit = verdict(sleeping, MOST_MS, most=True)
    return [row("a request over the call, ms", sleeping, limit), row("the same, its idle threads spin", spinning)]


def watched(bench: Bench, service: Server, pairs: int, seconds: int) -> list[list[str]]:
    """What watching costs, in pairs."""
    log = bench.folder / "log"
    with ExitStack() as running:
        watching = ours(bench, running, bench.register(reference(bench)), f"monitor_log={log}")
        two: dict[str, Arm] = {
            "not": lambda: service.rate(bench.contents, seconds),
            "watched": lambda: watching.rate(bench.contents, seconds),
        }
        rates = in_turns(two, pairs)
    cost = [1 - share for share in ratio(rates, "watched", "not")]
    error = 1.2533 * statistics.stdev(cost) / len(cost) ** 0.5  # of the median of normal values
    noted = sum(len(path.read_bytes().splitlines()) for path in log.glob("*.jsonl"))
    return [
        row("share of the throughput that watching costs", cost, verdict(cost, MOST_SHARE, most=True)),
        ["its standard error", f"{error:.4f}"],
        ["answers that were written down", str(noted)],
    ]


def main(rounds: int = 5, pairs: int = 12, seconds: int = 5) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        bench = made(Path(folder))
        model = bench.register(None)
        service = ours(bench, running, model)
        rows = compared(bench, service, model, rounds, seconds) + single(bench, service, rounds) if rounds else []
        rows += watched(bench, service, pairs, seconds) if pairs else []
    print(lines([["", "median", "least", "most", ""], *rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
