"""`python -m src.data`: exit codes, what is printed, and the sources that need the network or an extra."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.data import __main__ as command
from src.data import coco128, picture_files, report_files, resolve
from src.data.dvc import dvc_hash, track
from src.data.options import DatasetArgs
from tests.data.builders import config, yolo_set
from tests.data.test_dvc_remote import git

ROOT = Path(__file__).parents[2]
SPLITS = {"train": 6, "val": 3, "test": 2}


def _run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "src.data", *words], capture_output=True, text=True, cwd=cwd or ROOT, env=environment
    )


def _args(kind: str, root: Path, **keys: object) -> DatasetArgs:
    data = {k[5:]: v for k, v in keys.items() if k.startswith("data_")}
    rest = {k: v for k, v in keys.items() if not k.startswith("data_")}
    return DatasetArgs(data=config(kind, **data), outputs=str(root), **rest)  # type: ignore[arg-type]


def test_check_as_a_process(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    (tmp_path / "own/labels/val/val001.txt").write_text("0 0.5 0.5 0.2 0.2\n99 0.5 0.5 0.1 0.1\n")
    words = ["data=yolo", f"data.path={file}", f"outputs={tmp_path / 'out'}", "pictures=false"]
    done = _run("check", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert "val001.txt:2: class id 99" in done.stdout
    assert "error: the dataset has 1 error" in done.stderr
    assert "remedy:" in done.stderr
    assert "Traceback" not in done.stderr
    done = _run(*words, "check", "data.on_error=skip", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out     1 images" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "own"]


@pytest.mark.parametrize("words", [["nonsense"], [], ["check", "data=nope"], ["check", "data.nope=1"], ["data=digits"]])
def test_wrong_words_end_in_2(words: list[str]) -> None:
    done = _run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert words != ["nonsense"] or "command is not known\n  value:  nonsense" in done.stderr


def test_check_prints_figures_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = _args("digits", tmp_path, data_n_train=8, data_n_val=4, data_n_test=4, data_size=96)
    assert command.run_check(args) == 0
    said = capsys.readouterr().out
    ref = resolve(args.data, tmp_path)
    assert ref.fingerprint in said
    assert "mAP differences of" in said
    folder = Path(ref.yaml).parent
    files = {Path(f).name for f in (*report_files(ref), *picture_files(ref))}
    assert files == {"check.md", "check.json", "samples.png", "classes.png", "boxes.png"}
    assert all((folder / name).stat().st_size > 100 for name in files)
    summary = json.loads((folder / "check.json").read_text())
    assert summary["images"] == {"train": 8, "val": 4, "test": 4}
    assert sum(summary["boxes"]["val"]) > 10
    assert ref.split_fingerprints == summary["split_fingerprints"]


def test_fingerprint_and_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = yolo_set(tmp_path / "own", SPLITS)
    assert command.run_fingerprint(_args("yolo", tmp_path / "o", data_path=file)) == 0
    first = capsys.readouterr().out.split()[0]
    out = tmp_path / "new"
    assert (
        command.run_tool(_args("yolo", tmp_path / "o", data_path=file, command="convert", out=str(out), to="coco")) == 0
    )
    assert f"fingerprint {first}" in capsys.readouterr().out


def test_composing_costs_no_heavy_import() -> None:
    heavy = ["numpy", "PIL", "sklearn", "matplotlib", "torch"]
    code = f"import sys, src.data; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_roboflow_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROBOFLOW_API_KEY", raising=False)
    keys = {"workspace": "w", "project": "p", "version": 1}
    with pytest.raises(UserError, match=r"data\.project"):
        resolve(config("roboflow", workspace="w"), tmp_path)
    with pytest.raises(UserError, match="ROBOFLOW_API_KEY"):
        resolve(config("roboflow", **keys), tmp_path)
    monkeypatch.setenv("ROBOFLOW_API_KEY", "secret-key")
    monkeypatch.setitem(sys.modules, "roboflow", None)
    with pytest.raises(UserError, match="not installed"):
        resolve(config("roboflow", **keys), tmp_path)


class _Project:
    """Stands in for every object of the roboflow package's chain of calls."""

    def __init__(self, source: Path | None) -> None:
        self.source = source

    def workspace(self, name: str) -> _Project:
        return self

    project = workspace

    def version(self, number: int) -> _Project:
        return self

    def download(self, kind: str, location: str) -> None:
        if self.source is None:
            raise RuntimeError("401: key secret-key is not valid")
        yolo_set(Path(location), SPLITS)


