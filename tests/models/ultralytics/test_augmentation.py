"""Mosaics of nine, mixup's shape and box-safe changes do what they say, and boxes stay on their objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from src.models.ultralytics.checkpoint import prepare_environment
from src.models.ultralytics.handed_over import VARIABLE

N = 12
SIDE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Black pictures, each with one bright rectangle that its box surrounds."""
    root = tmp_path_factory.mktemp("bright")
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    for i in range(N):
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        x, y = 8 + 3 * i, 40 - 3 * i
        image[y : y + 16, x : x + 12] = 255
        cv2.imwrite(str(root / "images" / "train" / f"{i}.png"), image)
        line = f"0 {(x + 6) / SIDE} {(y + 8) / SIDE} {12 / SIDE} {16 / SIDE}\n"
        (root / "labels" / "train" / f"{i}.txt").write_text(line)
    return root


def images(folder: Path, monkeypatch: pytest.MonkeyPatch, own: dict[str, float], **plain: float) -> Any:
    prepare_environment(folder / "settings")
    from ultralytics.cfg import get_cfg

    from src.models.ultralytics import trainers
    from src.models.ultralytics.image_cache import YoloImages

    assert trainers.engine
    monkeypatch.setenv(VARIABLE, json.dumps({"augment": [list(item) for item in own.items()], "seed": 3}))
    off = dict.fromkeys(("hsv_h", "hsv_s", "hsv_v", "translate", "scale", "fliplr", "mosaic"), 0.0)
    hyp = get_cfg(overrides={**off, **plain})
    return YoloImages(
        img_path=str(folder / "images" / "train"), imgsz=SIDE, hyp=hyp, cache="ram", data={"names": ["x"]}
    )


def at(data: Any, i: int, epoch: int = 0) -> tuple[Any, Any]:
    """Brightness [h, w] and boxes in px of an image, as the network gets it."""
    from src.models.ultralytics.order import Place

    found = data[Place(i, epoch)]
    x, y, w, h = (found["bboxes"].numpy() * SIDE).T
    return found["img"][0].numpy(), np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)


def covered(image: Any, boxes: Any) -> tuple[float, float]:
    """Share of the boxes that is bright, and share of what is bright that lies in boxes."""
    mask = np.zeros(image.shape, bool)
    for x1, y1, x2, y2 in boxes.round().astype(int):
        mask[y1:y2, x1:x2] = True
    bright = image > 200
    return float(bright[mask].mean()), float(mask[bright].mean())


def test_mosaics_of_nine_hold_more_images_and_their_boxes_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {}
    for share in (0.0, 0.5, 1.0):
        data = images(folder, monkeypatch, {"mosaic9": share} if share else {}, mosaic=1.0, scale=0.0, translate=0.0)
        found = [at(data, i, epoch) for epoch in range(3) for i in range(N)]
        mosaics = data.transforms.transforms[0].transforms[0]
        drawn = [len(mosaics.get_indexes()) + 1 for _ in range(200)]
        counts[share] = sum(n == 9 for n in drawn) / 200
        for image, boxes in found:
            if len(boxes):
                inside, outside = covered(image, boxes)
                assert inside > 0.75
                assert outside > 0.75
    assert counts[0.0] == 0
    assert counts[1.0] == 1
    assert 0.35 < counts[0.5] < 0.65


def test_mixup_mixes_as_its_alpha_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brightest = {}
    for alpha in (32.0, 0.05):
        own = {"mixup_alpha": alpha} if alpha != 32.0 else {}
        data = images(folder, monkeypatch, own, mixup=1.0)
        brightest[alpha] = np.median([np.median(image[image > 4]) for image in (at(data, i)[0] for i in range(N))])
    assert brightest[32.0] < 200, "half and half"
    assert brightest[0.05] > 220 or brightest[0.05] < 40, "nearly one of the two"


@pytest.mark.parametrize("own", [{"noise": 0.3}, {"blur": 4.0}, {"contrast": 0.9}, {"crop": 0.4}], ids=str)
def test_box_safe_changes_reach_the_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch, own: dict[str, float]
) -> None:
    plain = [at(images(folder, monkeypatch, {}), i) for i in range(N)]
    data = images(folder, monkeypatch, own)
    changed = 0
    for i, (image, boxes) in enumerate(plain):
        now, moved = at(data, i)
        assert len(moved) == len(boxes) == 1
        again, _ = at(data, i)
        assert (now == again).all(), "drawn for the image and the epoch"
        changed += bool((now != image).any())
        if "crop" in own:
            inside, outside = covered(now, moved)
            assert min(inside, outside) > 0.75
        else:
            assert np.allclose(moved, boxes, atol=1e-3)
    assert changed > N // 3
    assert any((at(data, i)[0] != at(data, i, epoch=1)[0]).any() for i in range(N))


def test_weights_do_not_depend_on_whether_albumentations_is_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.models.ultralytics.augmentation import module

    def init(self: Any, **asked: Any) -> None:
        self.p, self.flip_idx = 1.0, None
        self.transform = lambda image: {"image": 255 - image}
        self.contains_spatial = False

    plain = at(images(folder, monkeypatch, {}), 0)[0]
    monkeypatch.setattr(module.Albumentations, "__init__", init)
    assert (at(images(folder, monkeypatch, {}), 0)[0] == plain).all()
