"""Requests a second that a service of each measured artifact answers within the promise of the decision.

Asked for by `decision.min_capacity_rps`. The service is the real one in a process of its own, with the runtime and
threads that the artifact was measured with; the load comes from this process, on the same cores. The service is a
higher room, so it is found by name, as a command.
"""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from src.common.errors import StageError
from src.common.root import ROOT
from src.config.schema import DecisionConfig
from src.data import load_split
from src.loadtest.capacity import Capacity
from src.loadtest.search import Search, capacity_at
from src.pipeline.context import Context, Inputs
from src.pipeline.measured import Findings, Say
from src.records.schema import Artifact, Measurement

HOST = "127.0.0.1"
PATIENCE_S = 120.0  # in which the service must be ready
IMAGES = 8  # of val, sent in turn


def measure_capacities(found: Sequence[Findings], context: Context, inputs: Inputs, say: Say) -> None:
    """Add its capacity to every measurement that decides, where the decision limits it.

    Args:
        found: the finalists, measured; what is found goes into their measurements' `extra`.
        context: of the sweep.
        inputs: datasets.
        say: prints a line of progress.
    """
    for one in found:
        decision = one.cfg.decision
        if decision.min_capacity_rps is None:
            continue
        contents = [Path(s.image).read_bytes() for s in load_split(inputs.dataset(one.cfg), "val")[:IMAGES]]
        files = {a.sha256: a for a in one.artifacts}
        for place, m in enumerate(one.measurements):
            if not _decides(m, decision):
                continue
            artifact = files[m.artifact_sha256]
            say(f"finalist {one.record.trial}: capacity of {artifact.label} on {m.runtime}")
            try:
                with service(artifact, m, context.folder / "service.log") as url:
                    capacity = capacity_at(url, contents, Search(decision.max_p99_ms))
            except (StageError, OSError) as error:
                one.fail("capacity", f"{m.runtime} {artifact.label}", error)
                continue
            one.measurements[place] = replace(m, extra=m.extra | figures(capacity, decision.max_p99_ms))


def figures(capacity: Capacity, promise_ms: float) -> dict[str, float]:
    """A capacity as further figures of a measurement; an upper bound that was not found is left out."""
    own = {"capacity_p99_ms": promise_ms, "capacity_rps": capacity.rate, "capacity_low_rps": capacity.low}
    return own | ({"capacity_high_rps": capacity.high} if math.isfinite(capacity.high) else {})


def _decides(m: Measurement, decision: DecisionConfig) -> bool:
    same = m.scope == decision.scope and m.batch == decision.batch
    return same and decision.runtime in (None, m.runtime)


@contextmanager
def service(artifact: Artifact, m: Measurement, log: Path) -> Iterator[str]:
    """The service of an artifact as it was measured; gives its address.

    Raises:
        StageError: it does not start.
    """
    port = _free_port()
    words = [f"model={artifact.path}", f"port={port}", f'runtime="{m.runtime}"', f"threads={m.threads}"]
    words += [f"device={m.device}", "queue=100000", "max_connections=4096"]
    own = {k: v for k, v in os.environ.items() if k != "DETSWEEP_SERVE_TOKEN"}
    with open(log, "wb") as stream:
        command = [sys.executable, "-m", "src.serve", *words]
        process = subprocess.Popen(command, cwd=ROOT, env=own, stdout=stream, stderr=stream)
    try:
        _wait(process, f"http://{HOST}:{port}/v2/health/ready", artifact.label)
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, label: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise StageError("capacity", label, "the service did not start; its output is in service.log")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
