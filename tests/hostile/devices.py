"""Hostile results and bundles: what a device, or somebody on the way, made of them."""

from __future__ import annotations

import atexit
import copy
import functools
import importlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from src.benchmark import worker
from src.benchmark.bundle import run
from src.benchmark.bundle.candidates import Asked
from src.benchmark.bundle.pack import pack
from src.benchmark.bundle.plan import sha256_of
from src.benchmark.bundle.results import checksum
from src.config.schema import BenchmarkConfig
from src.decide.load import load_sweep
from src.records.sweep_folder import SweepFolder
from tests.benchmark.bundle.squares import NAME, make_sweep
from tests.hostile.case import HOME, REFUSED, TAKEN, Case
from tests.hostile.saved import NASTY, WHOLE, edit

QUICK = BenchmarkConfig(name="test", warmup=1, min_seconds=0.0, min_samples=4, max_seconds=5, rounds=2)
IMPORT = ("import", f"results={HOME}/in/results.json", f"sweep={NAME}", f"outputs={HOME}/outputs")
TERMINAL = "a\x1b[31mb\x1b]0;title\x07\u202e|<script>alert(1)</script>\n# c password=hunter2hunter2 " * 50
Change = Callable[[dict[str, Any]], object]


@functools.cache
def original() -> Path:
    """A sweep in `outputs`, its bundle in `bundle`, and what a run of it left: made once."""
    home = Path(tempfile.mkdtemp(prefix="detsweep-hostile-devices-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)  # a case's fork ends without it
    pack(load_sweep(make_sweep(home, 8)), home / "bundle", Asked(QUICK))
    measure = importlib.import_module("src.benchmark.measure")

    def here(job: Mapping[str, Any], **_: object) -> dict[str, Any]:
        return worker.JOBS[job["kind"]](dict(job))

    with mock.patch.object(measure, "run_job", here), mock.patch("builtins.print"):
        if run.main(home / "bundle", []):
            raise RuntimeError("the bundle that hostile ones are made of doesn't run")
    return home


def lay_out(home: Path) -> Path:
    """A copy of the sweep and of the results; returns the file of these."""
    shutil.copytree(original() / "outputs", home / "outputs")
    shutil.copyfile(original() / "bundle" / "results.json", home / "in" / "results.json")
    return home / "in" / "results.json"


def rewritten(path: Path, change: Change) -> None:
    """Change results, under a checksum that fits."""
    content = json.loads(path.read_text())
    del content["sha256"]
    change(content)
    path.write_text(json.dumps({**content, "sha256": checksum(content)}))


def returned(
    name: str, change: Change, ends: tuple[str, ...] = (REFUSED,), device: str = "pi5", more: tuple[str, ...] = ()
) -> Case:
    def build(home: Path) -> None:
        rewritten(lay_out(home), change)

    return Case("results", name, "src.benchmark", (*IMPORT, f"device={device}", *more), build, ends, heavy=True)


def unreadable(name: str, change: Callable[[Path], object]) -> Case:
    def build(home: Path) -> None:
        change(lay_out(home))

    return Case("results", f"file-{name}", "src.benchmark", (*IMPORT, "device=pi5"), build, heavy=True)


def odd_value(number: int) -> Change:
    """One value of the results, however deep, is another."""

    def change(content: dict[str, Any]) -> None:
        rng = random.Random(number)
        value = copy.deepcopy(rng.choice((*NASTY, 10**400, TERMINAL)))
        if value != value or value in (float("inf"), "\ud800"):
            value = None  # no checksum can be made of these
        place: Any = content
        while True:
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.85:
                place = place[key]
                continue
            place[key] = value
            return

    return change


def texts(content: dict[str, Any]) -> None:
    """Every text that is shown is hostile."""
    content["environment"].update(cpu=TERMINAL, gpu=TERMINAL, platform=TERMINAL, libraries={TERMINAL: TERMINAL})
    content["facts"] = {TERMINAL: TERMINAL}
    content["problems"] = [dict.fromkeys(("stage", "target", "kind", "message"), TERMINAL)]


def _first(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["candidates"][0]
    return found


RETURNED: dict[str, tuple[Change, tuple[str, ...]]] = {
    "sound": (lambda c: None, (TAKEN,)),
    "hostile-texts": (texts, (TAKEN,)),
    "old-protocol": (lambda c: c.update(protocol=0), (REFUSED,)),
    "another-bundle": (lambda c: c.update(bundle_sha256="ab" * 32), (REFUSED,)),
    "a-bundle-elsewhere": (lambda c: c.update(bundle_sha256="../../plan"), (REFUSED,)),
    "another-sweep": (lambda c: c.update(sweep="../squares"), (REFUSED,)),
    "twice": (lambda c: c["candidates"].append(_first(c)), (REFUSED,)),
    "nobody": (lambda c: c["candidates"].clear(), (REFUSED,)),
    "id-elsewhere": (lambda c: _first(c).update(id="../../../../../tmp/escaped"), (REFUSED,)),
    "foreign-file": (lambda c: _first(c).update(artifact_sha256="cd" * 32), (REFUSED,)),
    "huge-duration": (lambda c: _first(c)["rounds"][0].update(cold_ms=10**400), (REFUSED,)),
    "no-duration": (lambda c: _first(c)["rounds"][0]["model_only/1"].update(samples_ms=[None]), (REFUSED,)),
    "part-elsewhere": (lambda c: _first(c)["rounds"][0].update({"../x/1": {}}), (REFUSED,)),
    "boxes-text": (lambda c: _first(c).update(detections="QUJD"), (REFUSED,)),
    "many-facts": (lambda c: c.update(facts={str(i): "x" for i in range(5000)}), (REFUSED,)),
    "many-cores": (lambda c: c["environment"].update(cores=10**30), (REFUSED,)),
    "no-time": (lambda c: c.update(finished_at=TERMINAL), (REFUSED,)),
    "no-processor": (lambda c: c.update(device="tpu"), (REFUSED,)),
}


def plans() -> list[Case]:
    """A plan that the sweep kept is hostile, and the results fit it."""
    changes: dict[str, Change] = {
        "id": lambda p: p["candidates"][0].update(id="../../../../in/escaped"),
        "negative-picture": lambda p: p["pictures"][0].update(index=-3),
        "no-pictures": lambda p: p.update(pictures=[]),
        "picture-beyond": lambda p: p["pictures"][0].update(index=10**6),
        "another-protocol": lambda p: p.update(protocol=2),
        "data-elsewhere": lambda p: p.update(dataset="../../../../in"),
    }

    def one(name: str, change: Change) -> Case:
        def build(home: Path) -> None:
            results = lay_out(home)
            place = SweepFolder(home / "outputs" / "sweeps" / NAME)
            kept = place.bundle(json.loads(results.read_text())["bundle_sha256"])
            plan = json.loads(kept.read_text())
            change(plan)
            text = json.dumps(plan)
            place.bundle(sha256_of(text)).write_text(text)

            def same(content: dict[str, Any]) -> None:
                content.update(bundle_sha256=sha256_of(text))
                _first(content).update(id=plan["candidates"][0]["id"])

            rewritten(results, same)

        return Case("results", f"plan-{name}", "src.benchmark", (*IMPORT, "device=pi5"), build, heavy=True)

    return [one(name, change) for name, change in changes.items()]


# --- bundles, by their runner


def bundled(name: str, change: Callable[[Path], object], *words: str, ends: tuple[str, ...] = (REFUSED,)) -> Case:
    def build(home: Path) -> None:
        shutil.copytree(
            original() / "bundle",
            home / "out" / "bundle",
            ignore=shutil.ignore_patterns("work", "results.json", "__pycache__"),
        )
        change(home / "out" / "bundle")

    given = (f"{HOME}/out/bundle", f"--into={HOME}/tmp", *words)
    return Case("bundles", name, "tests.hostile.bundle_runner", given, build, ends, heavy=True)


def plan_of(change: Change) -> Callable[[Path], object]:
    return lambda bundle: edit(change)(bundle / "plan.json")


def model_of(bundle: Path) -> Path:
    """The model file."""
    return next(bundle.glob("artifacts/*/*.onnx"))


def instead_of_the_model(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def work(bundle: Path) -> None:
        path = model_of(bundle)
        path.unlink()
        make(path)

    return work


def lying(bundle: Path) -> None:
    """The plan has the hash of what is not the model."""
    from src.common.hashes import sha256_file

    path = model_of(bundle)
    path.write_bytes(b"no model")
    name = path.relative_to(bundle).as_posix()
    plan_of(lambda p: p["files"].update({name: sha256_file(path)}))(bundle)


def bundles() -> list[Case]:
    """What was copied to a device is not what was packed."""
    outside = "../../../../../../etc/passwd"
    return [
        bundled("plan-leads-out", plan_of(lambda p: p["files"].update({outside: "ab" * 32}))),
        bundled("plan-is-absolute", plan_of(lambda p: p["fitted"].update(dict.fromkeys(p["fitted"], "/dev/zero")))),
        bundled("artifact-leads-out", plan_of(lambda p: p["candidates"][0]["artifact"].update(path=outside))),
        bundled("id-leads-out", plan_of(lambda p: p["candidates"][0].update(id="../../../escaped"))),
        bundled("unknown-runtime", plan_of(lambda p: p["candidates"][0].update(runtime="os"))),
        bundled("another-processor", plan_of(lambda p: p.update(device="tpu"))),
        bundled("a-million-threads", plan_of(lambda p: p.update(threads=10**6))),
        bundled("old-protocol", plan_of(lambda p: p.update(protocol=0))),
        bundled("torn-plan", lambda b: (b / "plan.json").write_text((b / "plan.json").read_text()[:700])),
        bundled("no-plan", lambda b: (b / "plan.json").unlink()),
        bundled("missing-model", lambda b: model_of(b).unlink()),
        bundled("altered-model", lambda b: model_of(b).write_bytes(b"other")),
        bundled("model-is-a-pipe", instead_of_the_model(os.mkfifo)),
        bundled("model-is-a-link", instead_of_the_model(lambda p: p.symlink_to("/etc/passwd"))),
        bundled("model-is-endless", instead_of_the_model(lambda p: p.symlink_to("/dev/zero"))),
        bundled("lying-hash", lying, ends=("skipped",)),
        bundled("into-a-file", lambda b: None, f"--into={HOME}/out/bundle/run.py"),
        bundled("no-such-pictures", plan_of(lambda p: p.update(fitted={}, ring=[])), f"--pictures={HOME}/none"),
    ]


def cases() -> list[Case]:
    """All of them."""
    taken = (REFUSED, TAKEN)
    return [
        *(returned(name, change, ends) for name, (change, ends) in RETURNED.items()),
        *(returned(f"odd-{i}", odd_value(i), taken) for i in range(24)),
        *(unreadable(name, change) for name, change in WHOLE.items() if name not in ("future", "no-version")),
        *(returned(f"name-{i}", lambda c: None, device=n) for i, n in enumerate(("..", "a/b", "-x", "cpu", "cuda:1"))),
        *plans(),
        *bundles(),
    ]
