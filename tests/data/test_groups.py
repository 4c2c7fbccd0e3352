"""`data.group` and near duplicates: which images of a split belong together, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.config.schema import identity
from src.data import load_groups, load_split, resolve
from tests.config.test_config import composed
from tests.data.builders import config, picture, yolo_set

NAMES = {"val000": "video1_a", "val001": "video1_b", "val002": "video2_a", "val003": "still", "val004": "other"}


def videos(folder: Path) -> Path:
    """A dataset whose val has two frames of one video, one of another and two pictures of their own."""
    yaml = yolo_set(folder, {"train": 6, "val": 5, "test": 2})
    for old, new in NAMES.items():
        for kind, suffix in (("images", "jpg"), ("labels", "txt")):
            (folder / kind / "val" / f"{old}.{suffix}").rename(folder / kind / "val" / f"{new}.{suffix}")
    return yaml


def grouped(tmp_path: Path, yaml: Path, pattern: str | None) -> dict[str, int]:
    """Group by name, as evaluation gets it."""
    ref = resolve(config("yolo", path=str(yaml), group=pattern), tmp_path / "out")
    groups = load_groups(ref, "val", pattern)
    return {Path(s.image).stem: g for s, g in zip(load_split(ref, "val"), groups, strict=True)}


@pytest.mark.parametrize("pattern", [r"^(video\d+)_", r"^video\d+", r"(?:^|/)(video[0-9]+)_[ab]\.jpg$"])
def test_images_of_one_capture_belong_together(tmp_path: Path, pattern: str) -> None:
    found = grouped(tmp_path, videos(tmp_path / "set"), pattern)
    assert found["video1_a"] == found["video1_b"]
    assert len(set(found.values())) == 4  # what the pattern doesn't match stands by itself


def test_without_a_pattern_every_image_stands_by_itself(tmp_path: Path) -> None:
    assert sorted(grouped(tmp_path, videos(tmp_path / "set"), None).values()) == [0, 1, 2, 3, 4]


def test_folders_can_name_the_group(tmp_path: Path) -> None:
    yaml = yolo_set(tmp_path / "set", {"train": 4, "val": 4})
    for site, names in {"east": ("val000", "val001"), "west": ("val002", "val003")}.items():
        for kind, suffix in (("images", "jpg"), ("labels", "txt")):
            folder = tmp_path / "set" / kind / "val"
            (folder / site).mkdir()
            for name in names:
                (folder / f"{name}.{suffix}").rename(folder / site / f"{name}.{suffix}")
    found = grouped(tmp_path, yaml, "/(east|west)/")
    assert found == {"val000": 0, "val001": 0, "val002": 2, "val003": 2}


def test_near_duplicates_belong_together_and_join_groups(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    yaml = videos(folder)
    picture(folder / "images/val/still.jpg", 1002, quality=60)  # video2_a once more, at another quality
    found = grouped(tmp_path, yaml, None)
    assert found["still"] == found["video2_a"]
    assert len(set(found.values())) == 4
    found = grouped(tmp_path, yaml, r"^(video)")
    assert len({found[n] for n in ("video1_a", "video1_b", "video2_a", "still")}) == 1


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("^(video", "no regular expression"),
        ("^(film)", "matches no image of val"),
        (r"\.(jpg)$", "puts all 5 images of val in one group"),
        ("", "puts all 5 images of val in one group"),
    ],
)
def test_a_pattern_that_says_nothing_is_refused(tmp_path: Path, pattern: str, said: str) -> None:
    yaml = videos(tmp_path / "set")
    with pytest.raises(UserError, match=said) as caught:
        resolve(config("yolo", path=str(yaml), group=pattern), tmp_path / "out")
    text = str(caught.value)
    assert "data.group" in text
    assert "data.group=null" in text
    assert repr(pattern) in text or f"{pattern}" in text


def test_it_changes_neither_the_data_nor_what_is_trained(tmp_path: Path) -> None:
    yaml = videos(tmp_path / "set")
    one = resolve(config("yolo", path=str(yaml)), tmp_path / "out")
    two = resolve(config("yolo", path=str(yaml), group=r"^(video\d+)_"), tmp_path / "out")
    assert one == two
    plain, with_group = composed(), composed(r'data.group="^(video\d+)_"')
    assert with_group.data.group == r"^(video\d+)_"
    assert identity(plain) == identity(with_group)
    assert identity(plain) != identity(composed("data.seed=9"))


def test_the_pattern_is_matched_against_generated_names_too(tmp_path: Path) -> None:
    ref = resolve(config("digits", n_train=4, n_val=6, n_test=2, size=96), tmp_path / "out")
    names = [Path(s.image).stem for s in load_split(ref, "val")]
    groups = load_groups(ref, "val", f"^({names[0][:-1]})[0-2]")
    assert groups[:3] == [0, 0, 0]
    assert len(set(groups)) == 4


def test_a_folder_from_before_groups_is_read(tmp_path: Path) -> None:
    ref = resolve(config("digits", n_train=4, n_val=3, n_test=2, size=96), tmp_path / "out")
    index = Path(ref.yaml).with_name("index.json")
    index.write_text(index.read_text().replace('"look_alike"', '"unknown"'))
    assert load_groups(ref, "val", None) == [0, 1, 2]
    shutil.rmtree(index.parent)
    with pytest.raises(UserError):
        load_groups(ref, "val", None)
