"""`python -m src.benchmark pack sweep=NAME out=DIR`: a sweep's finalists as a folder that measures itself elsewhere."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from src.benchmark.bundle.candidates import BYTES, SPLIT, Asked, Choice, candidates_of, packages_of
from src.benchmark.bundle.contents import MODULES, file_of
from src.benchmark.bundle.plan import FILE, PROTOCOL, Candidate, LeftOut, Picture, Plan, Times, sha256_of, to_text
from src.benchmark.latency import RING
from src.benchmark.pictures import key_of, write_pictures
from src.common.encryption import is_secret
from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.common.root import ROOT
from src.common.whole_files import whole_folder, write_text
from src.config.schema import BenchmarkConfig
from src.data import Sample, load_split
from src.decide.load import Saved
from src.decide.settings import decision_of
from src.inference import spec_of
from src.records.model_io import Input
from src.records.schema import DatasetRef, Verification
from src.records.sweep_folder import SweepFolder

CODE, ARTIFACTS, PICTURES = "code", "artifacts", "pictures"
RUNNER = Path(__file__).with_name("start.py")
README = Path(__file__).with_name("readme.txt")


@dataclass(frozen=True)
class Packed:
    """What was written."""

    plan: Plan
    sha256: str
    artifact_bytes: int
    other_bytes: int


def pack(saved: Saved, out: Path, asked: Asked, say: Callable[[str], None] = lambda _: None) -> Packed:
    """Write a bundle of a sweep's finalists into a new folder.

    Raises:
        UserError: there is nothing to measure, a file is missing or altered, or the folder holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError("the folder of the bundle exists and is not empty", value=out, remedy="out=NEW_FOLDER")
    chosen, left_out = candidates_of(saved, asked)
    if not chosen:
        reasons = "; ".join(sorted({f"{item.target}: {item.reason}" for item in left_out})[:4])
        raise UserError(
            "the sweep has no finalist that another machine can be asked about", value=reasons or saved.sweep.sweep
        )
    dataset = _dataset(saved, chosen)
    samples = _samples(dataset)
    try:
        with whole_folder(out) as aside:
            plan = _write(aside, saved, asked, chosen, left_out, dataset, samples, say)
            text = to_text(plan)
            write_text(aside / FILE, text)
            total = sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
            artifacts = sum(p.stat().st_size for p in (aside / ARTIFACTS).rglob("*") if p.is_file())
            write_text(SweepFolder(saved.folder).bundle(sha256_of(text)), text)
    except OSError as error:
        if error.filename is not None and out.exists() and any(out.iterdir()):
            raise UserError("the folder of the bundle was filled by somebody else", value=out) from None
        raise
    return Packed(plan, sha256_of(text), artifacts, total - artifacts)


def _dataset(saved: Saved, chosen: Sequence[Choice]) -> DatasetRef:
    found = {c.trial.dataset.fingerprint: c.trial.dataset for c in chosen if c.trial.dataset}
    if len(found) != 1:
        raise UserError(
            "the finalists were judged on different datasets, and a bundle has the images of one",
            value=saved.sweep.sweep,
            remedy=f"trials=[…] of one dataset, of {sorted({c.trial.trial for c in chosen})}",
        )
    return next(iter(found.values()))


def _samples(dataset: DatasetRef) -> list[Sample]:
    samples = load_split(dataset, SPLIT)
    if not samples:
        raise UserError(f"the split {SPLIT} holds no images", value=dataset.name)
    if gone := [s.image for s in samples if not Path(s.image).is_file()]:
        raise UserError("an image of the dataset is missing", value=gone[0], remedy="prepare the dataset again")
    return samples


def _write(
    folder: Path,
    saved: Saved,
    asked: Asked,
    chosen: Sequence[Choice],
    left_out: Sequence[LeftOut],
    dataset: DatasetRef,
    samples: Sequence[Sample],
    say: Callable[[str], None],
) -> Plan:
    """All files of the bundle but the plan, which is returned."""
    _refuse_loaders(chosen)
    folder.mkdir(parents=True)
    places = _copy_artifacts(folder, chosen)
    shapes = {key_of(spec_of(c.artifact)[0]): spec_of(c.artifact)[0] for c in chosen}
    order = _order(len(samples), asked.seed)
    images = [s.image for s in samples]
    fitted: dict[str, str] = {}
    ring: list[str] = []
    count = asked.images or len(order)
    if asked.pictures == BYTES:
        _refuse_secrets(images)
        ring = _copy_ring(folder, images)
        count = _how_many(folder, images, order, shapes, ring, asked)
    order = order[:count]
    order = [*order[:RING], *sorted(order[RING:])]
    if asked.pictures == BYTES:
        for key, shape in shapes.items():
            say(f"pictures: {len(order)} at {key}")
            fitted[key] = f"{PICTURES}/{key}.npz"
            write_pictures(folder / fitted[key], [images[i] for i in order], shape)
    decision = decision_of(saved)
    listed = [_candidate(i, c, places, order, saved.folder) for i, c in enumerate(chosen, 1)]
    _copy_code(folder)
    return Plan(
        protocol=PROTOCOL,
        sweep=saved.sweep.sweep,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        split=SPLIT,
        dataset=dataset.fingerprint,
        images_in_split=len(samples),
        times=_times(asked.benchmark),
        statistic=decision.latency,
        part=f"{decision.scope}/{decision.batch}",
        device=asked.processor,
        threads=asked.threads,
        seed=asked.seed,
        pictures=[Picture(Path(images[i]).name, sha256_file(Path(images[i])), i) for i in order],
        fitted=fitted,
        ring=ring,
        candidates=listed,
        left_out=list(left_out),
        packages=packages_of(listed),
        files=_hashes(folder),
    )


