"""The curves of a training: which figures share a panel, and a picture of them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from src.models.curves import draw_curves, panels


def row(epoch: int) -> dict[str, float]:
    losses = {f"{split}/{loss}": 1.0 / epoch for loss in ("box_loss", "cls_loss") for split in ("train", "val")}
    return {"epoch": float(epoch), **losses, "val/mAP50-95": 0.1 * epoch, "val/recall": 0.5, "lr": 0.01}


def test_train_and_val_share_a_panel_and_what_is_missing_has_none() -> None:
    assert panels(list(row(1))) == [
        ("box_loss", ["train/box_loss", "val/box_loss"]),
        ("cls_loss", ["train/cls_loss", "val/cls_loss"]),
        ("mAP", ["val/mAP50-95"]),
        ("precision, recall, F1", ["val/recall"]),
        ("learning rate", ["lr"]),
    ]


def test_the_picture_is_whole(tmp_path: Path) -> None:
    file = draw_curves([row(1), row(2), row(3)], tmp_path)
    with Image.open(file) as picture:
        picture.load()
        assert picture.width == 1200
    assert [p.name for p in tmp_path.iterdir()] == ["results.png"], "nothing is left aside"
