"""A saved sweep whose model finds bright squares by arithmetic: no training, no torch, and any engine runs it.

The network averages 8 × 8 px; a cell that is bright all over is an object. Its file is of an old version of ONNX, which
engines for old Pythons read too.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from src.benchmark import predict
from src.common.hashes import sha256_file
from src.config.schema import DataConfig
from src.data import Sample, load_split, resolve
from src.evaluate import evaluate, keep_ground_truth
from src.evaluate.files import load_detections
from src.records.model_io import Input, Output
from src.records.schema import Artifact, DatasetRef, FinalistRecord, SweepRecord, Verification
from src.records.store import save
from src.records.sweep_folder import SweepFolder, TrialFolder
from tests.report.factory import HOST, WHEN, trial

SIDE, CELL = 64, 8
NAME = "squares"


def make_sweep(home: Path, images: int = 12, runtimes: tuple[str, ...] = ("onnxruntime",)) -> Path:
    """A sweep of one finalist with its dataset below `home/outputs`; returns the sweep's folder."""
    dataset = make_dataset(home, images)
    folder = home / "outputs" / "sweeps" / NAME
    artifact = make_artifact(SweepFolder(folder).trial(0).artifacts / "onnx-fp32" / "model.onnx")
    return save_sweep(folder, dataset, {SIDE: [(artifact, runtime) for runtime in runtimes]})


def save_sweep(folder: Path, dataset: DatasetRef, finalists: dict[int, list[tuple[Artifact, str]]]) -> Path:
    """Save a sweep whose finalists are these artifacts, by image size, verified on `val` through their runtimes."""
    place = SweepFolder(folder)
    samples = load_split(dataset, "val")
    keep_ground_truth(place.ground_truth(dataset.fingerprint, "val"), samples, list(range(len(samples))))
    for number, (imgsz, jobs) in enumerate(finalists.items()):
        own = place.trial(number)
        judged = [_verified(artifact, samples, runtime, folder, own, dataset) for artifact, runtime in jobs]
        source = replace(jobs[0][0], format="pytorch", sha256=f"{number:02d}" * 32)
        reference = replace(
            judged[0], format="pytorch", runtime="pytorch", artifact_sha256=source.sha256, gate="reference"
        )
        score = reference.reference_map
        record = replace(trial(number, model="square", imgsz=imgsz, score=score), sweep=folder.name, dataset=dataset)
        save(own.record, record)
        save(
            own.finalist,
            FinalistRecord(
                sweep=folder.name,
                trial=number,
                config_id=record.config_id,
                run_id=record.run_id,
                artifacts=[source, *{a.sha256: a for a, _ in jobs}.values()],
                verifications=[reference, *judged],
                environment=HOST,
            ),
        )
    save(
        place.record,
        SweepRecord(
            sweep=folder.name,
            kind="grid",
            command="python -m src.run -m …",
            run_id="",
            identity=folder.name,
            space={},
            n_trials=len(finalists),
            objective="val/mAP50-95",
            decision={"latency": "p50"},
            started_at=WHEN,
            finished_at=WHEN,
        ),
    )
    return folder


def _verified(
    artifact: Artifact, samples: list[Sample], runtime: str, folder: Path, own: TrialFolder, dataset: DatasetRef
) -> Verification:
    out = own.detections / f"val-{runtime}-{artifact.label.replace('/', '-')}.npz"
    predict(artifact, runtime, [s.image for s in samples], threads=1, out=out, isolated=False)
    found = load_detections(out, len(samples))
    metrics = evaluate(found, samples, len(dataset.class_names)).as_dict()
    return Verification(
        format=artifact.format,
        precision=artifact.precision,
        artifact_sha256=artifact.sha256,
        runtime=runtime,
        split="val",
        metrics=metrics,
        reference_map=metrics["mAP50-95"],
        gate="pass",
        detections_file=out.relative_to(folder).as_posix(),
    )


def make_dataset(home: Path, images: int) -> DatasetRef:
    """Black pictures with one to three bright cells, in Ultralytics' layout and prepared."""
    source = home / "source"
    rng = random.Random(1)
    for split, count in (("train", 4), ("val", images), ("test", 4)):
        for kind in ("images", "labels"):
            (source / kind / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture, rows = np.full((SIDE, SIDE, 3), rng.randrange(40), np.uint8), []
            for x, y in {(rng.randrange(1, 7), rng.randrange(1, 7)) for _ in range(rng.randrange(1, 4))}:
                picture[y * CELL : (y + 1) * CELL, x * CELL : (x + 1) * CELL] = rng.randrange(200, 256)
                rows.append(f"0 {(x + 0.5) / 8} {(y + 0.5) / 8} {1 / 8} {1 / 8}")
            cv2.imwrite(str(source / "images" / split / f"{split}{number:03d}.png"), picture)
            (source / "labels" / split / f"{split}{number:03d}.txt").write_text("\n".join(rows) + "\n")
    (source / "data.yaml").write_text(
        "path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames: [square]\n"
    )
    return resolve(DataConfig(name="squares", kind="yolo", path=str(source / "data.yaml")), home / "outputs")


def make_artifact(path: Path) -> Artifact:
    """The network as ONNX float32: [n, 3, 64, 64] to [n, 4 + 1, 64], centres and sizes in px."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    centres = np.stack(np.meshgrid(np.arange(8), np.arange(8))).reshape(2, 64) * CELL + CELL / 2
    boxes = np.concatenate([centres, np.full((2, 64), CELL)]).astype(np.float32)[None]
    initial = [
        numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, np.float32), "grey"),
        numpy_helper.from_array(np.array([0, 1, 64], np.int64), "flat"),
        numpy_helper.from_array(boxes, "boxes"),
        numpy_helper.from_array(np.zeros((), np.float32), "zero"),
    ]
    nodes = [
        helper.make_node("Conv", ["images", "grey"], ["one"]),
        helper.make_node("AveragePool", ["one"], ["pooled"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Reshape", ["pooled", "flat"], ["scores"]),
        helper.make_node("Mul", ["scores", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "boxes"], ["places"]),
        helper.make_node("Concat", ["places", "scores"], ["output0"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", 5, 64])],
        initial,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return Artifact(
        format="onnx",
        precision="fp32",
        path=str(path),
        sha256=sha256_file(path),
        size_bytes=path.stat().st_size,
        input_shape=[-1, 3, SIDE, SIDE],
        export_s=0.1,
        source_sha256="cd" * 32,
        names=["square"],
        input=Input(SIDE, SIDE),
        output=Output(classes=1),
    )
