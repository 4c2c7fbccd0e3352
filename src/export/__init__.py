"""Checkpoint to artifact: one module per format, each artifact made once.

An artifact lands in `<out_dir>/<format>-<precision>/` beside a manifest that names what it was made from. Asking again
for the same checkpoint, options and tools gives the same file back without any work, so that adding a format to a
finished sweep makes that format only.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.common import backends
from src.common.errors import StageError, Unavailable, UserError
from src.common.hashes import hash_of, sha256_file
from src.common.whole_files import whole_folder, write_text
from src.config.schema import ExportConfig
from src.export import script
from src.export.calibration import hashes_of
from src.export.readback import check_label
from src.export.request import Built, Job, versions
from src.models.base import family
from src.records.earlier import artifact_from
from src.records.schema import Artifact, Checkpoint

REVISION = 8  # raised when an exporter changes what it writes, so that old artifacts are made again
MANIFEST = "manifest.json"


def export(
    checkpoint: Checkpoint,
    target: str,
    out_dir: Path,
    cfg: ExportConfig,
    *,
    calibration: Sequence[str] = (),
    trust: bool = False,
) -> Artifact:
    """Make one artifact of a checkpoint, or find the one made before.

    Args:
        checkpoint: the source.
        target: `format/precision`, e.g. "onnx/fp32".
        out_dir: folder of this checkpoint's artifacts.
        cfg: the export group.
        calibration: images that static quantisation is calibrated on; they must not come from val or test.
        trust: allow a checkpoint that needs unsafe unpickling.

    Raises:
        UserError: the target is unknown or the checkpoint can't be loaded.
        Unavailable: a library that the format needs is missing.
        StageError: the conversion failed.
    """
    job, module = _job(checkpoint, target, out_dir, cfg, calibration, trust)
    tools = _tools(job, module)
    if job.format == "pytorch":  # the checkpoint itself: nothing is written
        return _artifact(job, module.build(job, out_dir), tools, 0.0)
    key = _key(job, tools)
    return _existing(job.folder, key) or _make(job, module, key, tools)


def find(
    checkpoint: Checkpoint,
    target: str,
    out_dir: Path,
    cfg: ExportConfig,
    *,
    calibration: Sequence[str] = (),
    trust: bool = False,
) -> Artifact | None:
    """The artifact that `export` made before from the same source in the same way; None where it has to be made.

    Raises:
        UserError: the target is unknown.
        Unavailable: a library that the format needs is missing.
    """
    job, module = _job(checkpoint, target, out_dir, cfg, calibration, trust)
    return _existing(job.folder, _key(job, _tools(job, module)))


def _job(
    checkpoint: Checkpoint, target: str, out_dir: Path, cfg: ExportConfig, calibration: Sequence[str], trust: bool
) -> tuple[Job, Any]:
    """What is asked for, with the module of its format, which can be had here."""
    if not backends.is_target(target):
        known = ", ".join(backends.targets())
        raise UserError("unknown export target", value=target, remedy=f"format/precision, one of: {known}")
    fmt, _, precision = target.partition("/")
    module = backends.format_module(fmt)
    _check_available(module)
    return Job(checkpoint, fmt, precision, cfg, tuple(calibration), trust, out_dir), module


def _check_available(module: Any) -> None:
    """Check that a format can be exported here.

    Raises:
        Unavailable: a library that it needs is not installed, or a device is missing.
    """
    backends.require(module.FORMAT)
    if hasattr(module, "check_available"):
        module.check_available()


def _tools(job: Job, module: Any) -> dict[str, str]:
    """Versions of what decides the content of the file: the format's tools, and what the network is built with."""
    tools: dict[str, str] = module.tool_versions()
    return tools | versions(*family(job.checkpoint.family).packages)


def _key(job: Job, tool_versions: dict[str, str]) -> str:
    """Identity of an artifact: everything that decides its content."""
    source, cfg = job.checkpoint, job.cfg
    options: list[Any] = [cfg.opset, cfg.simplify, cfg.dynamic, list(cfg.rewrite)]
    if job.uses_calibration:
        images = hashes_of(job.calibration_images() if job.calibration else [])
        options += [images, cfg.int8.weights, list(job.kept)]
    return hash_of([REVISION, source.sha256, source.imgsz, job.label, options, tool_versions])


def _existing(folder: Path, key: str) -> Artifact | None:
    """The artifact made before, if it is whole and has this key."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        artifact = artifact_from(manifest["artifact"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    path = folder / Path(artifact.path).name  # the folder may have been moved since
    if manifest.get("key") != key or not path.exists() or sha256_file(path) != artifact.sha256:
        return None
    return dataclasses.replace(artifact, path=str(path))


def _make(job: Job, module: Any, key: str, tools: dict[str, str]) -> Artifact:
    """Convert into a folder aside, then put it in place whole."""
    start, folder = time.perf_counter(), job.folder
    with whole_folder(folder) as aside:
        aside.mkdir()
        built = _convert(job, module, aside)
        artifact = _artifact(job, built, tools, time.perf_counter() - start)
        artifact = dataclasses.replace(artifact, path=str(folder / built.path.name))
        text = json.dumps({"key": key, "artifact": dataclasses.asdict(artifact)}, indent=1, sort_keys=True)
        write_text(aside / MANIFEST, text + "\n")
        script.write(aside, artifact)
        shutil.rmtree(folder, ignore_errors=True)
    return artifact


def _convert(job: Job, module: Any, folder: Path) -> Built:
    try:
        built: Built = module.build(job, folder)
        check_label(job.label, built.facts)
    except (UserError, Unavailable, StageError):
        raise
    # A converter is foreign code that fails in its own ways; the trial records the reason and goes on.
    except Exception as error:
        raise StageError("export", job.label, f"{type(error).__name__}: {error}") from error
    return built


def _artifact(job: Job, built: Built, tools: dict[str, str], seconds: float) -> Artifact:
    rewrites = {"rewritten": ", ".join(job.cfg.rewrite)} if job.cfg.rewrite and job.format != "pytorch" else {}
    return Artifact(
        format=job.format,
        precision=job.precision,
        path=str(built.path),
        sha256=sha256_file(built.path),
        size_bytes=_size(built.path),
        input_shape=[built.input.batch or -1, 3, *built.input.size],
        export_s=round(seconds, 3),
        source_sha256=job.checkpoint.sha256,
        tool_versions=tools,
        facts={**built.facts, **rewrites},
        names=built.names,
        family=job.checkpoint.family,
        input=built.input,
        output=built.output,
    )


def _size(path: Path) -> int:
    """Bytes on disk of a file, or of all files of a folder."""
    if path.is_dir():
        return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    return path.stat().st_size
