"""Any JSON in any place of a request is answered by its kind, and never with 500."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from src.records.schema import Artifact
from src.serve.app import build
from src.serve.options import LiveConfig, ServeArgs

VALUES = ["null", "true", "-1", "0", "1.5", "1e999", "-1e999", "NaN", "1" + "0" * 400, '""', '"x"', "[]", "[[]]", "{}"]
VALUES += ["[null]", '[{"x": []}]', '{"parameters": [1]}', '[{"parameters": [1]}]', "[[1, 2, 3, 4]]", "[1e308, 1e308]"]


@pytest.fixture
def client(onnx: Artifact, tmp_path: Path) -> Iterator[TestClient]:
    """A service with a challenger."""
    other = tmp_path / "other"
    shutil.copytree(Path(onnx.path).parent, other)
    live = LiveConfig(challenger=str(other / Path(onnx.path).name), folder=str(tmp_path / "live"))
    args = ServeArgs(model=onnx.path, conf=1e-6, threads=1, live=live)
    with TestClient(build(args), raise_server_exceptions=False) as made:
        yield made


def changed(whole: Any) -> Iterator[str]:
    """The JSON of a request with each of its values in turn replaced by each of `VALUES`."""
    for place in places(whole):
        for value in VALUES:
            other = {"": copy.deepcopy(whole)}
            holder: Any = other
            for step in ["", *place][:-1]:
                holder = holder[step]
            holder[["", *place][-1]] = "@"
            yield json.dumps(other[""]).replace('"@"', value)


def places(whole: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to every value inside a value, and to itself; of a list, to its first one."""
    yield at
    inside = whole.items() if isinstance(whole, dict) else list(enumerate(whole))[:1] if isinstance(whole, list) else []
    for key, value in inside:
        yield from places(value, (*at, key))


def test_tensors(client: TestClient) -> None:
    one = {"name": "images", "shape": [1, 3, 64, 64], "datatype": "FP32", "parameters": {}, "data": [0]}
    output = {"outputs": [{"name": "output0", "parameters": {"binary_data": True}}]}
    asked = {"id": "a", **output, "parameters": {"binary_data_output": False}}
    name, zeros = "/v2/models/model.onnx/infer", "[" + "0," * 12287 + "0]"
    whole = json.dumps({"inputs": [one]}).replace("[0]", zeros)
    assert client.post(name, content=whole).status_code == 200
    for body in changed({"inputs": [one]}):
        assert client.post(name, content=body).status_code == 400, body[:300]
    for body in changed(asked):
        if body.startswith("{") and len(body) > 2:
            body = body[:-1] + "," + whole[1:]
        assert client.post(name, content=body).status_code in (200, 400), body[:300]


def test_feedback(client: TestClient, images: list[str]) -> None:
    content = Path(images[0]).read_bytes()
    labels = {"image": client.post("/predict", content=content).json()["id"], "boxes": [[1, 2, 3, 4]], "classes": [0]}
    for body in changed(labels):
        answer = client.post("/feedback", content=body)
        assert answer.status_code in (200, 400), body[:300]
    many = labels | {"boxes": [[1, 2, 3, 4]] * 10_001, "classes": [0] * 10_001}
    assert "more than 10000" in client.post("/feedback", json=many).json()["error"]
    assert client.get("/live").status_code == 200
