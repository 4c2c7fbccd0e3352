"""The report: reads saved records, ranks what they hold and writes the decision down. It imports no torch."""

from __future__ import annotations

from src.report.load import Saved, find_sweep, known_sweeps, load_sweep
from src.report.rank import Ranking, rank
from src.report.terminal import print_summary, summary
from src.report.write import Options, load_ranking, write_report

__all__ = [
    "Options",
    "Ranking",
    "Saved",
    "find_sweep",
    "known_sweeps",
    "load_ranking",
    "load_sweep",
    "print_summary",
    "rank",
    "summary",
    "write_report",
]
