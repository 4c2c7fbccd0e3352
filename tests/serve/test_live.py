"""Champion and challenger behind the service: who answers, what is recorded, what labels decide."""

from __future__ import annotations

import dataclasses
import errno
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from src.common.errors import UserError
from src.monitor.events import Events
from src.monitor.experiment import Experiment
from src.records.schema import Artifact
from src.serve import service
from src.serve.app import build
from src.serve.live import Live
from src.serve.options import LiveConfig, ServeArgs
from src.serve.watching import watcher_of


@pytest.fixture
def two(onnx: Artifact, tmp_path: Path) -> tuple[str, str]:
    """Two files of the same model."""
    other = tmp_path / "other"
    shutil.copytree(Path(onnx.path).parent, other)
    return onnx.path, str(other / Path(onnx.path).name)


def test_the_metrics_show_both_models(two: tuple[str, str], tmp_path: Path) -> None:
    renamed = Path(two[1]).with_name("challenger.onnx")
    Path(two[1]).rename(renamed)
    manifest = renamed.with_name("manifest.json")
    manifest.write_text(manifest.read_text().replace("model.onnx", renamed.name))
    with TestClient(build(args_of((two[0], str(renamed)), tmp_path / "live"))) as client:
        text = client.get("/metrics").text
    assert 'detsweep_model{name="model.onnx",version=""} 1.0' in text
    assert 'detsweep_model{name="challenger.onnx",version=""} 1.0' in text


def args_of(two: tuple[str, str], folder: Path, **live: Any) -> ServeArgs:
    """A service of both."""
    return ServeArgs(model=two[0], conf=1e-6, threads=1, live=LiveConfig(challenger=two[1], folder=str(folder), **live))


def test_a_split_gives_each_key_one_model_and_takes_labels_once(
    two: tuple[str, str], images: list[str], tmp_path: Path
) -> None:
    content = Path(images[0]).read_bytes()
    with TestClient(build(args_of(two, tmp_path / "live"))) as client:
        answers = [client.post("/predict", content=content, headers={"X-Key": str(k % 8)}).json() for k in range(16)]
        labels = {"image": answers[0]["id"], "boxes": answers[0]["boxes"][:1], "classes": answers[0]["classes"][:1]}
        taken = client.post("/feedback", json=labels)
        assert taken.status_code == 200, taken.text
        malformed: list[Any] = [labels, [], {"image": "x"}, {"image": "x", "boxes": [[1]], "classes": [0]}]
        for wrong in malformed:
            refused = client.post("/feedback", json=wrong)
            assert (refused.status_code, refused.json()["kind"]) == (400, "bad_feedback")
        assert client.post("/feedback", content=b"[" * 9).status_code == 400
    with TestClient(build(args_of(two, tmp_path / "live"))) as client:  # after the end, the same comparison goes on
        said = client.get("/live").json()
    arms = said["verdict"]["champion"], said["verdict"]["challenger"]
    assert said["plan"]["champion"] == two[0]
    assert sum(arm["images"] for arm in arms) == 16
    assert all(arm["images"] % 2 == 0 and arm["images"] > 0 for arm in arms), "a key meets one model, always"
    assert sum(arm["labelled"] for arm in arms) == 1
    assert said["verdict"]["word"] == "open"


def test_in_a_shadow_both_answer(two: tuple[str, str], images: list[str], tmp_path: Path) -> None:
    content = Path(images[0]).read_bytes()
    args = args_of(two, tmp_path / "live", mode="shadow")
    with TestClient(build(args)) as client:
        for _ in range(5):
            assert client.post("/predict", content=content).status_code == 200
    with TestClient(build(args)) as client:
        said = client.get("/live").json()["verdict"]
    assert said["both"] == said["champion"]["images"] == said["challenger"]["images"] == 5
    assert said["agreement"] == pytest.approx(1), "it is the same file twice"


