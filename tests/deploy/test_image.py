"""The service's image, built and run for real where buildah and debootstrap are at hand."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from starlette.testclient import TestClient

from deploy.image import IMAGE, Buildah, build, make_base, missing
from src.records.schema import Artifact
from src.serve.app import build as application
from src.serve.options import ServeArgs

PORT = 8000  # the image's own: its health check asks there
TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    """The image, built once."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    found = Buildah(tmp_path_factory.mktemp("image"))
    make_base(found)
    build(found)
    return found


@pytest.fixture
def container(image: Buildah) -> Iterator[str]:
    """A container of it."""
    name = image.run("from", "--pull-never", IMAGE)
    yield name
    image.run("rm", name)


def said(image: Buildah, container: str, code: str) -> str:
    """What a program prints in a container."""
    return subprocess.run(image.inside(container, "python", "-c", code), capture_output=True, text=True).stdout.strip()


@pytest.mark.slow
@pytest.mark.timeout(3600)  # the base is fetched package by package
def test_the_image_is_not_root_has_a_health_check_and_no_torch(image: Buildah, container: str) -> None:
    facts: dict[str, Any] = json.loads(image.run("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    assert facts["User"] == "serve"
    assert "health/ready" in " ".join(facts["Healthcheck"]["Test"])
    assert facts["Entrypoint"] == ["python", "-m", "src.serve"]
    assert said(image, container, "import os; print(os.getuid())") == "10001"
    root = Path(image.run("mount", container))
    assert (root / "app/src/serve").is_dir()
    named = [p for p in (root / "opt/serve/lib").glob("python3.*/site-packages/*") if p.name.startswith("torch")]
    assert not named
    assert not (root / "app/tests").exists()
    assert "denied" in said(image, container, "try: open('/app/x', 'w')\nexcept OSError as e: print(e)").lower()


@pytest.mark.slow
@pytest.mark.timeout(3600)  # the base is fetched package by package
def test_the_image_serves_the_boxes_of_the_checkout(
    image: Buildah, container: str, onnx: Artifact, images: list[str], tmp_path: Path
) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            pytest.skip(f"port {PORT} is in use")
    image.run("copy", container, onnx.path, "/models/model.onnx")
    words = ["python", "-m", "src.serve", "model=/models/model.onnx", "host=0.0.0.0", f"port={PORT}", "conf=1e-6"]
    command = image.inside(container, *words)
    command[command.index("run") + 1 : command.index("run") + 1] = ["--env", f"DETSWEEP_SERVE_TOKEN={TOKEN}"]
    log = tmp_path / "log"
    with open(log, "wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        check = json.loads(image.run("inspect", "--type", "image", IMAGE))["Docker"]["config"]["Healthcheck"]["Test"]
        deadline = time.monotonic() + 90
        while subprocess.run(image.inside(container, *check[1:]), capture_output=True).returncode:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        content = Path(images[0]).read_bytes()
        asked = urllib.request.Request(f"http://127.0.0.1:{PORT}/predict", content)
        asked.add_header("Authorization", f"Bearer {TOKEN}")
        answer = json.load(urllib.request.urlopen(asked, timeout=30))
        inside = psutil.Process(process.pid).children(recursive=True)  # buildah's own among them, with the same words
        served = next(p for p in inside if p.cmdline()[1:3] == ["-m", "src.serve"])
        assert served.uids().real == 10001
        served.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    with TestClient(application(ServeArgs(model=onnx.path, conf=1e-6))) as client:
        expected = client.post("/predict", content=content).json()
    assert len(answer["boxes"]) > 0
    assert (answer["boxes"], answer["scores"]) == (expected["boxes"], expected["scores"])
