"""Any file on any source: the boxes are those of the shared detection path, the results are whole or not there."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from threading import current_thread
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from src import inference, runtime
from src.common import encryption
from src.common.errors import UserError
from src.inference.tiles import TiledDetector
from src.predict.__main__ import run
from src.predict.engine import Predictor
from src.predict.model import open_model
from src.predict.options import PredictArgs
from src.predict.sources import Notes, find_files, read_picture
from src.records.model_io import Output
from src.records.schema import Artifact
from src.records.tiling import Tiling
from tests.conftest import Command
from tests.predict import rtsp
from tests.predict.conftest import FRAMES, exported

CONF = 0.3


def predict(artifact: Artifact | Path | str, source: Path | str, out: Path, **words: Any) -> list[dict[str, Any]]:
    """Run, and the rows of the JSON."""
    model = artifact.path if isinstance(artifact, Artifact) else str(artifact)
    defaults: dict[str, Any] = {"threads": 1, "conf": CONF}
    assert run(PredictArgs(model=model, source=str(source), out=str(out), **(defaults | words))) == 0
    rows: list[dict[str, Any]] = json.loads((out / "predictions.json").read_text())
    return rows


def expected(artifact: Artifact, path: Path) -> inference.Detections:
    """Detections of the shared path, one picture at a time."""
    session = runtime.load("onnxruntime", artifact, threads=1)
    detector = inference.Detector(session, artifact, inference.Thresholds(conf=CONF, multi_label=False))
    return detector([detector.prepare(inference.load_image(path))])[0]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_folder_gives_the_boxes_of_the_shared_path(
    artifact: Artifact, pictures: Path, tmp_path: Path, batch: int
) -> None:
    rows = predict(artifact, pictures, tmp_path / "out", batch=batch)
    found = expected(artifact, pictures / "3.png")
    mine = [row for row in rows if row["file_name"] == "3"]
    assert len(mine) == len(found.scores) > 0
    assert [row["score"] for row in mine] == pytest.approx(found.scores.tolist(), abs=1e-4)
    corners = [(x, y, x + w, y + h) for x, y, w, h in (row["bbox"] for row in mine)]
    assert np.allclose(corners, found.boxes, atol=0.02)
    assert {row["image_id"] for row in rows} <= set(range(6))


@pytest.mark.parametrize("target", ["pytorch/fp32", "torchscript/fp32"])
def test_other_formats_find_the_same(
    artifact: Artifact, pictures: Path, tmp_path: Path, target: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = exported(tmp_path_factory, target)
    imgsz = {"imgsz": 64} if other.format == "pytorch" else {}
    a = predict(artifact, pictures / "0.png", tmp_path / "a")
    b = predict(other, pictures / "0.png", tmp_path / "b", **imgsz)
    assert len(a) == len(b) > 0
    # Each has its counterpart; the order of scores that differ by rounding alone is nobody's promise.
    for x, y in ((a, b), (b, a)):
        for row in x:
            same = [r for r in y if r["category_id"] == row["category_id"] and abs(r["score"] - row["score"]) < 1e-3]
            assert any(np.allclose(r["bbox"], row["bbox"], atol=0.5) for r in same)


def test_a_video_is_predicted_frame_by_frame_and_drawn(artifact: Artifact, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = predict(artifact, video, out, save=["json", "csv", "txt", "video", "pictures"], batch=5)
    assert {r["file_name"] for r in rows} <= {f"clip_{i:06d}" for i in range(FRAMES)}
    assert len(list((out / "labels").iterdir())) == len(list((out / "pictures").iterdir())) == FRAMES
    with open(out / "predictions.csv", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert len(table) == len(rows)
    assert {row["name"] for row in table} <= {"a", "b", "c"}, "names come with the file"
    assert float(table[-1]["time_s"]) == pytest.approx(int(table[-1]["frame"]) / 10)
    drawn = cv2.VideoCapture(str(out / "clip.mp4"))
    assert int(drawn.get(cv2.CAP_PROP_FRAME_COUNT)) == FRAMES
    line = (out / "labels" / "clip_000000.txt").read_text().splitlines()[0].split()
    assert len(line) == 6
    assert all(0 <= float(v) <= 1 for v in line[1:])
    facts = json.loads((out / "summary.json").read_text())
    assert facts["frames"] == FRAMES
    assert facts["boxes"] == len(rows)


def test_calls_at_once_write_what_one_after_the_other_does(
    artifact: Artifact, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.predict.options.cores", lambda: 4)
    kinds = ["json", "csv", "txt"]
    predict(artifact, video, tmp_path / "one", save=kinds)
    names = set()

    prepare = Predictor.prepare

    def noted(*args: Any, **words: Any) -> inference.Prepared:
        names.add(current_thread().name)
        return prepare(*args, **words)

    monkeypatch.setattr(Predictor, "prepare", noted)
    predict(artifact, video, tmp_path / "four", save=kinds, threads=4, runtime="onnxruntime")
    pool = names - {"MainThread"}  # the model's first call, on a blank picture, is made here
    assert 1 < len(pool) <= 4
    for name in ("predictions.json", "predictions.csv", *(f"labels/clip_{i:06d}.txt" for i in range(FRAMES))):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "four" / name).read_bytes()


def test_the_json_is_what_coco_evaluation_reads(artifact: Artifact, pictures: Path, tmp_path: Path) -> None:
    coco = pytest.importorskip("faster_coco_eval")
    rows = predict(artifact, pictures, tmp_path / "out")
    ground_truth = {
        "images": [{"id": i, "width": 80, "height": 48, "file_name": f"{i}.png"} for i in range(6)],
        "categories": [{"id": i, "name": str(i)} for i in range(3)],
        "annotations": [
            {**row, "id": n + 1, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0} for n, row in enumerate(rows)
        ],
    }
    reference = coco.COCO(ground_truth)
    judge = coco.COCOeval_faster(reference, reference.loadRes(str(tmp_path / "out" / "predictions.json")), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    assert judge.stats[0] > 0.99, "predictions judged against themselves"


def test_a_live_stream_is_predicted_until_it_is_lost(artifact: Artifact, tmp_path: Path) -> None:
    with rtsp.Camera(frames=20, connections=2) as camera:
        words: dict[str, Any] = {"queue": 100, "attempts": 1, "backoff_s": 0.05, "save": ["json", "txt", "video"]}
        predict(artifact, camera.address, tmp_path / "out", **words)
    facts = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (facts["read"], facts["reconnects"], facts["frames"] + facts["dropped"]) == (40, 1, 40)
    assert "lost" in facts["ended"]
    assert len(list((tmp_path / "out" / "labels").iterdir())) == facts["frames"]
    assert int(cv2.VideoCapture(str(tmp_path / "out" / "stream.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)) == facts["frames"]


def test_a_stream_ends_after_the_frames_asked_for(artifact: Artifact, tmp_path: Path) -> None:
    with rtsp.Camera(frames=10**6) as camera:
        predict(artifact, camera.address, tmp_path / "out", frames=5)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["frames"] == 5


@pytest.mark.parametrize("threads", [1, 4])
def test_a_video_that_breaks_off_leaves_nothing_half_written(
    artifact: Artifact,
    video: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
) -> None:
    monkeypatch.setattr("src.predict.options.cores", lambda: 4)
    content = video.read_bytes()
    source = tmp_path / "in" / "torn.avi"
    source.parent.mkdir()
    source.write_bytes(content[: len(content) // 4])
    with pytest.raises(UserError, match="video can't be"):
        predict(artifact, source.parent, tmp_path / "out", save=["json", "csv", "video"], threads=threads)
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    source.write_bytes(content[: len(content) * 3 // 4])
    predict(artifact, source.parent, tmp_path / "out", threads=threads)
    assert f"of {FRAMES} frames" in caplog.text, "what is left is predicted, and the loss is told"


def test_every_nth_frame(artifact: Artifact, video: Path, tmp_path: Path) -> None:
    rows = predict(artifact, video, tmp_path / "out", every=5)
    assert {r["file_name"] for r in rows} <= {"clip_000000", "clip_000005", "clip_000010"}


def test_class_filter_and_suppression_change_what_is_found(artifact: Artifact, pictures: Path, tmp_path: Path) -> None:
    source = pictures / "0.png"
    plain = predict(artifact, source, tmp_path / "plain", iou=0.3)
    only = predict(artifact, source, tmp_path / "only", iou=0.3, classes=["b"])
    assert [r for r in plain if r["category_id"] == 1] == only
    counts = {"agnostic": len(predict(artifact, source, tmp_path / "agnostic", iou=0.3, nms="agnostic"))}
    counts["none"] = len(predict(artifact, source, tmp_path / "none", nms="none"))  # looks at no overlap
    assert counts["agnostic"] < len(plain) < counts["none"]
    hard = predict(artifact, source, tmp_path / "hard", iou=0.3, conf=0.02)
    soft = predict(artifact, source, tmp_path / "soft", nms="soft", conf=0.02)
    removed = {tuple(r["bbox"]) for r in soft} - {tuple(r["bbox"]) for r in hard}
    assert removed, "soft suppression keeps overlapping boxes at a lower score"
    assert max(r["score"] for r in soft) == max(r["score"] for r in hard)


def mosaic(pictures: Path, path: Path) -> Path:
    """A picture of four: 160 x 96 px, for a model of 64."""
    rows = [np.concatenate([cv2.imread(str(pictures / f"{2 * y + x}.png")) for x in range(2)], axis=1) for y in (0, 1)]
    cv2.imwrite(str(path), np.concatenate(rows))
    return path


def test_tiles_find_what_the_shared_path_finds_of_them(artifact: Artifact, pictures: Path, tmp_path: Path) -> None:
    large = mosaic(pictures, tmp_path / "large.png")
    detector = inference.Detector(
        runtime.load("onnxruntime", artifact, threads=1),
        artifact,
        inference.Thresholds(conf=CONF, multi_label=False),
    )
    found = TiledDetector(detector, Tiling(64))(inference.load_image(large))
    rows = predict(artifact, large, tmp_path / "tiles", tile=64, batch=3)
    assert [row["score"] for row in rows] == pytest.approx(found.scores.tolist(), abs=1e-4)
    assert len(rows) > len(predict(artifact, large, tmp_path / "whole"))
    assert json.loads((tmp_path / "tiles" / "summary.json").read_text())["tiles"].startswith("64 px")
    assert "tiles" not in json.loads((tmp_path / "whole" / "summary.json").read_text())


def test_suppression_and_classes_hold_over_all_tiles(artifact: Artifact, pictures: Path, tmp_path: Path) -> None:
    large = mosaic(pictures, tmp_path / "large.png")
    words: dict[str, Any] = {"tile": 48, "overlap": 0.5, "iou": 0.3}
    found = {n: predict(artifact, large, tmp_path / n, nms=n, **words) for n in ("class", "agnostic", "none")}
    assert len(found["agnostic"]) < len(found["class"]) < len(found["none"])
    only = predict(artifact, large, tmp_path / "only", classes=["b"], **words)
    assert [r for r in found["class"] if r["category_id"] == 1] == only
    smaller = predict(artifact, large, tmp_path / "smaller", merge="smaller", **words)
    assert len(smaller) < len(found["class"]), "what a tile's border cut goes where a surer box holds it"


def test_nothing_found_is_an_empty_list(artifact: Artifact, pictures: Path, tmp_path: Path) -> None:
    assert predict(artifact, pictures, tmp_path / "out", conf=1.0) == []


def test_globs_and_names(pictures: Path, tmp_path: Path) -> None:
    assert [name for name, _ in find_files(f"{pictures}/[0-2].png")] == ["0", "1", "2"]
    for name in ("a/x.png", "b/x.png", "b/x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(pictures / "0.png", tmp_path / name)
    assert [name for name, _ in find_files(str(tmp_path))] == ["a/x", "b/x_jpg", "b/x_png"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"source": "/no/such"}, "does not exist"),
        ({"source": "BROKEN/x.mp4"}, "can't be opened"),
        ({"source": "BROKEN/x.jpg"}, "can't be read|not a picture"),
        ({"source": "BROKEN/x.pdf"}, "neither"),
        ({"source": "rtsp://127.0.0.1:9/x"}, "can't be opened"),
        ({"source": "97"}, "can't be opened"),
        ({"model": "/no/such.onnx"}, "does not exist"),
        ({"model": "BROKEN/x.onnx"}, "no onnx model"),
        ({"model": "BROKEN/x.tflite"}, "no litert model"),
        ({"model": "BROKEN/x.pdf"}, "no known format"),
        ({"runtime": "abacus"}, "unknown runtime"),
        ({"runtime": "litert"}, "does not run"),
        ({"classes": ["zebra"]}, "does not have"),
        ({"nms": "hard"}, "nms"),
        ({"save": ["pdf"]}, "save"),
        ({"conf": 2.0}, "conf"),
        ({"imgsz": 128}, "64 px"),
        ({"threads": 4096}, "threads"),
        ({"out": "BROKEN"}, "written over"),
        ({"tile": 8}, "tile"),
        ({"tile": 64, "overlap": 1.5}, "overlap"),
        ({"tile": 64, "merge": "mean"}, "merge"),
        ({"tile": 64, "merge": "smaller", "nms": "none"}, "merge=smaller"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_and_nothing_is_left(
    artifact: Artifact, pictures: Path, tmp_path: Path, words: dict[str, Any], says: str
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("x.mp4", "x.jpg", "x.pdf", "x.onnx", "x.tflite"):
        (broken / name).write_bytes(b"this is nothing at all" * 9)
    words = {k: v.replace("BROKEN", str(broken)) if isinstance(v, str) else v for k, v in words.items()}
    args: dict[str, Any] = {"model": artifact.path, "source": str(pictures), "out": str(tmp_path / "out"), **words}
    with pytest.raises(UserError, match=says):
        run(PredictArgs(**args))
    assert not (tmp_path / "out").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken"]


def test_a_picture_that_breaks_in_the_middle_leaves_nothing_half_written(
    artifact: Artifact, pictures: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    shutil.copytree(pictures, source)
    (source / "4.png").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"4\.png"):
        predict(artifact, source, tmp_path / "out", save=["json", "csv", "txt", "pictures"])
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_changed_file_is_not_the_one_of_its_manifest(artifact: Artifact, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(Path(artifact.path).parent, copy)
    assert open_model(copy, imgsz=None, names=None, trust=False).names == ["a", "b", "c"]
    (copy / "model.onnx").write_bytes(b"x")
    with pytest.raises(UserError, match="not the file"):
        open_model(copy, imgsz=None, names=None, trust=False)


def test_a_file_of_another_maker_is_read_by_what_it_tells(artifact: Artifact, pictures: Path, tmp_path: Path) -> None:
    own = predict(artifact, pictures, tmp_path / "a")
    stray = tmp_path / "stray.onnx"
    shutil.copy(artifact.path, stray)
    assert predict(stray, pictures, tmp_path / "b") == own
    opened = open_model(stray, imgsz=None, names=None, trust=False)
    assert (opened.artifact.output, opened.names) == (Output(classes=3, task="detect"), ["a", "b", "c"])
    model = onnx.load(str(stray))
    onnx.helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, "end2end": "True"})
    onnx.save(model, str(stray))
    with pytest.raises(UserError, match=r"listed, but its output \[-1, 7, 84\] has 84 numbers"):
        open_model(stray, imgsz=None, names=None, trust=False)


def test_encrypted_pictures_give_the_same_boxes(
    artifact: Artifact, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = os.urandom(32)
    monkeypatch.setenv(encryption.VARIABLE, key.hex())
    encryption.encrypt_folder(pictures, tmp_path / "secret")
    plain = predict(artifact, pictures, tmp_path / "a")
    assert predict(artifact, tmp_path / "secret", tmp_path / "b") == plain
    monkeypatch.setenv(encryption.VARIABLE, os.urandom(32).hex())
    with pytest.raises(UserError, match="another key"):
        predict(artifact, tmp_path / "secret", tmp_path / "c")
    monkeypatch.setenv(encryption.VARIABLE, "abc")
    with pytest.raises(UserError, match="32 bytes") as caught:
        predict(artifact, tmp_path / "secret", tmp_path / "d")
    assert "abc" not in str(caught.value)
    content = (tmp_path / "secret" / "0.png").read_bytes()
    with pytest.raises(UserError, match="another key"):
        encryption.decrypt(content[:-1] + bytes([content[-1] ^ 1]), key)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model=/no/such.pt", "source=/no/such[1]=x.png"], "/no/such[1]=x.png"),
        (["model=x.pt"], "source is not set"),
        (["source=x", "model=x", "nonsense=1"], "nonsense"),
        (["source=x", "model=x", "conf=high"], "conf"),
    ],
    ids=" ".join,
)
def test_the_command_ends_in_2_and_says_why(command: Command, words: list[str], says: str) -> None:
    done = command("src.predict", *words)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_predicts(command: Command, artifact: Artifact, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "it's here"
    words = [f"model={artifact.path}", f"source={pictures}/[0-2].png", f"out={out}", "runtime=onnxruntime", "threads=1"]
    done = command("src.predict", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "summary.json").read_text())["frames"] == 3
    assert "results" in done.stdout


def test_nothing_of_a_folder_is_left_out_without_a_word(
    artifact: Artifact, pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from PIL import Image

    source = tmp_path / "in"
    (source / ".cache").mkdir(parents=True)
    image = Image.open(pictures / "0.png").convert("RGB")
    kinds = ("avif", "jp2", "JFIF", "gif", "TIF", "webp", "mpo", "ppm")
    formats = {"JFIF": "jpeg", "TIF": "tiff", "jp2": "jpeg2000"}
    for kind in kinds:
        image.save(source / f"{kind.lower()}-1.{kind}", format=formats.get(kind, kind))
    for name in ("._a.jpg", ".cache/b.png", "notes.txt", "c.heic"):
        (source / name).write_bytes(b"nothing")
    (source / "folder.png").mkdir()
    (source / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(source / "pipe.jpg")
    predict(artifact, source, tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert facts["frames"] == len(kinds)
    assert facts["left_out"] == {
        "hidden": {"count": 2, "names": ["._a.jpg", ".cache/b.png"]},
        "no picture or video": {"count": 1, "names": ["notes.txt"]},
        "no regular file": {"count": 3, "names": ["folder.png", "gone.jpg", "pipe.jpg"]},
        "pictures that can't be decoded here": {"count": 1, "names": ["c.heic"]},
    }
    assert "c.heic" in caplog.text
    for name in ("c.heic", "notes.txt"):
        alone = tmp_path / name / "in"
        alone.mkdir(parents=True)
        shutil.copy(source / name, alone)
        with pytest.raises(UserError, match=name):
            find_files(str(alone))


@pytest.mark.parametrize(("bits", "told"), [(12, "12 of 16 bits"), (10, "10 of 16 bits"), (16, "")])
def test_pictures_of_sixteen_bits_keep_their_range(bits: int, told: str, pictures: Path, tmp_path: Path) -> None:
    plain = cv2.imread(str(pictures / "0.png"))
    assert plain is not None
    plain[0, 0] = 255
    deep = (plain.astype(np.uint16) << (bits - 8)) + (1 << (bits - 8)) - 1
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    notes = Notes()
    assert np.array_equal(read_picture(tmp_path / "deep.png", notes), plain)
    assert list(notes.depths) == [f"{told} in use, taken for the whole range"] * bool(told)
    cv2.imwrite(str(tmp_path / "float.tiff"), plain.astype(np.float32))
    with pytest.raises(UserError, match="float32"):
        read_picture(tmp_path / "float.tiff")


def test_a_fixed_batch_is_filled_up_with_the_last_pictures(artifact: Artifact, pictures: Path, tmp_path: Path) -> None:
    own = predict(artifact, pictures, tmp_path / "a")
    model = onnx.load(artifact.path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, str(tmp_path / "four.onnx"))
    assert predict(tmp_path / "four.onnx", pictures, tmp_path / "b") == own


def test_names_are_those_of_the_file_as_written(artifact: Artifact, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: {0: no, 1: 007, 2: 安全帽}\n", encoding="utf-8")
    words = {"names": str(tmp_path / "data.yaml"), "save": ["csv", "json", "pictures"]}
    predict(artifact, pictures / "0.png", tmp_path / "out", **words)
    with open(tmp_path / "out" / "predictions.csv", newline="", encoding="utf-8") as stream:
        assert {row["name"] for row in csv.DictReader(stream)} == {"no", "007", "安全帽"}


def test_another_file_beside_a_manifest_is_not_taken_for_it(artifact: Artifact, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(Path(artifact.path).parent, copy)
    shutil.copy(copy / "model.onnx", copy / "other.onnx")
    with pytest.raises(UserError, match="not the file"):
        open_model(copy / "other.onnx", imgsz=None, names=None, trust=False)
