"""`python -m src.report sweep=NAME|latest`: write a sweep's report again from its saved records, without training.

`merge_request=reports/NAME/decision.json` writes a short comment and JUnit XML for a merge request, and ends by policy.
`decision.device=NAME` decides by what was measured on another machine. `check=true` derives every number of a written
report again; `compare=A,B` puts sweeps side by side.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from src.cli.command import application
from src.common.errors import EXIT_FAILED, EXIT_OK, UserError
from src.config.idle_keys import Idle, refuse_idle
from src.config.schema import ReportConfig
from src.decide.settings import Again, given_again, load_decision
from src.records.find_sweep import find_sweep
from src.report.check import check_report
from src.report.compare import compare
from src.report.merge_request import JUNIT, POLICY, read_decision, write_comment
from src.report.terminal import print_summary
from src.report.text import catalogue
from src.report.write import Options, write_decision


@dataclass
class ReportArgs:
    """Arguments of the command."""

    sweep: str = "latest"  # name of a sweep, or latest
    check: bool = False  # derive every number of the written report again, and fail on one that was altered
    compare: str | None = None  # two or more sweeps: compare=A\,B or 'compare="A,B"'
    merge_request: str | None = None  # a decision.json: merge_request.md and junit.xml are written beside it
    against: str | None = None  # the decision.json before: what changed since is told
    # never | reject | conditional | changed: when merge_request ends in 1; null = reject. No word is the default, so
    # that one that is typed where nothing heeds it is told: a pipeline would take the 0 for the policy's answer.
    fail_on: str | None = None
    report: ReportConfig = field(default_factory=ReportConfig)
    decision: Again = field(default_factory=Again)  # decides again, by other measurements or limits
    outputs: str = "outputs"
    reports: str = "reports"


IDLE: list[Idle[ReportArgs]] = [
    Idle(
        "against fail_on",
        lambda a: a.merge_request is not None,
        "is about a comment on a merge request, and none is asked for",
        "merge_request=reports/NAME/decision.json",
    ),
    Idle(
        "sweep check compare report.language",
        lambda a: a.merge_request is None,
        "does nothing for a comment on a merge request",
        "leave it out",
    ),
    Idle("sweep", lambda a: a.compare is None, "does nothing beside compare, which names sweeps", "leave it out"),
]


def run(args: ReportArgs) -> int:
    """Write, check or compare, as `args` asks for."""
    outputs, reports = Path(args.outputs), Path(args.reports)
    catalogue(args.report.language)  # an unknown language is told before anything is read
    refuse_idle(args, IDLE)
    again = given_again(args.decision)
    if again and (args.check or args.compare is not None):
        what = "check" if args.check else "compare"
        raise UserError(
            f"{what} takes decisions as they were made",
            value=", ".join(f"decision.{key}" for key in again),
            remedy="leave out these keys: a written report is checked under the keys that it was written with"
            if args.check
            else "leave out these keys",
        )
    if args.merge_request is not None:
        return _comment(Path(args.merge_request), args.against, POLICY if args.fail_on is None else args.fail_on)
    if args.compare is not None:
        return _compare([name.strip() for name in args.compare.split(",")], outputs, reports, args.report.language)
    folder = find_sweep(outputs, args.sweep)
    if args.check:
        return _check(folder, reports)
    complete_resamples(folder)
    decision = load_decision(folder, again)
    path = write_decision(decision, reports, Options(args.report.language, again))
    print_summary(decision)
    print(f"report: {path}")
    return EXIT_OK


def complete_resamples(folder: Path) -> None:
    """Sweeps of earlier versions resampled the images for finalists only; what is missing is made from detections."""
    from src.evaluate.resamples import ensure_resamples

    try:
        ensure_resamples(folder)
    except OSError as error:  # a folder that can't be written is still reported, on the resamples that it has
        print(f"resamples of {folder.name} could not be completed ({error})", file=sys.stderr)


def _compare(names: list[str], outputs: Path, reports: Path, language: str) -> int:
    path = compare([find_sweep(outputs, name) for name in names], reports, language)
    print(path.read_text(encoding="utf-8"))
    print(f"comparison: {path}")
    return EXIT_OK


def _comment(decision: Path, against: str | None, fail_on: str) -> int:
    before = read_decision(Path(against)) if against is not None else None
    path, why = write_comment(read_decision(decision), before, fail_on, decision.parent)
    print(path.read_text(encoding="utf-8"))
    print(f"comment: {path}, and {JUNIT} beside it")
    return EXIT_FAILED if why else EXIT_OK


def _check(folder: Path, reports: Path) -> int:
    problems = check_report(folder, reports)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"report of {folder.name}: {'altered' if problems else 'every number follows from the records'}")
    return EXIT_FAILED if problems else EXIT_OK


def main() -> None:
    """Run as a Hydra application."""
    application(run, "report", ReportArgs)


if __name__ == "__main__":
    main()
