"""A training through an image loader of another package, with loader processes: what it sees is the picture."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from src.config.schema import DataConfig
from src.data import load_split, resolve
from src.records.schema import TrialRecord
from src.records.store import load
from tests.common.test_image_loaders import install_loaders
from tests.conftest import run_command

WORDS = ["imgsz=64", "epochs=1", "export=none", "runtime.engines=[]", "tracking=none", "benchmark=quick", "threads=1"]


@pytest.fixture
def turned(tmp_path: Path) -> tuple[Path, Path]:
    """A dataset whose pictures only a loader opens, and the site folder of the package that declares it."""
    site = install_loaders(tmp_path / "site")
    made = resolve(DataConfig(name="digits", kind="digits", n_train=12, n_val=6, n_test=4, size=96), tmp_path / "made")
    folder, source = tmp_path / "turned", Path(made.yaml).parent
    for split in ("train", "val", "test"):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for sample in load_split(made, split):
            image = Path(sample.image)
            (folder / "images" / split / image.name).write_bytes(image.read_bytes()[::-1])
            label = source / "labels" / split / f"{image.stem}.txt"
            (folder / "labels" / split / label.name).write_bytes(label.read_bytes())
    content = {"names": made.class_names, **{split: f"images/{split}" for split in ("train", "val", "test")}}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    return folder, site


def started(folder: Path, site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    data = ["data=yolo", f"data.path={folder / 'data.yaml'}"]
    return run_command("src.run", *WORDS, *data, *words, PYTHONPATH=str(site))


@pytest.mark.slow
@pytest.mark.parametrize("words", [["model=v8n", "train.workers=2"], ["model=frcnn_mobilenet"]])
def test_a_training_reads_through_the_loader(words: list[str], turned: tuple[Path, Path], tmp_path: Path) -> None:
    folder, site = turned
    out = tmp_path / "out"
    places = [f"outputs={out}", f"reports={out / 'reports'}", "data.loader=reverse"]
    refused = started(folder, site, *words, *places)
    assert refused.returncode == 2
    assert "data.trust_loaders=true" in refused.stdout + refused.stderr
    done = started(folder, site, *words, *places, "data.trust_loaders=true")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = out.glob("runs/*/trials/0000/record.json")
    assert load(TrialRecord, record).state == "complete"
    plain = started(folder, site, *words, *places[:2])
    assert plain.returncode == 2, "without the loader the same files are no pictures"
