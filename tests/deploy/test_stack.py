"""The stack for real: a sweep, a promotion and a prediction through MLflow's server, PostgreSQL and an S3 server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from deploy.__main__ import Stack, stack
from src.common.errors import UserError
from tests.conftest import ROOT, run_command
from tests.serve.services import Running

TINY = ["data.n_train=16", "data.n_val=8", "data.n_test=4", "epochs=1", "imgsz=64", "seed=1,2", "sweep=stack"]


@pytest.fixture
def running() -> Iterator[Stack]:
    """The stack, on ports of its own."""
    try:
        with stack() as made:
            yield made
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_a_sweep_a_promotion_and_a_prediction_go_through_the_stack(running: Stack, tmp_path: Path) -> None:
    places = [f"outputs={tmp_path}/o", f"reports={tmp_path}/r"]
    address: dict[str, Any] = {"MLFLOW_TRACKING_URI": running.tracking}
    cheap = ["export=onnx", "runtime=onnxruntime", "benchmark=quick", "decision.nothing_map=0"]
    swept = run_command("src.run", "-m", *TINY, *cheap, *places, timeout=500, **address)
    assert swept.returncode == 0, swept.stdout + swept.stderr
    promoted = run_command("src.promote", "sweep=stack", places[0], "accept=conditional", **address)
    assert "version 1: no alias was moved" in promoted.stdout, "an epoch learns nothing, and the gates say so"
    mlflow.MlflowClient(running.tracking, running.tracking).set_registered_model_alias("detsweep", "champion", "1")
    service = Running(tmp_path / "serve.log", f"outputs={tmp_path}/o", "conf=0.0001", **address)
    try:
        picture = next((tmp_path / "o" / "datasets").rglob("*.jpg"), None) or next(tmp_path.rglob("*.png"))
        status, said = service.get("/predict", picture.read_bytes())
        assert (status, said["model"]["version"]) == (200, "1"), said
        assert service.end() == 0
    finally:
        service.kill()
    objects = stored(running)
    assert [key for key in objects if key.endswith("model.onnx")], objects
    assert [key for key in objects if key.endswith("decision.html")], objects
    kept = {key: value for key, value in running.keys.items() if on_disk(tmp_path, value)}
    assert not kept, "no key of the store is kept anywhere"


def stored(running: Stack) -> list[str]:
    """Names of the objects in the bucket."""
    import boto3

    secret = {key.lower(): value for key, value in running.keys.items()}
    client = boto3.client("s3", endpoint_url=running.endpoint, region_name="us-east-1", **secret)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="detsweep")
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def on_disk(folder: Path, secret: str) -> bool:
    """Whether any file below a folder holds a secret."""
    return any(secret.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_the_command_stops_what_it_started() -> None:
    process = subprocess.Popen([sys.executable, "-m", "deploy"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    if not first:
        pytest.skip("PostgreSQL is not installed")
    logs = Path(process.stdout.readline().partition(": ")[2].strip())
    assert logs.is_dir()
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 0
    assert not logs.exists()
    assert first.split()[1] not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
