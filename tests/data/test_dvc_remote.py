"""DVC remotes with endpoint, region and ssl: what DVC is given, what is refused, and a real S3 server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.data.dvc import Remote, track
from tests.conftest import run_command
from tests.data.builders import config, yolo_set

STORE = "s3://detsweep/data"


@pytest.mark.parametrize(
    ("remote", "key"),
    [
        (Remote("/mnt/data", region="eu-central-1"), "region"),
        (Remote("ssh://host/data", ssl=False), "ssl"),
        (Remote(STORE, endpoint="minio:9000"), "endpoint"),
        (Remote(STORE, endpoint="http://:9000"), "endpoint"),
        (Remote(STORE, endpoint="http://a:99999"), "endpoint"),
        (Remote(STORE, endpoint="https://key:secret-of-mine@a"), "endpoint"),
        (Remote(STORE, region="--global"), "region"),
        (Remote(STORE, endpoint="http://a:9000", ssl=True), "ssl"),
    ],
)
def test_what_makes_no_sense_is_refused_before_dvc_is_called(remote: Remote, key: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        track(tmp_path, "f", remote)
    assert key in str(refused.value)
    assert "secret-of-mine" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_dvc_is_given_the_words_in_its_own_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    program = tmp_path / "bin" / "dvc"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nprintf "outs:\\n- md5: a.dir\\n  path: set\\n" > set.dvc\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "set").mkdir()
    record = track(tmp_path / "set", "f", Remote(STORE, "http://127.0.0.1:9000", "eu-central-1", ssl=False))
    assert calls.read_text().splitlines() == [
        f"add {tmp_path / 'set'}",
        f"remote add --force --default detsweep {STORE}",
        "remote modify detsweep endpointurl http://127.0.0.1:9000",
        "remote modify detsweep region eu-central-1",
        "remote modify detsweep use_ssl false",
        f"push {tmp_path / 'set.dvc'}",
    ]
    assert record["remote"] == STORE


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dvc") is None, reason="needs the extra `dvc` (dvc[s3])")
def test_a_dataset_goes_to_an_s3_server_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deploy.services import create_bucket, free_port, new_keys, object_store
    from src.data import resolve

    keys, port = new_keys(), free_port()
    for key, value in keys.items():
        monkeypatch.setenv(key, value)
    endpoint = f"http://127.0.0.1:{port}"
    repo, clone = tmp_path / "repo", tmp_path / "clone"
    repo.mkdir()
    git(repo, "init")
    subprocess.run(["dvc", "init"], cwd=repo, check=True, capture_output=True)
    file = yolo_set(repo / "set", {"train": 6, "val": 3, "test": 2})
    store = object_store(tmp_path, port)
    try:
        create_bucket(endpoint, keys)
        words = [f"remote={STORE}", f"endpoint={endpoint}", "region=us-east-1", "ssl=false"]
        place = ["data=yolo", f"data.path={file}", f"outputs={tmp_path / 'o'}"]
        done = run_command("src.data", "track", *place, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        kept = (repo / ".dvc" / "config").read_text()
        assert endpoint in kept
        assert not [value for value in keys.values() if value in kept], "it goes into git"
        git(repo, "add", ".")
        git(repo, "commit", "-m", "data")
        git(tmp_path, "clone", str(repo), str(clone))
        subprocess.run(["dvc", "pull"], cwd=clone, check=True, capture_output=True)
    finally:
        store.stop()
    ref = resolve(config("yolo", path=clone / "set/data.yaml"), tmp_path / "o2")
    assert ref.fingerprint == json.loads((repo / "set.fingerprint.json").read_text())["fingerprint"]


def git(folder: Path, *words: str) -> None:
    """Run git as nobody in particular."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)
