"""What an export lost is held against what its source is known to reach, whatever its own record says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.decide.load import load_sweep
from src.records.schema import ImageResamples
from src.records.store import save
from tests.report.factory import DATASET, deep_study, device, finalist, study, trial

Record = dict[str, Any]


def altered(path: Path, change: Callable[[Record], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def rows(record: Record, split: str, *formats: str) -> list[Record]:
    return [v for v in record["verifications"] if v["split"] == split and v["format"] in formats]


def refer(split: str, value: float | None, *formats: str) -> Callable[[Record], None]:
    """Puts `value` into the references of files on a split."""

    def change(record: Record) -> None:
        for row in rows(record, split, *formats):
            row["reference_map"] = value

    return change


def without_source(change: Callable[[Record], None]) -> Callable[[Record], None]:
    """The same where PyTorch was no runtime of the sweep: the checkpoint has no row of its own."""

    def both(record: Record) -> None:
        record["verifications"] = [v for v in record["verifications"] if v["format"] != "pytorch"]
        change(record)

    return both


def gate(name: str, of: str) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        rows(record, "val", of)[0]["gate"] = name

    return change


CASES: dict[str, tuple[str, Callable[[Record], None]]] = {
    "0 of an export": ("reference_map", refer("val", 0.0, "onnx")),
    "none of an export": ("reference_map", refer("val", None, "onnx")),
    "a little less": ("reference_map", refer("val", 0.565, "onnx")),
    "0 everywhere": ("reference_map", refer("val", 0.0, "onnx", "openvino", "pytorch")),
    "0 on test": ("reference_map", refer("test", 0.0, "onnx")),
    "0 without a row of the source": ("reference_map", without_source(refer("val", 0.0, "onnx"))),
    "0 on test without one": ("reference_map", without_source(refer("test", 0.0, "onnx"))),
    "an export that is its own reference": ("gate", gate("reference", "onnx")),
    "a source that is held against itself": ("gate", gate("pass", "pytorch")),
    "no gate at all": ("gate", gate("none", "onnx")),
}


@pytest.mark.parametrize("case", CASES)
def test_a_reference_that_its_source_contradicts_is_refused(case: str, tmp_path: Path) -> None:
    folder = study().write(tmp_path)
    path = sorted(folder.rglob("finalist.json"))[0]
    field, change = CASES[case]
    altered(path, change)
    with pytest.raises(UserError, match=field) as refused:
        load_sweep(folder)
    assert str(path) in refused.value.what


def test_a_checkpoint_may_have_no_row_of_its_own(tmp_path: Path) -> None:
    folder = study().write(tmp_path)
    for path in folder.rglob("finalist.json"):
        altered(path, without_source(lambda record: None))
    load_sweep(folder)


def test_another_machine_may_judge_a_checkpoint_a_little_differently(tmp_path: Path) -> None:
    folder = study().write(tmp_path)
    path = sorted(folder.rglob("finalist.json"))[0]
    altered(
        path.with_name("record.json"),
        lambda r: r["metrics"].update({"val/mAP50-95": r["metrics"]["val/mAP50-95"] - 0.003}),
    )
    load_sweep(folder)


def test_a_training_that_its_checkpoint_contradicts_is_refused(tmp_path: Path) -> None:
    folder = study().write(tmp_path)
    path = sorted(folder.rglob("finalist.json"))[0]
    altered(path.with_name("record.json"), lambda r: r["metrics"].update({"val/mAP50-95": 0.99}))
    with pytest.raises(UserError, match=r"in the record of its training, which is 0\.99"):
        load_sweep(folder)


def test_an_accuracy_that_its_evaluation_contradicts_is_refused(tmp_path: Path) -> None:
    folder = deep_study().write(tmp_path)
    path = next(folder.rglob("evaluation/val-*onnx*.json"))
    altered(path, lambda r: r["figures"].update({"mAP50-95": r["figures"]["mAP50-95"] - 0.05}))
    with pytest.raises(UserError, match="is not what its evaluation in depth says"):
        load_sweep(folder)


def test_a_device_that_the_sweep_contradicts_is_refused(tmp_path: Path) -> None:
    sweep = study()
    there = device("pi5", sweep.finalists)
    folder = sweep.write(tmp_path)
    save(folder / "devices" / "pi5" / "record.json", there)
    path = folder / "devices" / "pi5" / "record.json"
    images = DATASET.split_sizes["val"]

    def change(record: Record, judged: float, reference: float) -> None:
        row = next(v for v in record["verifications"] if v["format"] == "onnx")
        row["extra"]["images"], row["reference_map"] = judged, reference

    altered(path, lambda r: change(r, images / 2, 0.3))  # of some of the images it may be anything
    load_sweep(folder)
    altered(path, lambda r: change(r, images, 0.3))
    with pytest.raises(UserError, match="of the checkpoint in the sweep"):
        load_sweep(folder)


def test_files_of_one_network_before_its_training_have_one_reference(tmp_path: Path) -> None:
    sweep = study()
    rows = [v for v in finalist(trial(0)).verifications if v.format != "pytorch" and v.split == "val"]
    start = [replace(v, reference_map=r) for v, r in zip(rows, (0.5, 0.0), strict=False)]
    sweep.finalists[0] = replace(sweep.finalists[0], post_training=start)
    with pytest.raises(UserError, match=r"post_training\[1\]"):
        load_sweep(sweep.write(tmp_path))


def relabelled(record: Record) -> None:
    record["artifacts"][0]["precision"] = "fp16"


def test_a_figure_of_another_format_than_its_file_is_refused(tmp_path: Path) -> None:
    folder = study().write(tmp_path)
    altered(sorted(folder.rglob("finalist.json"))[0], relabelled)
    with pytest.raises(UserError, match=r"verifications\[0\] is of a file that is"):
        load_sweep(folder)


@pytest.mark.parametrize(("key", "value"), [("model", "x"), ("imgsz", 640), ("lr", 0.5)])
def test_trials_of_one_configuration_that_differ_in_more_than_their_seed_are_refused(
    key: str, value: object, tmp_path: Path
) -> None:
    folder = study().write(tmp_path)
    altered(folder / "trials/0001/record.json", lambda r: r.update({key: value}))
    with pytest.raises(UserError, match=f"{key} differs from that of trial 0, of the same configuration"):
        load_sweep(folder)


def test_a_score_that_its_boxes_contradict_is_refused(tmp_path: Path) -> None:
    """One lucky seed more, and another model would ship."""
    folder = study().write(tmp_path)
    score = trial_of(folder, 1)["metrics"]["val/mAP50-95"]
    made = ImageResamples("friday", 1, "val", DATASET.fingerprint, 120, 120, 119, 1, score, 0.01, [score, score])
    save(folder / "trials/0001/images.json", made)
    load_sweep(folder)
    altered(folder / "trials/0001/record.json", lambda r: r["metrics"].update({"val/mAP50-95": 0.9999}))
    with pytest.raises(UserError, match="is not what its boxes give"):
        load_sweep(folder)


def trial_of(folder: Path, number: int) -> Record:
    record: Record = json.loads((folder / f"trials/{number:04d}/record.json").read_text())
    return record
