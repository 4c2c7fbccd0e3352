"""`python -m src.evaluate sweep=NAME|latest`: evaluate finalists in depth from saved detections, and show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from src.cli.command import application
from src.common.errors import UserError
from src.evaluate.resamples import ensure_resamples
from src.evaluate.sweep import evaluate_sweep
from src.evaluate.terminal import dashboard
from src.records.find_sweep import find_sweep
from src.records.schema import TrialRecord
from src.records.store import load
from src.records.sweep_folder import SweepFolder


@dataclass
class EvaluateArgs:
    """Arguments of the command."""

    sweep: str = "latest"  # name of a sweep, or latest
    trial: int | None = None  # show this finalist only
    production: float = 0.25  # confidence threshold in use
    again: bool = False  # evaluate again what was evaluated
    outputs: str = "outputs"


def run(args: EvaluateArgs) -> int:
    """Evaluate and print."""
    folder = find_sweep(Path(args.outputs), args.sweep)
    if not 0 <= args.production <= 1:
        raise UserError("production must be a confidence between 0 and 1", value=args.production)
    console = Console()
    ensure_resamples(folder)
    found = evaluate_sweep(folder, production=args.production, again=args.again, say=console.print)
    numbers = sorted({r.trial for r in found})
    if args.trial is not None and args.trial not in numbers:
        raise UserError("trial is no finalist of this sweep", value=args.trial, remedy=f"one of: {numbers}")
    for number in numbers if args.trial is None else [args.trial]:
        trial = load(TrialRecord, SweepFolder(folder).trial(number).record)
        console.print(dashboard(trial, [r for r in found if r.trial == number]))
    if not found:
        console.print("no finalist has a verified artifact: nothing to evaluate")
    return 0


def main() -> None:
    """Run as a Hydra application."""
    application(run, "evaluate", EvaluateArgs)


if __name__ == "__main__":
    main()
