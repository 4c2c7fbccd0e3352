"""The Open Inference Protocol, version 2: health, what the model takes and gives, and raw tensors in and out.

Tensors travel as JSON or in binary after the JSON header, as the protocol's binary extension has it. The input is the
network's own, float32 [n, 3, h, w]; the outputs are the network's own too. Boxes are what `/predict` gives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from src.inference.types import Float
from src.serve.model_source import Served
from src.serve.refusals import Refusal, not_ready

if TYPE_CHECKING:
    from src.serve.service import Service

HEADER = "inference-header-content-length"
INPUT = "images"
TYPES = {"FP32": np.float32, "FP64": np.float64, "FP16": np.float16, "UINT8": np.uint8, "INT32": np.int32}
MOST_IMAGES = 64  # in one request


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the protocol's addresses to an application."""

    @app.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready")
    async def ready() -> dict[str, bool]:
        return {"ready": bool(service.state.current)}

    @app.get("/v2")
    async def server() -> dict[str, Any]:
        return {"name": "detsweep", "version": "2", "extensions": ["binary_tensor_data"]}

    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{version}")
    async def model(name: str, version: str = "") -> dict[str, Any]:
        return described(named(service.state.current.served, name, version))

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    async def model_ready(name: str, version: str = "") -> dict[str, Any]:
        return {"name": named(service.state.current.served, name, version).name, "ready": True}

    async def infer(request: Request, name: str, version: str = "") -> Response:
        current = service.state.current
        named(current.served, name, version)
        body, shape = await request.body(), input_shape(current.served)
        asked, x = await service.aside(lambda: tensor_of(body, request.headers, shape))
        outputs = await service.wait(current.engine.submit(x))
        return await service.aside(lambda: answered(asked, current.served, outputs))

    for path in ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"):
        app.add_api_route(path, infer, methods=["POST"], response_model=None)


def named(served: Served, name: str, version: str) -> Served:
    """The model of this name.

    Raises:
        Refusal: another is served.
    """
    if name != served.name:
        raise Refusal(404, "no_such_model", f"no model {name[:100]!r} is served", f"/v2/models/{served.name}")
    if version and served.version and version != served.version:
        raise not_ready()
    return served


def input_shape(served: Served) -> tuple[int, int, int]:
    """Channels, height and width of the network's input."""
    return (3, *served.predictor.size)


def described(served: Served) -> dict[str, Any]:
    """What the protocol says of a model."""
    shape = [-1, *input_shape(served)]
    return {
        "name": served.name,
        "versions": [served.version or "1"],
        "platform": f"{served.artifact.format}_{served.runtime}",
        "inputs": [{"name": INPUT, "datatype": "FP32", "shape": shape}],
        "outputs": [{"name": "output0", "datatype": "FP32", "shape": [-1, -1, -1]}],
        "parameters": {"classes": served.names, "confidence": served.confidence},
    }


def tensor_of(body: bytes, headers: Mapping[str, str], shape: tuple[int, int, int]) -> tuple[dict[str, Any], Float]:
    """The request's JSON, and its input float32 [n, 3, h, w].

    Args:
        body: of the request.
        headers: `Inference-Header-Content-Length` is the JSON's length where binary tensors follow.
        shape: channels, height and width that the network takes.

    Raises:
        Refusal: it is no request of the protocol, or the tensor is not what the network takes.
    """
    asked, binary = _parted(body, headers)
    given = asked.get("inputs")
    if not isinstance(given, list) or len(given) != 1 or not isinstance(given[0], dict):
        raise _bad(f"`inputs` must hold one tensor, {INPUT}")
    one = given[0]
    if one.get("name") != INPUT:
        raise _bad(f"the input's `name` must be {INPUT}")
    dims, kind = one.get("shape"), one.get("datatype")
    if not isinstance(dims, list) or not all(type(d) is int and d > 0 for d in dims):
        raise _bad("`shape` must be a list of positive whole numbers")
    if not isinstance(kind, str) or kind not in TYPES:
        raise _bad(f"`datatype` must be one of {', '.join(TYPES)}")
    if tuple(dims[1:]) != shape or len(dims) != 4 or dims[0] > MOST_IMAGES:
        raise _bad(f"`shape` must be [n, {', '.join(map(str, shape))}] with n from 1 to {MOST_IMAGES}")
    return asked, _values(one, binary, dims, kind)


def _parted(body: bytes, headers: Mapping[str, str]) -> tuple[dict[str, Any], bytes]:
    length = headers.get(HEADER)
    if length is not None and (not length.isdigit() or int(length) > len(body)):
        raise _bad("Inference-Header-Content-Length is not the length of the JSON in the body")
    end = int(length) if length is not None else len(body)
    try:
        asked = json.loads(body[:end])
    except (ValueError, RecursionError):
        raise _bad("the body is no JSON") from None
    if not isinstance(asked, dict):
        raise _bad("the body is no JSON object")
    return asked, body[end:]


def _values(one: Mapping[str, Any], binary: bytes, dims: Sequence[int], kind: str) -> Float:
    dtype, count = np.dtype(TYPES[kind]), int(np.prod(dims))
    parameters = one.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    try:
        if size is not None:
            if size != len(binary) or size != count * dtype.itemsize:
                raise _bad("`binary_data_size` is not the size of the data, or not that of the shape")
            flat = np.frombuffer(binary, dtype.newbyteorder("<"))
        else:
            with np.errstate(over="ignore"):  # what is too large is not finite, and refused for that
                flat = np.asarray(one.get("data"), dtype).reshape(-1)
    except (ValueError, TypeError, OverflowError):
        raise _bad("`data` holds something else than numbers") from None
    if flat.size != count:
        raise _bad(f"`data` holds {flat.size} numbers where the shape wants {count}")
    x = np.ascontiguousarray(flat.reshape(dims), np.float32)
    if not np.isfinite(x).all():
        raise _bad("`data` holds numbers that are not finite")
    return x


def answered(asked: Mapping[str, Any], served: Served, outputs: Sequence[Float]) -> Response:
    """The outputs, in binary where the request wants them so."""
    parts: list[bytes] = []
    listed = []
    binary = _wants_binary(asked)
    for number, output in enumerate(outputs):
        entry: dict[str, Any] = {"name": f"output{number}", "datatype": "FP32", "shape": list(output.shape)}
        if binary:
            parts.append(np.ascontiguousarray(output, "<f4").tobytes())
            entry["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            entry["data"] = output.reshape(-1).tolist()
        listed.append(entry)
    told: dict[str, Any] = {"model_name": served.name, "model_version": served.version or "1", "outputs": listed}
    if isinstance(asked.get("id"), str):
        told["id"] = asked["id"][:200]
    if not binary:
        return JSONResponse(told)
    head = json.dumps(told).encode()
    return Response(head + b"".join(parts), media_type="application/octet-stream", headers={HEADER: str(len(head))})


def _wants_binary(asked: Mapping[str, Any]) -> bool:
    parameters = asked.get("parameters")
    if isinstance(parameters, dict) and parameters.get("binary_data_output"):
        return True
    wanted = asked.get("outputs")
    if not isinstance(wanted, list) or not wanted:
        return False
    told = [o.get("parameters") if isinstance(o, dict) else None for o in wanted]
    return all(isinstance(p, dict) and p.get("binary_data") is True for p in told)


def _bad(text: str) -> Refusal:
    return Refusal(400, "bad_request", text, "see GET /v2/models/NAME for what the model takes")
