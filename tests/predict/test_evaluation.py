"""Any model file on any dataset: figures, the paired difference of two files, and thresholds by cost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from src import inference, runtime
from src.common.errors import UserError
from src.config.schema import DataConfig, RuntimeConfig
from src.evaluate.__main__ import run
from src.evaluate.options import EvaluateArgs
from src.predict.evaluation import renumbered, shared_classes
from src.predict.model import Opened
from src.records.schema import Artifact
from tests.conftest import Command
from tests.data.builders import picture

SIZE = (80, 48)
COUNTS = {"train": 2, "val": 6, "test": 5}


def dataset(folder: Path, artifact: Artifact, names: tuple[str, ...] = ("a", "b", "c")) -> Path:
    """Pictures whose objects are what the file itself is surest of: with them the file is right."""
    session = runtime.load("onnxruntime", artifact, threads=1)
    detector = inference.Detector(session, artifact, inference.Thresholds(conf=0.4))
    for offset, (split, count) in enumerate(COUNTS.items()):
        for i in range(count):
            path = picture(folder / "images" / split / f"{split}{i}.png", 100 * offset + i, SIZE)
            found = detector([detector.prepare(inference.load_image(str(path)))])[0]
            rows = [
                f"{c} {(x1 + x2) / 2 / SIZE[0]} {(y1 + y2) / 2 / SIZE[1]} {(x2 - x1) / SIZE[0]} {(y2 - y1) / SIZE[1]}"
                for (x1, y1, x2, y2), c in zip(found.boxes.tolist(), found.classes.tolist(), strict=True)
            ]
            label = folder / "labels" / split / f"{split}{i}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("\n".join(rows))
    content = {"names": list(names), **{split: f"images/{split}" for split in COUNTS}}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def own(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("own"), artifact)


def evaluated(files: list[str], data: Path, out: Path, **words: Any) -> dict[str, Any]:
    """Run, and what the JSON says."""
    cfg = DataConfig(name="yolo", kind="yolo", path=str(data))
    engines = RuntimeConfig("all", ["pytorch", "onnxruntime"])
    args = EvaluateArgs(
        artifacts=files, data=cfg, runtime=engines, out=str(out), outputs=str(out.parent / "o"), threads=1, **words
    )
    assert run(args) == 0
    document: dict[str, Any] = json.loads((out / "evaluation.json").read_text())
    return document


def test_a_file_that_finds_every_object_is_told_so(artifact: Artifact, own: Path, tmp_path: Path) -> None:
    document = evaluated([artifact.path], own, tmp_path / "out", production=0.4)
    record = document["files"][0]["evaluation"]
    assert [c["recall@production"] for c in record["per_class"]] == [1.0, 1.0, 1.0]
    assert record["figures"]["mAP50-95"] > 0.7
    assert record["figures"]["threshold@production"] == 0.4
    assert record["n_images"] == COUNTS["val"]
    assert {"recall@production", "AP50-95"} <= record["per_class"][0].keys()
    assert len(record["confusion_matrix"]) == 4  # with background
    assert (tmp_path / "out" / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_a_higher_lowest_score_leaves_out_what_is_below(artifact: Artifact, own: Path, tmp_path: Path) -> None:
    all_found = evaluated([artifact.path], own, tmp_path / "a")["files"][0]["evaluation"]
    few = evaluated([artifact.path], own, tmp_path / "b", conf=0.5, figures=False)["files"][0]["evaluation"]
    assert sum(c["detections"] for c in few["per_class"]) < sum(c["detections"] for c in all_found["per_class"])
    assert not (tmp_path / "b" / "curves.png").exists()


def test_tiles_reach_the_figures(artifact: Artifact, own: Path, tmp_path: Path) -> None:
    whole = evaluated([artifact.path], own, tmp_path / "a", figures=False)
    tiled = evaluated([artifact.path], own, tmp_path / "b", figures=False, tile=32)
    assert tiled["settings"]["tile"] == 32
    counts = [sum(c["detections"] for c in d["files"][0]["evaluation"]["per_class"]) for d in (whole, tiled)]
    assert counts[0] != counts[1]


def test_likely_label_errors_of_files_are_listed(artifact: Artifact, own: Path, tmp_path: Path) -> None:
    evaluated([artifact.path], own, tmp_path / "out", figures=False, suspects=5)
    found = json.loads((tmp_path / "out" / "suspects.json").read_text())
    assert found["images"] == COUNTS["val"]
    assert len(found["suspects"]) <= 5
    assert "stay hidden" in found["about"]
    assert (tmp_path / "out" / "suspects.html").is_file()


def test_a_file_against_itself_differs_by_nothing_and_a_worse_one_by_its_loss(
    artifact: Artifact, onnx: Artifact, own: Path, tmp_path: Path
) -> None:
    same = evaluated([artifact.path, artifact.path], own, tmp_path / "same")["differences"][0]
    assert (same["mAP50-95"], same["low"], same["high"]) == (0, 0, 0)
    worse = evaluated([artifact.path, onnx.path], own, tmp_path / "worse")
    first, other = (f["evaluation"]["figures"]["mAP50-95"] for f in worse["files"])
    assert worse["differences"][0]["mAP50-95"] == pytest.approx(other - first)
    assert worse["differences"][0]["low"] < other - first < worse["differences"][0]["high"]
    resampled = np.subtract(*[f["evaluation"]["resamples"] for f in reversed(worse["files"])])
    assert worse["differences"][0]["high"] - (other - first) >= 1.96 * float(resampled.std(ddof=1))


def test_thresholds_by_cost_are_chosen_on_val_and_confirmed_on_test(
    artifact: Artifact, own: Path, tmp_path: Path
) -> None:
    words: dict[str, Any] = {"figures": False}
    dear = evaluated([artifact.path], own, tmp_path / "m", miss=100.0, false_alarm=1.0, **words)["files"][0]["costs"]
    cheap = evaluated([artifact.path], own, tmp_path / "f", miss=1.0, false_alarm=100.0, **words)["files"][0]["costs"]
    assert (dear["chosen_on"], dear["confirmed_on"], dear["n_images"]) == ("val", "test", COUNTS["test"])
    assert dear["cost_per_class_chosen_on"] <= dear["cost_shared_chosen_on"]
    assert all(dear["thresholds"][name] <= cheap["thresholds"][name] for name in "abc")
    assert dear["missed_per_class"] <= cheap["missed_per_class"]
    assert dear["cost_per_class"] == 100 * dear["missed_per_class"] + dear["false_alarms_per_class"]


def test_classes_are_matched_by_name_where_the_model_knows_more(artifact: Artifact) -> None:
    opened = Opened(artifact, ["a", "b", "c"])
    classes, notes = shared_classes(opened, ["c"])
    assert classes == {2: 0}
    assert "by name" in notes[-1]
    found = inference.Detections(
        np.zeros((2, 4), np.float32), np.array([0.9, 0.8], np.float32), np.array([0, 2], np.int64)
    )
    kept = renumbered([found], classes)[0]
    assert kept.classes.tolist() == [0]
    assert kept.scores.tolist() == pytest.approx([0.8])
    with pytest.raises(UserError, match="names differ"):
        shared_classes(opened, ["x", "y"])


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ({"miss": 5.0}, "false_alarm"),
        ({"miss": 5.0, "false_alarm": 1.0, "confirm": "val"}, "confirmed"),
        ({"miss": -1.0, "false_alarm": 1.0}, "miss"),
        ({"conf": 2.0}, "conf"),
        ({"split": "all"}, "split"),
        ({"limit": 0}, "limit"),
        ({"tile": 8}, "tile"),
        ({"suspects": 0}, "suspects"),
        ({"overlap": 1.0}, "overlap"),
        ({"merge": "mean"}, "merge"),
    ],
)
def test_values_that_make_no_sense_are_refused(words: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=key):
        run(EvaluateArgs(artifacts="x.onnx", **words))


def test_the_command_line(artifact: Artifact, own: Path, tmp_path: Path, command: Command) -> None:
    words = ("data=yolo", f"data.path={own}", f"out={tmp_path}/out", f"outputs={tmp_path}/o", "threads=1")
    done = command("src.evaluate", f"artifacts={artifact.path}", "runtime=onnxruntime", *words)
    assert done.returncode == 0, done.stderr
    for text in ("95 % interval", "at the threshold in use", "by threshold", "recall in use", "background"):
        assert text in done.stdout, text
    done = command("src.evaluate", f"artifacts={tmp_path}/no.onnx", *words)
    assert done.returncode == 2
    assert "no.onnx" in done.stderr
    assert "remedy: artifacts=" in done.stderr, "the key of this command"


def test_files_of_the_same_name_are_told_apart(
    artifact: Artifact, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every trial has a best.pt: who compares two of them must see which is which."""
    copies = [tmp_path / trial / "weights" / "model.onnx" for trial in ("0000", "0001")]
    for copy in copies:
        copy.parent.mkdir(parents=True)
        shutil.copy(artifact.path, copy)
        shutil.copy(Path(artifact.path).parent / "manifest.json", copy.parent)
    evaluated([str(c) for c in copies], own, tmp_path / "out", figures=False, suspects=1, miss=2.0, false_alarm=1.0)
    said = capsys.readouterr().out
    for number, trial in (("1", "0000"), ("2", "0001")):
        assert f"{number}: {trial}/…/model.onnx: a miss costs" in said
    about = json.loads((tmp_path / "out" / "suspects.json").read_text())["about"]
    assert "From 0000/…/model.onnx, 0001/…/model.onnx" in about
