"""Curves by threshold of every epoch: what is kept, what is drawn, and that both families keep them when asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from src.models import epoch_curves
from tests.models.torchvision.toy import asked, trained
from tests.models.ultralytics.toy import run, toy, toy_dataset


def kept(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((out / epoch_curves.FOLDER).iterdir())]


def test_a_curve_is_kept_on_a_grid_and_one_of_no_detections_is_zero(tmp_path: Path) -> None:
    curve = {"precision": [0.2, 1.0], "recall": [0.9, 0.1], "f1": [0.3, 0.2]}
    epoch_curves.keep(tmp_path, 1, [0.0, 1.0], curve)
    epoch_curves.keep(tmp_path, 2, [], {name: [] for name in curve})
    first, second = kept(tmp_path)
    assert first["recall"][25] == pytest.approx(0.7)
    assert (first["epoch"], len(first["threshold"])) == (1, epoch_curves.POINTS)
    assert set(second["f1"]) == {0.0}
    picture = epoch_curves.draw(tmp_path)
    assert picture is not None
    with Image.open(picture) as image:
        image.load()


def test_nothing_is_drawn_where_nothing_was_kept(tmp_path: Path) -> None:
    assert epoch_curves.draw(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_both_families_keep_every_epoch_when_asked(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    dataset = toy_dataset(tmp_path_factory)
    words = ("train.epoch_curves=true", "epochs=2")
    yolo = run(toy(*words), dataset, tmp_path / "yolo")
    other = trained(asked(*words), dataset, tmp_path / "other")
    for out, result in ((tmp_path / "yolo", yolo), (tmp_path / "other", other)):
        curves = kept(out)
        assert [c["epoch"] for c in curves] == [1, 2]
        assert epoch_curves.PICTURE in [p.name for p in result.files]
        best = max(curves[-1]["f1"])
        assert best == pytest.approx(result.history[-1]["val/f1"], abs=0.05)
    plain = run(toy("epochs=1"), dataset, tmp_path / "plain")
    assert not (tmp_path / "plain" / epoch_curves.FOLDER).exists()
    assert epoch_curves.PICTURE not in [p.name for p in plain.files]


def test_keeping_curves_is_no_other_training() -> None:
    from src.config.schema import identity

    assert identity(toy()) == identity(toy("train.epoch_curves=true"))
