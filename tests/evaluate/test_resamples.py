"""Every trial's resamples: paired over a sweep, made again for old sweeps, by group where there are groups."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.common.errors import UserError
from src.evaluate import ensure_resamples, evaluate, evaluate_sweep, load_resamples, save_ground_truth, save_resamples
from src.evaluate.bootstrap import image_weights, mean_over_classes, resample_classes
from src.evaluate.files import load_groups
from src.evaluate.matching import match
from src.evaluate.resamples import DETECTIONS, resample_count
from src.records.sweep_folder import SweepFolder
from tests.evaluate.scenes import Scene, random_scenes
from tests.evaluate.test_sweep import save_detections, saved_sweep
from tests.report.factory import DATASET, Sweep, trial

IMAGES = 25


def saved_trials(home: Path) -> tuple[Path, list[tuple[list[Scene], list[Scene]]]]:
    """A sweep of three complete trials, of which the last has lost its detections, and one that failed."""
    trials = [trial(0), trial(1), trial(2), replace(trial(3), state="failed")]
    folder = Sweep(trials, []).write(home)
    classes = len(DATASET.class_names)
    scenes = [random_scenes(seed, IMAGES, classes) for seed in (0, 0)]
    worse = [Scene(d.boxes + 0.3, d.classes, d.scores) for d in scenes[1][0]]
    scenes[1] = (worse, scenes[1][1])
    save_ground_truth(SweepFolder(folder).ground_truth(DATASET.fingerprint, "val"), scenes[0][1])
    for number, (detections, _) in enumerate(scenes):
        save_detections(folder / f"trials/{number:04d}/detections/val-{DETECTIONS}.npz", detections)
    return folder, scenes


def test_an_old_sweep_gets_the_resamples_of_every_complete_trial(tmp_path: Path) -> None:
    folder, scenes = saved_trials(tmp_path)
    found = ensure_resamples(folder)
    assert [r.trial for r in found] == [0, 1]
    weights = image_weights(IMAGES, resample_count(IMAGES))
    for record, (detections, ground_truths) in zip(found, scenes, strict=True):
        matches = match(detections, ground_truths, len(DATASET.class_names))
        expected = mean_over_classes(resample_classes(matches, weights))[:, 0]
        assert np.allclose(record.resamples, expected, atol=1e-7)
        assert record.value == evaluate(detections, ground_truths, len(DATASET.class_names)).map50_95
        assert (record.n_images, record.n_groups) == (IMAGES, IMAGES)
    assert len({(r.weights, r.resample_seed, len(r.resamples)) for r in found}) == 1
    # Over the same draws the difference of two trials varies less than either of them.
    one, two = (np.array(r.resamples) for r in found)
    assert (one - two).std() < min(one.std(), two.std())


def test_they_are_read_back_as_they_were_and_not_made_twice(tmp_path: Path) -> None:
    folder, _ = saved_trials(tmp_path)
    found = ensure_resamples(folder)
    before = SweepFolder(folder).trial(0).images("val").stat().st_mtime_ns
    assert list(load_resamples(folder).values()) == ensure_resamples(folder) == found
    assert SweepFolder(folder).trial(0).images("val").stat().st_mtime_ns == before


def test_they_pair_with_the_evaluation_in_depth_of_the_same_detections(tmp_path: Path) -> None:
    folder = saved_sweep(tmp_path)
    (deep,) = (r for r in evaluate_sweep(folder) if r.split == "val" and r.runtime == "pytorch")
    (own,) = ensure_resamples(folder)
    assert own.resamples == deep.resamples[: len(own.resamples)]
    assert own.value == deep.figures["mAP50-95"]


def test_fewer_resamples_are_the_first_of_more() -> None:
    assert np.array_equal(image_weights(30, 40), image_weights(30, 100)[:40])


def test_torn_records_and_other_groups_are_made_again(tmp_path: Path) -> None:
    folder, scenes = saved_trials(tmp_path)
    first = ensure_resamples(folder)[0]
    SweepFolder(folder).trial(0).images("val").write_text('{"sweep": ')
    assert ensure_resamples(folder)[0] == first
    ground_truth = SweepFolder(folder).ground_truth(DATASET.fingerprint, "val")
    groups = np.arange(IMAGES) // 5
    save_ground_truth(ground_truth, scenes[0][1], groups.tolist())
    again = ensure_resamples(folder)
    assert [r.n_groups for r in again] == [5, 5]
    matches = match(*scenes[0], len(DATASET.class_names))
    drawn = image_weights(IMAGES, resample_count(IMAGES), groups=groups)
    assert np.allclose(again[0].resamples, mean_over_classes(resample_classes(matches, drawn))[:, 0], atol=1e-7)
    assert again[0].value == first.value
    assert again[0].weights == again[1].weights != first.weights


def test_detections_that_do_not_fit_are_a_user_error(tmp_path: Path) -> None:
    folder, scenes = saved_trials(tmp_path)
    save_detections(folder / f"trials/0000/detections/val-{DETECTIONS}.npz", [*scenes[0][0], *scenes[0][0]])
    with pytest.raises(UserError, match="malformed"):
        ensure_resamples(folder)


def test_nothing_is_written_where_detections_are_missing(tmp_path: Path) -> None:
    folder, _ = saved_trials(tmp_path)
    assert save_resamples(folder, trial(2)) is None
    assert not SweepFolder(folder).trial(2).images("val").exists()


def test_groups_are_drawn_whole() -> None:
    groups = np.array([7, 7, 3, 3, 3, 9])
    weights = image_weights(6, 300, groups=groups)
    for a, b in ((0, 1), (2, 3), (3, 4)):
        assert np.array_equal(weights[:, a], weights[:, b])
    assert set(weights[:, [0, 2, 5]].sum(axis=1)) == {3}


def test_groups_are_saved_beside_the_truths_and_old_files_have_one_for_each_image(tmp_path: Path) -> None:
    _, ground_truths = random_scenes(0, 4, 2)
    save_ground_truth(tmp_path / "t.npz", ground_truths, [0, 0, 1, 1])
    assert load_groups(tmp_path / "t.npz").tolist() == [0, 0, 1, 1]
    save_ground_truth(tmp_path / "t.npz", ground_truths)
    with np.load(tmp_path / "t.npz") as saved:
        old = {name: saved[name] for name in saved.files if name != "image_groups"}
    np.savez(tmp_path / "old.npz", **old)
    assert load_groups(tmp_path / "old.npz").tolist() == [0, 1, 2, 3]
    np.savez(tmp_path / "bad.npz", **old, image_groups=np.arange(3))
    with pytest.raises(UserError, match="malformed"):
        load_groups(tmp_path / "bad.npz")


def test_the_file_holds_seven_digits(tmp_path: Path) -> None:
    folder, _ = saved_trials(tmp_path)
    ensure_resamples(folder)
    saved = json.loads(SweepFolder(folder).trial(0).images("val").read_text())
    assert all(round(v, 7) == v for v in saved["resamples"])
