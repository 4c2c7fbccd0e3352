"""The service's answers, in one process: boxes, protocol, refusals."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from src import runtime
from src.predict.engine import Predictor, Wanted
from src.predict.model import open_model
from src.predict.sources import read_picture
from src.records.schema import Artifact
from src.serve.app import build
from src.serve.options import TOKEN, ServeArgs
from tests.serve.wrong import BYTES, PICTURES, PIXELS, described, saved, tensors

LOW = 1e-6  # an untrained network is sure of nothing
SIDE = 64  # px of its input


def args_of(artifact: Artifact, **others: Any) -> ServeArgs:
    """Arguments of a service of a file."""
    return ServeArgs(model=artifact.path, conf=LOW, threads=1, **others)


@pytest.fixture(scope="module")
def client(onnx: Artifact) -> Iterator[TestClient]:
    with TestClient(build(args_of(onnx, max_bytes=BYTES, max_pixels=PIXELS))) as made:
        yield made


@pytest.fixture(scope="module")
def direct(onnx: Artifact) -> Predictor:
    """What `src.predict` calls."""
    opened = open_model(Path(onnx.path), imgsz=None, names=None, trust=False)
    session = runtime.load("onnxruntime", opened.artifact, threads=1, device="cpu")
    return Predictor(session, opened.artifact, Wanted(LOW, 0.7, 300, "class", None))


def test_the_boxes_are_those_of_prediction_bit_for_bit(
    client: TestClient, direct: Predictor, images: list[str]
) -> None:
    for name in images[:3]:
        content = Path(name).read_bytes()
        expected = direct([direct.prepare(read_picture(Path(name)))])[0]
        for answer in (client.post("/predict", content=content), client.post("/predict", files={"image": content})):
            assert answer.status_code == 200, answer.text
            said = answer.json()
            assert len(said["scores"]) == len(expected.scores) > 0
            assert np.array_equal(np.array(said["boxes"], np.float32), expected.boxes)
            assert np.array_equal(np.array(said["scores"], np.float32), expected.scores)
            assert said["classes"] == expected.classes.tolist()
            assert len(said["names"]) == len(said["classes"])
            height, width = read_picture(Path(name)).shape[:2]
            assert said["image"] == {"width": width, "height": height}


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_no_picture_is_refused_by_kind(client: TestClient, name: str) -> None:
    wrong = PICTURES[name]()
    begun = time.monotonic()
    answer = client.post("/predict", content=wrong.content)
    assert (answer.status_code, answer.json()["kind"]) == (wrong.status, wrong.kind), answer.text
    assert set(answer.json()) <= {"error", "kind", "remedy"}
    assert "Traceback" not in answer.text
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_what_was_truncated_is_fine_as_a_whole(kind: str, client: TestClient) -> None:
    assert client.post("/predict", content=saved(kind)).status_code == 200


def test_a_form_without_the_field_is_refused(client: TestClient) -> None:
    answer = client.post("/predict", files={"picture": b"x"})
    assert (answer.status_code, answer.json()["kind"]) == (400, "no_image")
    broken = client.post("/predict", content=b"--x", headers={"content-type": "multipart/form-data; boundary=y"})
    assert broken.status_code == 400
    assert "error" in broken.json()


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    answer = client.post("/predict", content=b"x", headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["kind"]) == (415, "encoding")


def test_pages_that_do_not_exist_are_told_in_json(client: TestClient) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.get("/predict").status_code == 405
    assert "error" in client.get("/nothing").json()


def test_the_page_and_the_description(client: TestClient) -> None:
    page = client.get("/").text
    assert "<form" in page
    assert "//" not in page.replace("https://", "//").replace("http://", "//") or "src=" not in page
    assert "/predict" in client.get("/openapi.json").json()["paths"]


def test_the_protocol_tells_health_and_model(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    said = client.get("/v2/models/model.onnx").json()
    assert said["inputs"] == [{"name": "images", "datatype": "FP32", "shape": [-1, 3, 64, 64]}]
    assert client.get("/v2/models/other").status_code == 404


def tensor(n: int = 1) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A network's input."""
    return np.random.default_rng(5).random((n, 3, 64, 64), np.float32)


