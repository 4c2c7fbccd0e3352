"""The process that a measurement runs in: `python -m src.benchmark.worker job.json result.json`.

It imports the asked engine and no other, does one job and writes one answer. Nothing else of the program runs here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.benchmark.latency import RING, Timed, TimingPlan, digest, time_end_to_end, time_model
from src.benchmark.memory import peak_rss_mb, peak_vram_mb
from src.benchmark.pictures import read_pictures
from src.benchmark.roofline import gemm_job
from src.common.whole_files import whole_file
from src.inference import (
    DEPLOYMENT,
    Detections,
    Detector,
    Float,
    Prepared,
    Thresholds,
    decode_image,
    fit,
    image_bytes,
    load_image,
    spec_of,
)
from src.inference.comparable import comparable
from src.inference.tiles import TiledDetector
from src.machine.abilities import bind, usable_cores
from src.machine.answers import answer_of, work
from src.machine.heat import look
from src.records.parsing import parse
from src.records.schema import Artifact
from src.records.tiling import Tiling


def measure_block(job: dict[str, Any]) -> dict[str, Any]:
    """Load, call once cold, then time: one block of one artifact on one runtime."""
    artifact = parse(Artifact, job["artifact"], "artifact")
    files = _files(job)
    inputs = _inputs(job, artifact, files)
    session, load_ms = _load(job, artifact)
    detector = Detector(session, artifact, DEPLOYMENT)
    start = time.perf_counter_ns()
    detector.run(inputs[0][None])
    answer: dict[str, Any] = {
        "load_ms": load_ms,
        "cold_ms": (time.perf_counter_ns() - start) / 1e6,
        "runtime_version": session.version,
        "providers": session.providers,
        "device": session.device,
    }
    gpu = session.device != "cpu"  # then the card's energy counts beside the processor's
    for batch in job["batches"]:
        part = f"model_only/{batch}"
        plan = _plan(job, part).for_batch(batch)
        answer[part] = _timed(time_model(session, _batches(inputs, batch), plan, gpu=gpu))
    if job["end_to_end"]:
        plan = _plan(job, "end_to_end/1")
        answer["end_to_end/1"] = _timed(time_end_to_end(detector, files, plan, _tiling(job), gpu=gpu))
    return answer


def predict(job: dict[str, Any]) -> dict[str, Any]:
    """Run the shared detection path over images and save what is found."""
    artifact = parse(Artifact, job["artifact"], "artifact")
    session, _ = _load(job, artifact)
    detector = Detector(session, artifact, Thresholds(**job["thresholds"]))
    tiling = _tiling(job)
    tiled = TiledDetector(detector, tiling) if tiling is not None else None
    found: list[Detections] = []
    digests: list[list[float]] = []
    kept: list[Float] = []
    step = detector.input.batch or 1  # a file that insists on several images gets as many
    images = _prepared(job, detector)
    while rows := list(islice(images, step)):
        prepared = [item for _, item in rows]
        outputs = detector.run(np.stack([item.x for item in prepared]))
        whole = detector.finish(outputs, prepared)
        found += [tiled.with_tiles(i, d) for (i, _), d in zip(rows, whole)] if tiled else whole
        for i in range(len(prepared)):
            own = [item[i : i + 1] if len(item) == len(prepared) else item for item in outputs]
            digests.append(digest(own))
            if len(kept) < RAW_KEPT:
                raw = comparable(own, detector.output, detector.input.size)
                kept += [] if raw is None else [raw]
    _save(Path(job["out"]), found, digests, kept, queries=detector.output.queries)
    return {"runtime_version": session.version, "providers": session.providers, "images": len(found)}


def baseline(job: dict[str, Any]) -> dict[str, Any]:
    """What the process costs with everything but an engine: the zero that peak memory is counted from."""
    artifact = parse(Artifact, job["artifact"], "artifact")
    inputs = _inputs(job, artifact, _files(job))
    batches = _batches(inputs, max(job["batches"]))
    return {"peak_mb": peak_rss_mb(), "inputs": len(batches)}


JOBS = {"measure": measure_block, "predict": predict, "baseline": baseline, "gemm": gemm_job}
MOST_EXTRA = 3  # times the asked calls, in the part that decides
RAW_KEPT = 4  # raw outputs saved, for the first level of verification


def _tiling(job: dict[str, Any]) -> Tiling | None:
    return Tiling(**job["tiling"]) if job.get("tiling") else None


def _files(job: dict[str, Any]) -> list[NDArray[np.uint8]]:
    """Contents of the ring's image files."""
    return [image_bytes(path) for path in job["images"][:RING]]


