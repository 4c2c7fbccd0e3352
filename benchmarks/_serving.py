"""What `benchmarks.serve` measures: servers in processes of their own, how each is asked, and calls without HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.services import free_port
from src import runtime
from src.benchmark.latency import TimingPlan, time_end_to_end
from src.inference import Detector, Prepared, Thresholds
from src.loadtest.client import Connections, Target, saturate
from src.machine.environment import cores
from src.predict.engine import Predictor, Wanted
from src.predict.sources import decode_picture
from src.records.schema import Artifact
from src.serve.engine import Engine
from src.serve.held import Held
from src.serve.pictures import picture

CLIENTS = 8
PAUSE_S = 0.03  # before every single request and call alike: threads that spin end, and both begin on idle cores
READY_S = 120.0
IOU, MOST = 0.7, 300


class Form(Target):
    """Pictures go as the field `image` of a form, as Flask's guides have it."""

    def request(self, content: bytes) -> bytes:
        """The bytes of a POST of an image."""
        part = b'--sep\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n'
        body = part + b"Content-Type: image/jpeg\r\n\r\n" + content + b"\r\n--sep--\r\n"
        return self.post(body, "multipart/form-data; boundary=sep")

    def post(self, body: bytes, kind: str) -> bytes:
        """The bytes of a POST."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: {kind}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Pixels(Form):
    """Pictures go as MLflow's scoring server takes them: their pixels as JSON."""

    def request(self, content: bytes) -> bytes:
        """The bytes of a POST of an image's pixels, RGB."""
        from PIL import Image

        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))[None]
        return self.post(json.dumps({"inputs": pixels.tolist()}).encode(), "application/json")


@dataclass(frozen=True)
class Server:
    """One that runs."""

    target: Target
    log: Path  # what it prints

    def check(self, content: bytes) -> None:
        """Ask once.

        Raises:
            RuntimeError: it does not answer with success.
        """

        async def asked() -> int:
            connections = Connections(self.target)
            try:
                return await connections.post(self.target.request(content))
            finally:
                connections.close()

        status = asyncio.run(asked())
        if status != 200:
            raise RuntimeError(f"{self.target} answers {status}: {self.log.read_text()[-3000:]}")

    def rate(self, contents: Sequence[bytes], seconds: float) -> float:
        """Answers a second under `CLIENTS` that ask again as soon as they are answered."""

        async def measured() -> float:
            connections = Connections(self.target)
            try:
                return await saturate(connections, contents, CLIENTS, seconds)
            finally:
                connections.close()

        return asyncio.run(measured())


@contextmanager
def started(
    words: Sequence[str], kind: type[Target], paths: tuple[str, str], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Start a server, wait until it answers, end it afterwards.

    Args:
        words: of the command; `PORT` is replaced.
        kind: how it is asked.
        paths: at which it says that it is ready, and at which it takes pictures.
        log: file for what it prints.
        env: for it alone.
    """
    port = free_port()
    command = [sys.executable, *(word.replace("PORT", str(port)) for word in words)]
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, **(env or {})}, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}{paths[0]}", process, log)
        yield Server(kind("127.0.0.1", port, paths[1]), log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{url} does not answer: {log.read_text()[-2000:]}") from None
            time.sleep(0.2)
        else:
            return


def predictor_of(artifact: Artifact, confidence: float, *, spinning: bool = False) -> Predictor:
    """What `src.predict` calls; with the service's settings of ONNX Runtime unless its idle threads are to spin."""
    session = runtime.load("onnxruntime", artifact, threads=cores(), beside_others=not spinning)
    return Predictor(session, artifact, Wanted(confidence, IOU, MOST, "class", None))


def detector_of(artifact: Artifact, confidence: float, *, spinning: bool = False) -> Detector:
    """What `src.benchmark` times; see `predictor_of`."""
    session = runtime.load("onnxruntime", artifact, threads=cores(), beside_others=not spinning)
    return Detector(session, artifact, Thresholds(conf=confidence, iou=IOU, max_det=MOST, multi_label=False))


def alone(detector: Detector, content: bytes, seconds: float) -> float:
    """Calls a second of the network by itself: what no server of it exceeds."""
    x, count = detector.prepare(decode_picture(content, Path("a"))).x[None], 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        detector.run(x)
        count += 1
    return count / (time.perf_counter() - begun)


def one_by_one(detector: Detector, contents: Sequence[bytes], seconds: float) -> float:
    """Pictures a second by `src.benchmark`'s own end to end timing: one call after the other."""
    files: list[NDArray[np.uint8]] = [np.frombuffer(content, np.uint8) for content in contents]
    found = time_end_to_end(detector, files, TimingPlan(10, 1, seconds, seconds * 1.5))
    return 1000 * len(found.samples_ms) / sum(found.samples_ms)


def side_by_side(predictor: Predictor, contents: Sequence[bytes], seconds: float) -> float:
    """Pictures a second of the service's own parts without HTTP: readers, a queue and one engine, for `CLIENTS`."""
    engine = Engine(predictor, waiting=64)
    end = time.perf_counter() + seconds

    def prepared(content: bytes) -> Prepared:
        return predictor.prepare(picture(content, 10**8, Held(10**9)))

    def client(number: int) -> int:
        count = 0
        while time.perf_counter() < end:
            content = contents[(number + count) % len(contents)]
            engine.submit(readers.submit(prepared, content).result()).result()
            count += 1
        return count

    begun = time.perf_counter()
    with ThreadPoolExecutor(2) as readers, ThreadPoolExecutor(CLIENTS) as clients:
        done = sum(clients.map(client, range(CLIENTS)))
    took = time.perf_counter() - begun
    engine.close()
    engine.join()
    return done / took


def over_the_call(server: Server, predictor: Predictor, content: bytes, calls: int) -> list[float]:
    """ms of a request over those of the call that `src.predict` makes on the same picture, in turns."""
    connections = Connections(server.target)
    request = server.target.request(content)

    async def timed() -> list[float]:
        over = []
        for _ in range(calls):
            await asyncio.sleep(PAUSE_S)
            begun = time.perf_counter()
            assert await connections.post(request) == 200
            asked = time.perf_counter() - begun
            await asyncio.sleep(PAUSE_S)
            begun = time.perf_counter()
            predictor([predictor.prepare(picture(content, 10**8, Held(10**9)))])
            over.append((asked - (time.perf_counter() - begun)) * 1000)
        connections.close()
        return over

    return asyncio.run(timed())