def _order(count: int, seed: int) -> list[int]:
    """Images in the order in which they are wanted: the ring, which is timed, then at random."""
    rest = list(range(RING, count))
    random.Random(seed).shuffle(rest)
    return [*range(min(RING, count)), *rest]


def _refuse_loaders(chosen: Sequence[Choice]) -> None:
    """A device has neither the loader nor its access."""
    names = [c.trial.config.get("data", {}).get("loader") for c in chosen]
    if name := next((name for name in names if name), None):
        raise UserError(
            "the images are read through a loader, which a bundle can't bring along",
            value=f"data.loader={name}",
            remedy="train and judge on images in the clear to measure elsewhere",
        )


def _refuse_secrets(images: Sequence[str]) -> None:
    if secret := next((image for image in images if is_secret(image)), None):
        raise UserError(
            "the images are encrypted, and a bundle would carry them in clear",
            value=secret,
            remedy="pictures=references",
        )


def _copy_ring(folder: Path, images: Sequence[str]) -> list[str]:
    """The ring as it is, for the time from file to boxes."""
    files = []
    for i, image in enumerate(images[:RING]):
        files.append(f"{PICTURES}/ring/{i}{Path(image).suffix.lower()}")
        (folder / files[-1]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, folder / files[-1])
    return files


def _how_many(
    folder: Path,
    images: Sequence[str],
    order: Sequence[int],
    shapes: dict[str, Input],
    ring: Sequence[str],
    asked: Asked,
) -> int:
    """How many pictures fit into what they may take, by the size of the first ones."""
    most = min(asked.images or len(order), len(order))
    probe = folder / "probe.npz"
    size = 0.0
    first = [images[i] for i in order[: 2 * RING]]
    for shape in shapes.values():
        write_pictures(probe, first, shape)
        size += probe.stat().st_size / len(first)
    probe.unlink()
    left = asked.megabytes * 1e6 - sum((folder / file).stat().st_size for file in ring)
    return most if asked.images else max(min(most, int(left / size)), min(RING, most))


def _copy_artifacts(folder: Path, chosen: Sequence[Choice]) -> dict[str, str]:
    """Copy every model file once; returns its place by its hash.

    Raises:
        UserError: one is missing, or not the one that was verified.
    """
    places: dict[str, str] = {}
    for artifact in (choice.artifact for choice in chosen):
        if artifact.sha256 in places:
            continue
        source = Path(artifact.path)
        if not source.exists():
            raise UserError(
                "a model file of the sweep is missing", value=source, remedy="let the sweep export it again"
            )
        place = f"{ARTIFACTS}/{len(places) + 1:02d}/{source.name}"
        target = folder / place
        target.parent.mkdir(parents=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        if sha256_file(target) != artifact.sha256:
            raise UserError("a model file is not the one that the sweep verified", value=source, remedy="restore it")
        places[artifact.sha256] = place
    return places


def _candidate(number: int, choice: Choice, places: dict[str, str], order: Sequence[int], base: Path) -> Candidate:
    artifact, trial = choice.artifact, choice.trial
    raw: dict[str, Any] = dataclasses.asdict(artifact) | {"path": places[artifact.sha256]}
    return Candidate(
        id=f"{number:02d}",
        artifact=json.loads(json.dumps(raw)),
        runtime=choice.runtime,
        label=f"T{trial.trial} {trial.model} {trial.imgsz} px",
        runtime_version=choice.measurement.runtime_version if choice.measurement else "",
        p50_ms=choice.measurement.latency.p50 if choice.measurement else 0.0,
        digests=_digests(choice.verification, order, base),
    )


def _digests(verification: Verification | None, order: Sequence[int], base: Path) -> list[list[float]]:
    """Of the outputs on the pictures, by this machine; [] where it did not keep them."""
    if verification is None or not (file := base / verification.detections_file).is_file():
        return []
    with np.load(file, allow_pickle=False) as saved:
        found = saved["digests"] if "digests" in saved else np.zeros((0, 2))
    whole = len(found) > max(order) and bool(np.isfinite(found).all())
    return [found[i].tolist() for i in order] if whole else []


def _times(cfg: BenchmarkConfig) -> Times:
    return Times(**{f.name: getattr(cfg, f.name) for f in dataclasses.fields(Times)})


def _copy_code(folder: Path) -> None:
    """The measuring core, and what a user starts and reads."""
    for module in MODULES:
        source = file_of(module)
        target = folder / CODE / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    shutil.copyfile(RUNNER, folder / "run.py")
    shutil.copyfile(README, folder / "README.txt")


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
