"""Requests a second of the service, against what the artifact gives without HTTP, and the cost of a single request.

python -m benchmarks.serve [imgsz] [rounds]

YOLOv8n, untrained, as ONNX at 320 px, on all cores. In each round, in turns: the same calls without HTTP (a picture
read, fitted, run and suppressed, by two readers and one engine, as the service has them), and the service under eight
clients. A single request is timed against the call that `src.predict` makes on the same picture.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from benchmarks._table import held, lines
from src import runtime
from src.config.schema import ExportConfig
from src.export import export
from src.inference import Prepared
from src.loadtest.client import Connections, saturate, target_of
from src.machine.environment import cores
from src.predict.engine import Predictor, Wanted
from src.predict.model import Opened, open_model
from src.serve.engine import Engine
from src.serve.held import Held
from src.serve.pictures import picture
from tests.services import free_port
from tests.tiny import make_checkpoint

SECONDS, CLIENTS = 6.0, 8
LEAST, MOST_MS = 0.9, 2.0  # share of the throughput without HTTP, and the cost of a request


def predictor_of(opened: Opened) -> Predictor:
    """As the service has it."""
    session = runtime.load("onnxruntime", opened.artifact, threads=cores(), device="cpu")
    return Predictor(session, opened.artifact, Wanted(0.25, 0.7, 300, "class", None))


def bare(opened: Opened, content: bytes) -> float:
    """Pictures a second without HTTP."""
    engine = Engine(predictor_of(opened), waiting=64)
    end, done = time.perf_counter() + SECONDS, 0

    def prepared() -> Prepared:
        return engine.predictor.prepare(picture(content, 10**8, Held(10**9)))

    def client(_: int) -> int:
        count = 0
        while time.perf_counter() < end:
            engine.submit(readers.submit(prepared).result()).result()
            count += 1
        return count

    begun = time.perf_counter()
    with ThreadPoolExecutor(2) as readers, ThreadPoolExecutor(CLIENTS) as clients:
        done = sum(clients.map(client, range(CLIENTS)))
    seconds = time.perf_counter() - begun
    engine.close()
    engine.join()
    return done / seconds


def served(port: int, content: bytes) -> float:
    """Answers a second of the service."""

    async def measured() -> float:
        connections = Connections(target_of(f"http://127.0.0.1:{port}", ""))
        rate = await saturate(connections, [content], CLIENTS, SECONDS)
        connections.close()
        return rate

    return asyncio.run(measured())


def single(port: int, opened: Opened, content: bytes, calls: int = 60) -> float:
    """Median ms of a request over that of the call alone, in turns."""
    predictor = predictor_of(opened)
    connections = Connections(target_of(f"http://127.0.0.1:{port}", ""))
    request = connections.target.request(content)

    async def timed() -> list[float]:
        over = []
        for _ in range(calls):
            begun = time.perf_counter()
            await connections.post(request)
            between = time.perf_counter()
            predictor([predictor.prepare(picture(content, 10**8, Held(10**9)))])
            over.append((between - begun) - (time.perf_counter() - between))
        return over

    return statistics.median(asyncio.run(timed())) * 1000


def start(model: Path, port: int) -> subprocess.Popen[bytes]:
    """The service, ready."""
    command = [sys.executable, "-m", "src.serve", f"model={model}", f"port={port}", "conf=0.25"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return process
    raise RuntimeError("the service did not start")


def main(imgsz: int = 320, rounds: int = 5) -> int:
    """Measure and print."""
    image = cv2.resize(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8), (640, 480))
    content = cv2.imencode(".jpg", image)[1].tobytes()
    with tempfile.TemporaryDirectory() as folder:
        artifact = export(make_checkpoint(Path(folder), imgsz=imgsz), "onnx/fp32", Path(folder), ExportConfig(name="b"))
        opened = open_model(Path(artifact.path), imgsz=None, names=None, trust=False)
        port = free_port()
        process = start(Path(artifact.path), port)
        try:
            pairs = [(bare(opened, content), served(port, content)) for _ in range(rounds)]
            over = [single(port, opened, content) for _ in range(rounds)]
        finally:
            process.terminate()
            process.wait()
    ratios = [http / alone for alone, http in pairs]
    rows = [["", "median", "least", "most"]]
    for name, values in (
        ("without HTTP, 1/s", [a for a, _ in pairs]),
        ("service, 1/s", [b for _, b in pairs]),
        (f"ratio, at least {LEAST}", ratios),
        (f"a request over the call, ms, at most {MOST_MS}", over),
    ):
        rows.append([name, *(f"{v:.3f}" for v in (statistics.median(values), min(values), max(values)))])
    print(lines(rows))
    print(
        json.dumps(
            {"ratio": held(statistics.median(ratios) >= LEAST), "over": held(statistics.median(over) <= MOST_MS)}
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
