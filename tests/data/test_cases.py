"""Datasets as people really write them are read with the boxes that their files hold, or refused with the cause."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.data import load_split
from src.data.layout import load_index
from src.data.prepare import Prepared, prepare
from src.data.types import SPLITS
from tests.data import judge
from tests.data.builders import config, snapshot
from tests.data.cases import CASES, Case

NEAR = 1e-6  # px
# Of one class or of others in the collection's own copies.
REAL_CLASSES = {"10d-voc-nested": ["cat"], "11-voc-flat": ["cat"], "20-coco-segmentation-only": ["cat"],
                "37b-voc-same-filename": ["cat"], "49-coco-other-suffix": ["cat"]}  # fmt: skip


def _path(case: Case, folder: Path) -> Path:
    file = folder / "data.yaml"
    return file if case.kind == "yolo" and file.exists() else folder


def _boxes(done: Prepared) -> dict[Path, list[judge.Row]]:
    """What the program made of each picture of the source."""
    names = done.ref.class_names
    splits = load_index(done.folder)["splits"]
    sources = {(split, row[0]): Path(row[6]) for split, rows in splits.items() for row in rows}
    found: dict[Path, list[judge.Row]] = {}
    for split in SPLITS:
        for sample in load_split(done.ref, split):
            boxes = zip(sample.classes.tolist(), sample.boxes.tolist(), strict=True)
            found[sources[split, Path(sample.image).name]] = sorted((names[label], *box) for label, box in boxes)
    return found


def _hold(case: Case, folder: Path, out: Path, *, real: bool) -> None:
    before = snapshot(folder)
    cfg = config(case.kind, path=_path(case, folder))
    if case.classes is None:
        with pytest.raises(UserError) as caught:
            prepare(cfg, out)
        for words in case.told:
            assert re.search(words, str(caught.value)), f"{words!r} isn't told:\n{caught.value}"
        return
    done = prepare(cfg, out)
    assert done.ref.class_names == (REAL_CLASSES.get(case.name, case.classes) if real else case.classes)
    told = "\n".join(done.ref.warnings)
    for words in case.told:
        assert re.search(words, told), f"{words!r} isn't told:\n{told}"
    splits = (real and case.real_splits) or case.splits
    if splits:
        assert done.ref.split_sizes == splits
    expected = judge.READERS[case.kind](folder, done.ref.class_names)
    beyond = folder / case.beyond
    _same(_boxes(done), {path: rows for path, rows in expected.items() if beyond not in path.parents})
    assert snapshot(folder) == before


def _same(found: dict[Path, list[judge.Row]], expected: judge.Found) -> None:
    """The same boxes on the same pictures; a picture that isn't found has none, and is in no split."""
    assert {p for p in expected if expected[p]} <= set(found)
    assert sum(len(rows) for rows in expected.values())
    for path, rows in found.items():
        wanted = sorted(expected[path])
        assert [row[0] for row in rows] == [row[0] for row in wanted], path
        for row, want in zip(rows, wanted, strict=True):
            assert max(abs(a - b) for a, b in zip(row[1:], want[1:], strict=True)) < NEAR, path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_made(tmp_path: Path, case: Case) -> None:
    folder = tmp_path / case.name
    folder.mkdir()
    case.build(folder)
    _hold(case, folder, tmp_path / "out", real=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_real(tmp_path: Path, case: Case) -> None:
    """The collection itself, where DETSWEEP_CASES names it."""
    place = os.environ.get("DETSWEEP_CASES")
    if not place or not (Path(place) / case.name).is_dir():
        pytest.skip("needs the collection of cases: set DETSWEEP_CASES")
    folder = tmp_path / case.name
    shutil.copytree(Path(place) / case.name, folder)
    if case.name == "38b-test-folder-empty":
        (folder / "images/test").mkdir(parents=True, exist_ok=True)
    _hold(case, folder, tmp_path / "out", real=True)