def test_labels_that_come_right_after_the_answer_count(
    two: tuple[str, str], images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Experiment.record

    def slowly(*words: Any, **more: Any) -> None:
        time.sleep(0.3)
        record(*words, **more)

    monkeypatch.setattr(Experiment, "record", slowly)
    with TestClient(build(args_of(two, tmp_path / "live", mode="shadow"))) as client:
        for _ in range(3):
            answer = client.post("/predict", content=Path(images[0]).read_bytes()).json()
            labels = {"image": answer["id"], "boxes": [], "classes": []}
            assert client.post("/feedback", json=labels).status_code == 200
            assert client.post("/feedback", json=labels).status_code == 400  # once


def test_labels_at_another_process_than_the_answers_wait_until_it_is_recorded(
    two: tuple[str, str], images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Experiment.record

    def slowly(*words: Any, **more: Any) -> None:
        time.sleep(1.3)
        record(*words, **more)

    monkeypatch.setattr(Experiment, "record", slowly)
    args = args_of(two, tmp_path / "live")
    with TestClient(build(args)) as answering, TestClient(build(args)) as other:  # two processes of one service
        answer = answering.post("/predict", content=Path(images[0]).read_bytes()).json()
        labels = {"image": answer["id"], "boxes": [], "classes": []}
        taken = other.post("/feedback", json=labels)
        assert taken.status_code == 200, taken.text
        monkeypatch.setattr(service, "LOOK_S", 1e6)  # what is refused for good is refused at once
        for wrong in (answer["id"], "x", "f" * 32, "0" * 32):
            assert other.post("/feedback", json={**labels, "image": wrong}).status_code == 400


def test_an_answer_that_the_challenger_failed_on_makes_its_labels_wait_for_nothing(
    two: tuple[str, str], images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Live, "_asked", lambda *_: (None, 1.0))
    args = args_of(two, tmp_path / "live", mode="shadow")
    with TestClient(build(args)) as answering:
        answer = answering.post("/predict", content=Path(images[0]).read_bytes()).json()
    monkeypatch.setattr(service, "LOOK_S", 1e6)
    with TestClient(build(args)) as other:
        labels = {"image": answer["id"], "boxes": [], "classes": []}
        assert other.post("/feedback", json=labels).status_code == 400


def test_the_steps_of_a_canary_are_the_users(two: tuple[str, str], tmp_path: Path) -> None:
    args = args_of(two, tmp_path / "live", mode="canary", steps=[0.2, 0.4], step_images=7)
    with TestClient(build(args)) as client:
        said = client.get("/live").json()
    assert (said["share"], said["plan"]["steps"], said["plan"]["step_images"]) == (0.2, [0.2, 0.4], 7)


def test_another_comparison_in_the_same_folder_is_refused(two: tuple[str, str], tmp_path: Path) -> None:
    build(args_of(two, tmp_path / "live"))
    with pytest.raises(UserError, match="another one"):
        build(args_of(two, tmp_path / "live", share=0.1))
    with pytest.raises(UserError, match="mode"):
        build(args_of(two, tmp_path / "other-live", mode="all"))


def test_without_a_challenger_there_is_no_such_page(onnx: Artifact) -> None:
    with TestClient(build(ServeArgs(model=onnx.path, threads=1))) as client:
        assert client.get("/live").status_code == 404
        assert client.post("/feedback", json={}).status_code == 404


def test_every_answer_is_logged_where_a_log_is_asked_for(onnx: Artifact, images: list[str], tmp_path: Path) -> None:
    args = ServeArgs(model=onnx.path, threads=1, conf=1e-6, monitor_log=str(tmp_path / "log"))
    with TestClient(build(args, watcher_of)) as client:
        for name in images[:3]:
            assert client.post("/predict?source=gate", content=Path(name).read_bytes()).status_code == 200
        told = f'detsweep_watched_total{{what="images"}} {3.0}'
        deadline = time.monotonic() + 10
        while told not in client.get("/metrics").text:  # counted without a window that ended, too
            assert time.monotonic() < deadline
            time.sleep(0.01)
    lines = [line for p in (tmp_path / "log").rglob("*") if p.is_file() for line in p.read_text().splitlines()]
    assert sum('"gate"' in line for line in lines) == 3


def test_a_challenger_that_is_slow_in_the_shadow_keeps_nobody_waiting(
    two: tuple[str, str], images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    monkeypatch.setattr(Live, "_asked", lambda *_: (held.wait(30) and None, 1.0))
    content = Path(images[0]).read_bytes()
    args = dataclasses.replace(args_of(two, tmp_path / "live", mode="shadow"), queue=3)
    with TestClient(build(args)) as client:
        for _ in range(12):
            assert client.post("/predict", content=content).status_code == 200
        assert 'detsweep_watched_total{what="unnoted"} 7.0' in client.get("/metrics").text
        held.set()
    with TestClient(build(args)) as client:
        assert client.get("/live").json()["verdict"]["champion"]["images"] <= 5


@pytest.mark.parametrize("mode", ["split", "shadow"])
def test_a_full_disk_stops_the_record_and_not_the_service(
    mode: str,
    two: tuple[str, str],
    images: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    content = Path(images[0]).read_bytes()
    with TestClient(build(args_of(two, tmp_path / "live", mode=mode))) as client:
        known = client.post("/predict", content=content).json()["id"]
        wait_for_record(client)
        append = Events._append

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Events, "_append", full)
        for _ in range(3):
            assert client.post("/predict", content=content).status_code == 200
        labels = {"image": known, "boxes": [], "classes": []}
        refused = client.post("/feedback", json=labels)
        assert (refused.status_code, refused.json()["kind"]) == (503, "failed")
        monkeypatch.setattr(Events, "_append", append)
        assert client.post("/feedback", json=labels).json() == {"taken": True}
    assert sum("the live comparison can't be recorded" in r.message for r in caplog.records) == 1


def wait_for_record(client: TestClient) -> None:
    """Wait until the first answer is recorded."""
    deadline = time.monotonic() + 20
    while client.get("/live").json()["verdict"]["champion"]["images"] < 1:
        verdict = client.get("/live").json()["verdict"]
        if verdict["challenger"]["images"]:
            return
        assert time.monotonic() < deadline
        time.sleep(0.02)
