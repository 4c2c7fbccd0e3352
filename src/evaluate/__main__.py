"""`python -m src.evaluate sweep=NAME|latest`: evaluate finalists in depth from saved detections, and show it.

With `artifacts=FILE[,FILE] data=…` it evaluates model files instead. That takes engines, which are of higher rooms, so
`predict` does it and is found by its name.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from rich.console import Console

from src.cli.command import application
from src.common.errors import EXIT_OK, UserError
from src.evaluate.options import EvaluateArgs, check_arguments
from src.evaluate.resamples import ensure_resamples
from src.evaluate.sweep import evaluate_sweep
from src.evaluate.terminal import dashboard
from src.records.find_sweep import find_sweep
from src.records.schema import TrialRecord
from src.records.store import load
from src.records.sweep_folder import SweepFolder

OF_FILES = "src.predict.evaluation"


def run(args: EvaluateArgs) -> int:
    """Evaluate and print."""
    check_arguments(args)
    if args.artifacts is not None:
        import_module(OF_FILES).evaluate_files(args)
        return EXIT_OK
    folder = find_sweep(Path(args.outputs), args.sweep)
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
    return EXIT_OK


def main() -> None:
    """Run as a Hydra application."""
    application(run, "evaluate", EvaluateArgs, {"data": "digits", "runtime": "all"})


if __name__ == "__main__":
    main()