def _package(monkeypatch: pytest.MonkeyPatch, source: Path | None) -> None:
    package = types.ModuleType("roboflow")
    package.Roboflow = lambda api_key: _Project(source)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "roboflow", package)
    monkeypatch.setenv("ROBOFLOW_API_KEY", "secret-key")


def test_roboflow_downloads_once_and_hides_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = config("roboflow", workspace="w", project="p", version=1)
    _package(monkeypatch, None)
    with pytest.raises(UserError, match="did not deliver") as caught:
        resolve(cfg, tmp_path)
    assert "secret-key" not in str(caught.value)
    _package(monkeypatch, tmp_path)
    assert resolve(cfg, tmp_path).split_sizes == SPLITS
    _package(monkeypatch, None)
    assert resolve(cfg, tmp_path).split_sizes == SPLITS


def test_coco128_archive_is_unpacked_safely(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("coco128/images/train2017/1.jpg", b"x")
        archive.writestr("coco128/labels/train2017/1.txt", b"y")
        archive.writestr("../../evil.txt", b"z")
        archive.writestr("coco128/images/train2017/../../../evil.txt", b"z")
        archive.writestr("coco128/README.txt", b"z")
    folder = coco128.fetch_coco128(tmp_path / "base", (tmp_path / "a.zip").as_uri())
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["1.jpg", "1.txt"]
    assert not list(tmp_path.rglob("evil.txt"))
    assert coco128.fetch_coco128(tmp_path / "base", "file:///nowhere") == folder


@pytest.mark.parametrize("content", [None, b"not a zip"])
def test_coco128_download_fails_with_a_remedy(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UserError, match="COCO128"):
        coco128.fetch_coco128(tmp_path / "base", (tmp_path / "a.zip").as_uri())
    assert not list((tmp_path / "base").rglob("*coco128*"))


def test_dvc_without_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="DVC is not installed"):
        track(tmp_path, "f", None)


def test_dvc_file_is_read_and_refused(tmp_path: Path) -> None:
    file = tmp_path / "set.dvc"
    file.write_text("outs:\n- md5: abc.dir\n  size: 10\n  nfiles: 3\n  hash: md5\n  path: set\n")
    assert dvc_hash(file) == {"path": "set", "md5": "abc.dir", "files": 3, "bytes": 10}
    for text in ("", "outs: []", "[", "outs: 3"):
        file.write_text(text)
        with pytest.raises(UserError, match=r"not a \.dvc file"):
            dvc_hash(file)


@pytest.mark.skipif(shutil.which("dvc") is None, reason="needs the extra `dvc`")
def test_a_pull_on_another_clone_has_the_same_fingerprint(tmp_path: Path) -> None:
    repo, clone = tmp_path / "repo", tmp_path / "clone"
    repo.mkdir()
    git(repo, "init")
    subprocess.run(["dvc", "init"], cwd=repo, check=True, capture_output=True)
    file = yolo_set(repo / "set", SPLITS)
    assert command.run_track(_args("yolo", tmp_path / "o", data_path=file, remote=str(tmp_path / "remote"))) == 0
    record = json.loads((repo / "set.fingerprint.json").read_text())
    assert record["md5"].endswith(".dir")
    assert record["files"] == 23
    git(repo, "add", ".")
    git(repo, "commit", "-m", "data")
    git(tmp_path, "clone", str(repo), str(clone))
    subprocess.run(["dvc", "pull"], cwd=clone, check=True, capture_output=True)
    ref = resolve(config("yolo", path=clone / "set/data.yaml"), tmp_path / "o2")
    assert ref.fingerprint == record["fingerprint"]
