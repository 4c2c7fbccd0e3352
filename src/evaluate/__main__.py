"""`python -m src.evaluate sweep=NAME|latest`: evaluate finalists in depth from saved detections, and show it.

With `artifacts=FILE[,FILE] data=…` it evaluates model files instead. That takes engines, which are of higher rooms:
this entry point, which nothing imports, is the one module of the room that may reach up to them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from src.cli.command import application, quote_paths
from src.common.errors import EXIT_OK, UserError
from src.evaluate.options import EvaluateArgs, check_arguments
from src.evaluate.resamples import ensure_resamples
from src.evaluate.suspects_of_sweep import suspects_of_sweep
from src.evaluate.sweep import evaluate_sweep
from src.evaluate.terminal import dashboard
from src.records.find_sweep import find_sweep
from src.records.schema import TrialRecord
from src.records.store import load
from src.records.sweep_folder import SweepFolder


def run(args: EvaluateArgs) -> int:
    """Evaluate and print."""
    check_arguments(args)
    if args.artifacts is not None:
        from src.predict.evaluation import evaluate_files

        evaluate_files(args)
        return EXIT_OK
    folder = find_sweep(Path(args.outputs), args.sweep)
    console = Console()
    if args.suspects is not None:
        suspects_of_sweep(folder, args.split, args.suspects, _say)
        return EXIT_OK
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


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    """Run as a Hydra application. Several files with commas between them are one text; brackets make a list."""
    if not any(word.startswith("artifacts=[") for word in sys.argv[1:]):
        quote_paths(("artifacts",))
    application(run, "evaluate", EvaluateArgs, {"data": "digits", "runtime": "all"})


if __name__ == "__main__":
    main()
