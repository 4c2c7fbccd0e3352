"""The machine's own limit: how many float32 operations a second a matrix product reaches here and now.

A latency means little without it: 60 % of the peak says that no other float32 engine can be twice as fast. It is
measured in the same run and the same way as the artifacts, in a process of its own with the same threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

SIDE = 1536  # three matrices of 9 MB: beyond the second cache, as a network's layers are
SECONDS = 0.6


def measure_gemm() -> float:
    """GFLOP/s of the best of many float32 products [SIDE, SIDE] × [SIDE, SIDE] with the threads of this process."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((SIDE, SIDE), np.float32) for _ in range(2))
    out = np.empty_like(a)
    return _best(lambda: np.matmul(a, b, out=out))


def torch_gemm() -> float:
    """The same through PyTorch's matrix product: which library is faster depends on the processor."""
    import torch

    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    return _best(lambda: torch.matmul(a, b))


def _best(product: Callable[[], object]) -> float:
    product()
    best, start = np.inf, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        t0 = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - t0)
    return 2 * SIDE**3 / best / 1e9


def gemm_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """The worker's job: the better of both libraries."""
    threads = int(job["threads"])
    found = {"numpy": measure_gemm()}
    import torch

    torch.set_num_threads(threads)
    found["torch"] = torch_gemm()
    return {"gflops": max(found.values()), **{f"gflops_{name}": value for name, value in found.items()}}


def share(gflops: float, batch: int, latency_ms: float, peak_gflops: float) -> float:
    """Share of the peak that a network of `gflops` an image reaches."""
    return gflops * batch / (latency_ms / 1e3) / peak_gflops