def test_raw_tensors_in_and_out_as_json_and_binary(client: TestClient, direct: Predictor) -> None:
    x = tensor()
    expected = direct.raw(x)[0]
    address = "/v2/models/model.onnx/infer"
    plain = client.post(address, json={"id": "7", "inputs": [described(x, data=x.ravel().tolist())]}).json()
    assert plain["id"] == "7"
    output = plain["outputs"][0]
    assert np.array_equal(np.array(output["data"], np.float32).reshape(output["shape"]), expected)
    head = json.dumps(
        {
            "inputs": [described(x, parameters={"binary_data_size": x.nbytes})],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    answer = client.post(
        address, content=head + x.tobytes(), headers={"Inference-Header-Content-Length": str(len(head))}
    )
    end = int(answer.headers["Inference-Header-Content-Length"])
    told = json.loads(answer.content[:end])["outputs"][0]
    assert told["parameters"]["binary_data_size"] == expected.nbytes
    assert np.array_equal(np.frombuffer(answer.content[end:], "<f4").reshape(told["shape"]), expected)


@pytest.mark.parametrize("name", tensors(SIDE))
def test_wrong_tensors_are_refused(client: TestClient, name: str) -> None:
    answer = client.post("/v2/models/model.onnx/infer", json=tensors(SIDE)[name])
    assert (answer.status_code, answer.json()["kind"]) == (400, "bad_request")


def test_a_lying_header_and_no_json_are_refused(client: TestClient) -> None:
    address = "/v2/models/model.onnx/infer"
    for length in ("5", "x", "-1"):
        answer = client.post(address, content=b"{}", headers={"Inference-Header-Content-Length": length})
        assert answer.status_code == 400, length
    assert client.post(address, content=b"[" * 100_000).status_code == 400


def test_a_token_is_demanded_where_one_is_set(
    onnx: Artifact, images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "a-token-of-the-tests"
    monkeypatch.setenv(TOKEN, token)
    content = Path(images[0]).read_bytes()
    with TestClient(build(args_of(onnx))) as client:
        assert client.post("/predict", content=content).status_code == 401
        assert client.get("/metrics").status_code == 401
        wrong = client.post("/predict", content=content, headers={"Authorization": f"Bearer {token}x"})
        assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, "Bearer")
        right = client.post("/predict", content=content, headers={"Authorization": f"Bearer {token}"})
        assert right.status_code == 200
        assert client.get("/v2/health/ready").status_code == 200


def test_a_full_queue_turns_pictures_away(onnx: Artifact, images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import src.serve.engine as engine

    original = engine.Engine._predict

    def slow(self: engine.Engine, jobs: list[engine.Job]) -> list[engine.Answer]:
        time.sleep(0.4)
        return original(self, jobs)

    monkeypatch.setattr(engine.Engine, "_predict", slow)
    content = Path(images[0]).read_bytes()
    with TestClient(build(args_of(onnx, queue=1))) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/predict", content=content), range(8)))
    statuses = [a.status_code for a in answers]
    assert set(statuses) == {200, 429}
    turned = next(a for a in answers if a.status_code == 429)
    assert turned.headers["retry-after"] == "1"
    assert turned.json()["kind"] == "busy"


def test_an_engine_that_fails_is_no_end(onnx: Artifact, images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    content = Path(images[0]).read_bytes()
    with TestClient(build(args_of(onnx)), raise_server_exceptions=False) as client:
        with monkeypatch.context() as patched:
            patched.setattr(Predictor, "__call__", lambda *_: 1 / 0)
            failed = client.post("/predict", content=content)
        assert failed.status_code == 500
        assert failed.json()["kind"] == "failed"
        assert "division" not in failed.text
        assert client.post("/predict", content=content).status_code == 200


def test_numbers_for_prometheus(client: TestClient, images: list[str]) -> None:
    client.post("/predict", content=Path(images[0]).read_bytes())
    text = client.get("/metrics").text
    assert 'detsweep_requests_total{path="/predict",status="200"}' in text
    assert 'detsweep_model{name="model.onnx",version=""} 1.0' in text
