"""The first two levels of verification on predictions whose agreement is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from src.benchmark import measure, predict, verify
from src.config.schema import BenchmarkConfig
from src.records.schema import Artifact


def _save(path: Path, boxes: list[list[float]], scores: list[float], classes: list[int], images: list[int]) -> Path:
    np.savez(
        path,
        image_index=np.array(images, np.int64),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        classes=np.array(classes, np.int64),
        n_images=np.int64(2),
        digests=np.zeros((2, 2)),
        raw=np.zeros((0,), np.float32),
    )
    return path


def test_agreement_counts_what_is_found_again(tmp_path: Path) -> None:
    a = _save(
        tmp_path / "a.npz",
        [[0, 0, 10, 10], [20, 20, 40, 40], [0, 0, 10, 10], [5, 5, 9, 9]],
        [0.9, 0.8, 0.7, 0.1],
        [0, 1, 0, 0],
        [0, 0, 1, 1],
    )
    b = _save(
        tmp_path / "b.npz",
        [[0, 0, 10, 10.2], [20, 20, 40, 40], [50, 50, 60, 60]],
        [0.8, 0.8, 0.9],
        [0, 0, 0],
        [0, 0, 1],
    )
    result = verify.agreement(a, b)
    assert result["matched"] == pytest.approx(1 / 3)  # the second has another class, the third is gone
    assert result["extra"] == pytest.approx(2 / 3)
    assert result["score_shift"] == pytest.approx(0.1, abs=1e-6)
    assert verify.agreement(a, a) == {
        "matched": 1.0,
        "extra": 0.0,
        "score_shift": 0.0,
        "mean_iou": 1.0,
        "compared": 3.0,
        "unsure": 0.0,
    }


def test_no_detections_agree_with_none(tmp_path: Path) -> None:
    empty = _save(tmp_path / "e.npz", [], [], [], [])
    assert verify.agreement(empty, empty)["matched"] == 1.0


def test_exported_files_agree_with_their_source(
    onnx: Artifact, pytorch: Artifact, images: list[str], tmp_path: Path
) -> None:
    a = predict(pytorch, "pytorch", images, threads=1, out=tmp_path / "a.npz")
    b = predict(onnx, "onnxruntime", images, threads=1, out=tmp_path / "b.npz")
    c = predict(onnx, "null", images, threads=1, out=tmp_path / "c.npz")
    result = verify.agreement(a, b)
    assert result["raw_score_error"] < 1e-4
    assert result["raw_box_error_px"] < 1e-2
    assert result["matched"] > 0.97  # noise makes near ties, which suppression decides either way
    nothing = verify.agreement(a, c)
    assert nothing["matched"] == 0.0
    assert "raw_score_error" not in nothing  # another layout


def test_timed_outputs_are_those_of_the_accuracy_pass(onnx: Artifact, images: list[str], tmp_path: Path) -> None:
    cfg = BenchmarkConfig("test", 2, 0.0, 10, 5, 1, [1])
    found, _ = measure([(onnx, "onnxruntime")], cfg, images, threads=1, out_dir=tmp_path, base=tmp_path)
    samples = tmp_path / found[0].samples_file
    same = predict(onnx, "onnxruntime", images, threads=1, out=tmp_path / "same.npz")
    assert verify.timed_outputs_match(samples, same)
    content = dict(np.load(same))
    content["digests"][2, 0] *= 1.01
    np.savez(tmp_path / "other.npz", **content)
    assert not verify.timed_outputs_match(samples, tmp_path / "other.npz")


def test_lists_of_earlier_files_have_no_raw_error(tmp_path: Path) -> None:
    """One class id that changes is no error of 40: rows of [box, score, class] come in the order of the scores."""
    listed = np.random.default_rng(0).random((2, 300, 6)).astype(np.float32)
    listed[..., 5] = 3
    other = listed.copy()
    other[0, 7, 5] = 43
    for name, raw in (("a", listed), ("b", other)):
        np.savez(tmp_path / f"{name}.npz", raw=raw)
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        assert verify.raw_error(a, b) == {}


def test_raw_columns_are_compared_by_boxes_and_scores(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).random((2, 7, 84)).astype(np.float32)
    raw[:, 4:] *= 0.2
    raw[0, 5, 10] = 0.9
    other = raw.copy()
    other[0, 2, 10] += 3  # of the only box that is sure
    other[0, 1, 11] += 50
    other[1, 6, 3] += 0.25
    for name, x in (("a", raw), ("b", other)):
        np.savez(tmp_path / f"{name}.npz", raw=x)
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        found = verify.raw_error(a, b)
    assert found["raw_score_error"] == pytest.approx(0.25)
    assert found["raw_box_error_px"] == pytest.approx(3, abs=1e-5)


def queries_of(raw: NDArray[np.float64], path: Path) -> Path:
    """A file of raw outputs of queries."""
    np.savez(path, raw=raw, queries=np.bool_(True))
    return path


def raw_queries() -> NDArray[np.float64]:
    """Two images, boxes in 160 px, three classes, fifty queries of which five are sure; two of these are twins."""
    rng = np.random.default_rng(0)
    raw = np.concatenate([rng.random((2, 4, 50)) * 160, rng.random((2, 3, 50)) * 0.2], axis=1)
    raw[:, 5, [3, 9, 20, 21, 40]] = 0.9
    raw[:, :, 21] = raw[:, :, 20]
    return raw


def error_of(x: NDArray[np.float64], y: NDArray[np.float64], folder: Path) -> dict[str, float]:
    with np.load(queries_of(x, folder / "x.npz")) as a, np.load(queries_of(y, folder / "y.npz")) as b:
        return verify.raw_error(a, b)


def test_queries_in_another_order_are_the_same_answer(tmp_path: Path) -> None:
    raw = raw_queries()
    order = np.random.default_rng(1).permutation(50)
    assert (order != np.arange(50)).sum() > 40
    assert set(error_of(raw, raw[:, :, order], tmp_path).values()) == {0.0}
    other = raw[:, :, order].copy()
    other[:, :4, order == 7] += 100  # not sure in either: another pick at the edge of the choice
    assert error_of(raw, other, tmp_path)["raw_box_error_px"] == 0.0


def test_an_error_of_a_sure_query_is_seen_in_any_order(tmp_path: Path) -> None:
    raw = raw_queries()
    order = np.random.default_rng(1).permutation(50)
    moved, other_class, gone, added = (raw[:, :, order].copy() for _ in range(4))
    moved[1, 2, order == 9] += 4
    other_class[0, 4, order == 3], other_class[0, 5, order == 3] = 0.9, 0.1
    gone[0, 5, order == 21] = 0.0  # one of the twins
    added[0, 6, order == 30] = 0.8
    assert error_of(raw, moved, tmp_path)["raw_box_error_px"] == pytest.approx(4)
    assert error_of(raw, other_class, tmp_path)["raw_score_error"] > 0.6
    assert error_of(raw, gone, tmp_path)["raw_score_error"] > 0.6
    assert error_of(raw, added, tmp_path)["raw_score_error"] > 0.5


def unsure(path: Path, boxes: NDArray[np.float64], scores: NDArray[np.float64], classes: NDArray[np.int64]) -> Path:
    """Boxes of two images, as a network saves them that has barely begun to learn."""
    return _save(
        path, [*boxes.tolist(), *boxes.tolist()], [*scores, *scores], [*classes, *classes], [0] * 40 + [1] * 40
    )


def test_a_file_of_a_network_that_is_sure_of_nothing_is_held_against_its_best_boxes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corners = rng.random((40, 2)) * 100
    boxes = np.concatenate([corners, corners + 10 + rng.random((40, 2)) * 20], axis=1)
    scores, classes = np.linspace(0.02, 0.01, 40), rng.integers(0, 3, 40)
    source = unsure(tmp_path / "source.npz", boxes, scores, classes)

    # Ties: the file ranks them otherwise, and picks others for the last places.
    tied = scores + rng.normal(0, 1e-3, 40)
    order = np.argsort(-tied)
    elsewhere = boxes.copy()
    elsewhere[[2, 7, 30]] += 60
    faithful = unsure(tmp_path / "faithful.npz", elsewhere[order], tied[order], classes[order])
    found = verify.agreement(source, faithful)
    assert (found["unsure"], found["compared"]) == (1.0, 20.0)
    assert found["matched"] == pytest.approx(0.8)
    assert verify.answers_alike(found, "int8")

    for name, changed in {
        "moved": unsure(tmp_path / "moved.npz", boxes + np.array([8.0, 0, 8, 0]), scores, classes),
        "classes": unsure(tmp_path / "classes.npz", boxes, scores, (classes + 1) % 3),
        "nothing": _save(tmp_path / "nothing.npz", [], [], [], []),
    }.items():
        found = verify.agreement(source, changed)
        assert found["matched"] < 0.2, name
        assert not verify.answers_alike(found, "int8"), name
    shouting = unsure(tmp_path / "shouting.npz", *[np.concatenate([x[20:], x[:20]]) for x in (boxes, scores, classes)])
    loud = unsure(tmp_path / "loud.npz", elsewhere[::-1] + 30, scores[::-1] + 0.5, classes)
    assert verify.answers_alike(verify.agreement(source, shouting), "int8"), "the order of rows says nothing"
    assert not verify.answers_alike(verify.agreement(source, loud), "int8")


def test_boxes_without_width_are_found_again(tmp_path: Path) -> None:
    """As FCOS gives them after one epoch."""
    thin, other = [112.0, 102, 112, 120], [96.0, 68, 96, 117]
    a = _save(tmp_path / "a.npz", [thin, other], [0.08, 0.07], [0, 0], [0, 0])
    b = _save(tmp_path / "b.npz", [thin, [90.0, 68, 90, 117]], [0.08, 0.07], [0, 0], [0, 0])
    assert (verify.agreement(a, a)["matched"], verify.agreement(a, b)["matched"]) == (1.0, 0.5)


def test_the_typical_query_tells_a_tie_from_another_network(tmp_path: Path) -> None:
    raw = raw_queries()
    raw[:, 4:] *= 0.2  # none is sure
    tied, moved = raw.copy(), raw.copy()
    best = np.argsort(-raw[:, 4:].max(axis=1), axis=1)[:, :3]
    for image in range(2):
        tied[image, :4, best[image]] += 30
    moved[:, :4] += 3
    alike = {"matched": 1.0, "extra": 0.0, "unsure": 1.0}
    assert verify.answers_alike(alike | error_of(raw, tied, tmp_path), "fp32")
    assert not verify.answers_alike(alike | error_of(raw, moved, tmp_path), "fp32")
    assert verify.answers_alike(alike | error_of(raw, moved, tmp_path), "int8"), "judged by its boxes alone"


@pytest.mark.parametrize(
    ("value", "reference", "matched", "gate"),
    [(0.0, 0.0, 0.9, "pass"), (0.0, 0.0, 0.2, "fail"), (0.5, 0.5, 0.2, "pass"), (0.48, 0.5, 0.9, "warn")],
)
def test_a_file_is_judged_by_its_map_and_where_there_is_none_by_its_boxes(
    value: float, reference: float, matched: float, gate: str
) -> None:
    found = {"matched": matched, "extra": 0.0, "unsure": 1.0}
    assert verify.gate("int8", value, reference, found, max_loss=0.01, warn_below=0.95) == gate