def _inputs(job: dict[str, Any], artifact: Artifact, files: list[NDArray[np.uint8]]) -> list[Float]:
    """The ring: from the pictures that were resized elsewhere, where the job names such a file."""
    shape, _ = spec_of(artifact)
    if job.get("pictures"):
        return [item.x for item in read_pictures(job["pictures"], shape, 0, RING)]
    return [fit(decode_image(file), shape)[0] for file in files]


def _prepared(job: dict[str, Any], detector: Detector) -> Iterator[tuple[Any, Prepared]]:
    """All images of the job, one at a time: as they are, and fitted; those resized elsewhere are not there whole."""
    if job.get("pictures"):
        return ((None, item) for item in read_pictures(job["pictures"], detector.input))
    images = (load_image(path) for path in job["images"])
    return ((image, detector.prepare(image)) for image in images)


def _batches(inputs: list[Float], batch: int) -> list[Float]:
    """As many batches as there are inputs, each beginning with another one."""
    count = len(inputs)
    return [np.stack([inputs[(i + k) % count] for k in range(batch)]) for i in range(count)]


def _plan(job: dict[str, Any], part: str) -> TimingPlan:
    """More calls are only worth their time where a decision hangs on them."""
    return TimingPlan(**job["plan"], most=MOST_EXTRA if part == job.get("decisive") else 1)


def _load(job: dict[str, Any], artifact: Artifact) -> tuple[Any, float]:
    """A session and the time it took from file to ready, ms, with the engine's import."""
    start = time.perf_counter_ns()
    from src import runtime

    session = runtime.load(
        job["runtime"], artifact, threads=job["threads"], device=job["device"], trust=job.get("trust", False)
    )
    return session, (time.perf_counter_ns() - start) / 1e6


def _timed(timed: Timed) -> dict[str, Any]:
    """Peak memory is read here, right after the block: later jobs of the process can't add to it."""
    return {
        "samples_ms": timed.samples_ms,
        "warmup_calls": timed.warmup_calls,
        "outputs_equal": timed.outputs_equal,
        "digest": timed.digest,
        "stages_ms": timed.stages_ms,
        "foreign_cpu": timed.foreign_cpu,
        "energy_j": timed.energy_j,
        "peak_mb": peak_rss_mb(),
        "vram_mb": peak_vram_mb(),
        "heat": look(),
    }


def _save(out: Path, found: list[Detections], digests: list[list[float]], kept: list[Float], *, queries: bool) -> None:
    """Write flat arrays, all or none."""
    counts = [len(item.scores) for item in found]
    empty = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    rows = [*found, empty]
    with whole_file(out, sync=True) as aside, open(aside, "wb") as stream:
        np.savez_compressed(
            stream,
            image_index=np.repeat(np.arange(len(found)), counts).astype(np.int64),
            boxes=np.concatenate([item.boxes for item in rows]),
            scores=np.concatenate([item.scores for item in rows]),
            classes=np.concatenate([item.classes for item in rows]),
            n_images=np.int64(len(found)),
            digests=np.array(digests, np.float64).reshape(-1, 2),
            raw=np.array(kept, np.float32),
            queries=np.bool_(queries),
        )


def _bind(cores: int) -> None:
    """Stay on as many cores as there are threads, the last ones: the first tend to serve interrupts."""
    usable = usable_cores()
    if 0 < cores < len(usable):
        bind(usable[-cores:])


def do_job(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job that `kind` names, on as many cores as it has threads."""
    _bind(int(job.get("threads", 0)))
    return answer_of(lambda: JOBS[job["kind"]](job))


if __name__ == "__main__":
    work(do_job)
