"""`make chaos KILLS=100`: kill toy sweeps again and again, and count what was lost, doubled, torn or left behind.

python -m benchmarks.chaos --kills 100 --seed 1          kills, three of ten in sweeps of three workers
python -m benchmarks.chaos --plant torn-write            a defect planted, which has to be found
python -m benchmarks.chaos --plant all                   every planted defect, one after the other

Exit status: 0 when nothing is off (or the planted defect was found), 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.chaos.audit import Findings, audit
from benchmarks.chaos.faults import Planner, census
from benchmarks.chaos.field import Damage, Field
from benchmarks.chaos.fork import preload
from benchmarks.chaos.kill_points import Fault
from benchmarks.chaos.planted_defects import PLANTS

ROOT = Path(__file__).resolve().parents[2]
TRIALS = 8
PER_SWEEP = 12  # kills of one sweep, about
FRESH_EVERY = 3  # every so many sweeps one begins without a database
ROWS = (
    ("trials lost", "lost"),
    ("twice (trials, slots, runs)", "doubled"),
    ("runs or trials left running", "running"),
    ("torn, or not matching its hash", "torn"),
    ("left-over files", "litter"),
    ("epochs logged twice", "logged_twice"),
    ("tables or metrics that differ", "different"),
    ("processes left behind", "orphans"),
    ("commands that hung", "hangs"),
    ("wrong endings", "endings"),
    ("runs left open by an interruption", "left_open"),
    ("epochs repeated beyond one a kill", "epochs"),
)


class Campaign:
    """All sweeps of one number of workers."""

    def __init__(self, folder: Path, workers: int, seed: int, plant: str = "") -> None:
        self.folder, self.workers, self.seed, self.plant = folder, workers, seed, plant
        self.results: list[tuple[Findings, Damage]] = []
        self.template = folder / "template"
        self.reference = folder / f"undisturbed-{workers}"

    def prepare(self) -> None:
        """Run the undisturbed sweep, which also gives the moments to kill at."""
        whole = Field(self.reference, self.workers, "", None)
        whole.attack([])
        if whole.damage.endings or whole.damage.hangs:
            tail = (whole.control / "output.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
            raise SystemExit(f"the undisturbed sweep failed:\n{tail}")
        if not self.template.is_dir():
            make_template(self.reference / "outputs", self.template)
        self.planner = Planner(self.seed, census(whole.control / "moments.log"), self.workers)

    def run(self, kills: int) -> None:
        """Sweep after sweep, until so many kills were delivered."""
        sweeps = 0
        while (done := sum(len(d.kills) for _, d in self.results)) < kills:
            fresh = sweeps % FRESH_EVERY == FRESH_EVERY - 1
            faults = list(self.planner.sweep(min(PER_SWEEP, kills - done), fresh=fresh))
            self.sweep(faults, fresh=fresh)
            sweeps += 1

    def sweep(self, faults: list[Fault], *, fresh: bool = False) -> None:
        """One sweep under these faults."""
        begun = time.monotonic()
        home = self.folder / f"sweep-{self.workers}-{len(self.results):03d}"
        field = Field(home, self.workers, self.plant, None if fresh else self.template)
        field.attack(faults)
        found = audit(home, self.reference, TRIALS)
        self.results.append((found, field.damage))
        note = ", ".join(name for name, count in table([(found, field.damage)]).items() if count) or "nothing off"
        seconds = time.monotonic() - begun
        kills = len(field.damage.kills)
        print(
            f"{self.workers} worker(s), sweep {len(self.results)}: {kills} kills, {seconds:.0f} s: {note}", flush=True
        )


def make_template(outputs: Path, template: Path) -> None:
    """Outputs with the dataset and an empty database, so that not every sweep has to make them."""
    import shutil

    from mlflow import MlflowClient

    template.mkdir()
    shutil.copytree(outputs / "datasets", template / "datasets", symlinks=True)
    MlflowClient(f"sqlite:///{template}/mlflow.db").search_experiments()


def table(results: list[tuple[Findings, Damage]]) -> dict[str, int]:
    """Counts of everything that should be none."""
    counts = {}
    for title, name in ROWS:
        counts[title] = sum(len(getattr(f, name, [])) + len(getattr(d, name, [])) for f, d in results)
    beyond = sum(max(f.epochs_repeated - d.trainings_killed, 0) for f, d in results)
    return counts | {"epochs repeated beyond one a kill": beyond}


def details(results: list[tuple[Findings, Damage]]) -> list[str]:
    """Every single thing that is off."""
    lines = []
    for i, (f, d) in enumerate(results, 1):
        for title, name in ROWS:
            lines += [f"  sweep {i}: {title}: {x}" for x in [*getattr(f, name, []), *getattr(d, name, [])]]
    return lines


def show(results: list[tuple[Findings, Damage]]) -> int:
    """Print the table; returns how much is off."""
    kills = [k for _, d in results for k in d.kills]
    signals = Counter(k.signal for k in kills)
    counts = table(results)
    print(f"\n{'sweeps':38}{len(results):6}   in {sum(d.commands for _, d in results)} commands")
    print(f"{'kills':38}{len(kills):6}   {', '.join(f'{n} {s}' for s, n in sorted(signals.items()))}")
    kill_points = {k.moment for k in kills if k.moment}
    print(f"{'at named moments':38}{sum(bool(k.moment) for k in kills):6}   {len(kill_points)} different ones")
    print(f"{'to one worker / command / all':38}{'':6}   {dict(sorted(Counter(k.scope for k in kills).items()))}")
    asked, finished = sum(f.asked for f, _ in results), sum(f.finished for f, _ in results)
    print(f"{'trials finished':38}{finished:6}   of {asked} asked for")
    print(f"{'epochs repeated':38}{sum(f.epochs_repeated for f, _ in results):6}   at most one a kill and worker")
    for title, count in counts.items():
        print(f"{title:38}{count:6}   {'' if count else 'ok'}{'OFF' if count else ''}")
    for line in details(results)[:60]:
        print(line)
    return sum(counts.values())


def campaign(folder: Path, args: argparse.Namespace) -> int:
    """Kill as often as asked, and print what was found."""
    results = []
    for workers, kills in ((1, args.kills - args.kills * 3 // 10), (3, args.kills * 3 // 10)):
        if args.workers not in (0, workers) or not (kills := args.kills if args.workers else kills):
            continue
        one = Campaign(folder, workers, args.seed)
        one.prepare()
        one.run(kills)
        results += one.results
    off = show(results)
    print("\nOFF" if off else "\nnothing lost, doubled, torn or left behind")
    return 1 if off else 0


def planted(folder: Path, names: list[str], seed: int) -> int:
    """Plant defects, and see whether each is found."""
    bases = {workers: Campaign(folder, workers, seed) for workers in (1, 3)}
    missed = 0
    for name in names:
        plan = PLANTS[name]
        base = bases[plan.workers]
        if not base.reference.is_dir():
            base.prepare()
        one = Campaign(folder / name, plan.workers, seed, name)
        (folder / name).mkdir()
        one.reference, one.template = base.reference, base.template
        one.sweep(plan.faults())
        counts = table(one.results)
        found = counts[plan.row] > 0
        missed += not found
        rows = ", ".join(f"{row} {count}" for row, count in counts.items() if count)
        print(f"planted {name} ({plan.what}): {'FOUND' if found else 'MISSED'} by: {rows or 'nothing'}", flush=True)
    print(f"\n{len(names) - missed} of {len(names)} planted defects found")
    return 1 if missed else 0


def main() -> int:
    """Read the words, kill, count."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, choices=(0, 1, 3), help="0 = both")
    parser.add_argument("--plant", choices=[*PLANTS, "all"])
    parser.add_argument("--keep", type=Path, help="folder to work in, which is kept")
    args = parser.parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.chdir(ROOT)  # workers are started with -m
    preload()
    with tempfile.TemporaryDirectory(prefix="detsweep-chaos-") as name:
        folder = args.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if args.plant:
            return planted(folder, list(PLANTS) if args.plant == "all" else [args.plant], args.seed)
        return campaign(folder, args)


if __name__ == "__main__":
    sys.exit(main())
