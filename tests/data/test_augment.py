"""Copies on disk: changed, with whole boxes, of train alone, and the same for the same seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.common.errors import UserError
from src.config.schema import DataConfig
from src.data.tool_plans import Options
from src.data.tools import run_tool

CFG = DataConfig(name="digits", kind="digits", n_train=3, n_val=2, n_test=2, size=64)
STRENGTHS = (("noise", 0.1), ("crop", 0.3))


def run(root: Path, out: str, *, seed: int = 0, strengths: tuple[tuple[str, float], ...] = STRENGTHS) -> str:
    cfg = DataConfig(**{**vars(CFG), "seed": seed})
    options = Options(out=str(root / out), copies=2, strengths=strengths)
    return str(run_tool("augment", cfg, options, root / "outputs")["fingerprint"])


def test_train_gets_copies_and_the_rest_stays(tmp_path: Path) -> None:
    assert run(tmp_path, "a") == run(tmp_path, "b")
    assert run(tmp_path, "c", strengths=(("noise", 0.2),)) != run(tmp_path, "d", strengths=(("noise", 0.1),))
    made = tmp_path / "a"
    names = {split: sorted(p.name for p in (made / "images" / split).iterdir()) for split in ("train", "val", "test")}
    assert {split: len(own) for split, own in names.items()} == {"train": 9, "val": 2, "test": 2}
    assert not any("augmented" in name for name in names["val"] + names["test"])
    for i in range(3):
        files = [made / "images" / "train" / f"train_{i:05d}{mark}.png" for mark in ("", "-augmented1", "-augmented2")]
        assert len({file.read_bytes() for file in files}) == 3
        labels = [Path(str(file).replace("images", "labels")).with_suffix(".txt").read_text() for file in files]
        assert len({text.count("\n") for text in labels}) == 1, "no box is lost"
        assert len(set(labels)) == 3, "a crop moves them"
        values = [float(v) for text in labels for line in text.splitlines() for v in line.split()[1:]]
        assert all(0 <= v <= 1 for v in values)


@pytest.mark.parametrize("strengths", [(("noise", 0.0),), (("crop", 0.9),)])
def test_what_changes_nothing_or_too_much_is_refused(tmp_path: Path, strengths: tuple[tuple[str, float], ...]) -> None:
    with pytest.raises(UserError):
        run(tmp_path, "a", strengths=strengths)
    assert not (tmp_path / "a").exists()
