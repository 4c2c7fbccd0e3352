"""The report: reads saved records, ranks what they hold and writes the decision down. It imports no torch."""

from __future__ import annotations

from src.decide.choice import Decision, decide
from src.decide.load import Saved, load_sweep
from src.decide.settings import load_decision
from src.records.find_sweep import find_sweep, known_sweeps
from src.report.terminal import print_summary, summary
from src.report.write import Options, write_report

__all__ = [
    "Decision",
    "Options",
    "Saved",
    "decide",
    "find_sweep",
    "known_sweeps",
    "load_decision",
    "load_sweep",
    "print_summary",
    "summary",
    "write_report",
]
