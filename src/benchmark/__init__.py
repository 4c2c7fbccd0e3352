"""Artifacts on runtimes to measurements, each block in a process of its own. See docs/benchmark.md."""

from src.benchmark.measure import measure, predict

__all__ = ["measure", "predict"]
