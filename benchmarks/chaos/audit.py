"""What a sweep left, looked through as an auditor would, and compared with what an undisturbed one left."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.records.parsing import RecordError
from src.records.schema import FinalistRecord, SweepRecord, TrialRecord
from src.records.store import load
from src.report import load_sweep

NAME = "toy"
LATER = ("lost", "repeat", "double")  # ends of Optuna's trials that are no end of their slot
VARIES = re.compile(r"^(run_ids?|started_at|finished_at|seconds|test_openings|export_s|.*_at|.*_hours)$")
HIDDEN = (".scan", ".lock")  # of the datasets; whatever else is hidden was written aside
COLUMNS = ("run_id", "run_ids", "seconds", "started_at", "finished_at", "export_s")
IDENTITY = re.compile(r"\b[0-9a-f]{32}\b|\b\d{4}-\d\d-\d\dT[0-9:+.]+|\b[0-9a-f]{8}\b")


@dataclass
class Findings:
    """What is wrong with what a sweep left; every list should be empty."""

    asked: int = 0
    finished: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)
    logged_twice: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    epochs_repeated: int = 0


class Home:
    """A finished sweep's folders."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.sweep = home / "outputs" / "sweeps" / NAME
        self.report = home / "reports" / NAME

    def records(self, found: Findings | None = None) -> dict[int, TrialRecord]:
        """Every trial's record; those that can't be read are noted."""
        records = {}
        for path in sorted(self.sweep.glob("trials/*/record.json")):
            try:
                records[int(path.parent.name)] = load(TrialRecord, path)
            except RecordError as error:
                if found is not None:
                    found.torn.append(str(error)[-120:])
        return records

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the MLflow store."""
        path = self.home / "outputs" / "mlflow.db"
        if not path.is_file():
            return []
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as db:
            try:
                return db.execute(sql).fetchall()
            except sqlite3.OperationalError:
                return []

    def texts(self) -> dict[str, str]:
        """The report's files for machines, without times and run ids."""
        out = {}
        for name in ("decision.json", "benchmark.json"):
            with contextlib.suppress(OSError, ValueError):
                value = json.loads((self.report / name).read_text(encoding="utf-8"))
                out[name] = json.dumps(plain(value, str(self.home)), sort_keys=True, indent=1)
        for name in ("trials.csv", "benchmark.csv"):
            with contextlib.suppress(OSError):
                rows = list(csv.DictReader((self.report / name).read_text(encoding="utf-8").splitlines()))
                text = "\n".join(str({k: v for k, v in r.items() if k not in COLUMNS}) for r in rows)
                out[name] = text.replace(str(self.home), "HOME")
        return out

    def metrics(self) -> dict[int, dict[tuple[str, int], float]]:
        """What MLflow holds for every trial: (metric, step) -> value, times left out."""
        number = {r.run_id: n for n, r in self.records().items()}
        out: dict[int, dict[tuple[str, int], float]] = defaultdict(dict)
        for run, key, step, value in self.query("SELECT run_uuid, key, step, value FROM metrics ORDER BY timestamp"):
            if run in number and not key.startswith(("seconds/", "system/")):
                out[number[run]][key, step] = value
        return out

    def inputs(self) -> dict[int, tuple[int, int]]:
        """How many parameters and datasets MLflow holds for every trial."""
        params = dict(self.query("SELECT run_uuid, COUNT(*) FROM params GROUP BY run_uuid"))
        data = dict(self.query("SELECT destination_id, COUNT(*) FROM inputs GROUP BY destination_id"))
        return {n: (params.get(r.run_id, 0), data.get(r.run_id, 0)) for n, r in self.records().items()}


def plain(value: Any, home: str) -> Any:
    """JSON without what differs from one run to the next: times, run ids, folders."""
    if isinstance(value, dict):
        return {k: plain(v, home) for k, v in value.items() if not VARIES.match(k)}
    if isinstance(value, list):
        return [plain(v, home) for v in value]
    return IDENTITY.sub("*", value.replace(home, "HOME")) if isinstance(value, str) else value


def audit(home: Path, reference: Path, asked: int) -> Findings:
    """Look through what a sweep left."""
    here, whole, found = Home(home), Home(reference), Findings(asked=asked)
    records = here.records(found)
    found.finished = sum(r.state == "complete" for r in records.values())
    found.lost += [f"trial {n}" for n in range(asked) if n not in records or records[n].state != "complete"]
    found.doubled += [f"trial {n} beyond those asked for" for n in records if n >= asked]
    _openings(here, found)
    _study(here, found)
    _runs(here, records, found)
    _files(here, records, found)
    _epochs(here, found)
    found.different += list(_differences(here, whole))
    return found


def _openings(here: Home, found: Findings) -> None:
    """The test split was opened once, and that was noted."""
    try:
        openings = load(SweepRecord, here.sweep / "sweep.json").test_openings
    except RecordError as error:
        found.torn.append(str(error)[-120:])
        return
    if len(openings) != 1:
        (found.doubled if openings else found.lost).append(f"{len(openings)} openings of the test split")


def _study(here: Home, found: Findings) -> None:
    import optuna

    from src.sweeper.storage import open_storage

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.load_study(study_name="sweep", storage=open_storage(None, here.sweep / "study.log"))
        trials = study.trials
    except Exception as error:
        found.torn.append(f"study.log: {type(error).__name__}")
        return
    ends: Counter[int] = Counter()
    for t in trials:
        if not t.state.is_finished():
            found.running.append(f"Optuna's trial {t.number} is {t.state.name}")
        elif t.user_attrs.get("ended") not in LATER:
            ends[int(t.user_attrs["slot"])] += 1
    found.doubled += [f"slot {slot} told {count} times" for slot, count in ends.items() if count > 1]


def _runs(here: Home, records: dict[int, TrialRecord], found: Findings) -> None:
    names = here.query("SELECT run_uuid, name, status FROM runs")
    found.running += [f"run {name}" for _, name, status in names if status not in ("FINISHED", "FAILED")]
    counts = Counter(name for _, name, _ in names)
    found.doubled += [f"{count} runs {name}" for name, count in counts.items() if count > 1]
    known = {run for run, _, _ in names}
    found.lost += [f"the run of trial {n}" for n, r in records.items() if r.run_id not in known]
    twice = here.query(
        "SELECT run_uuid, step, COUNT(*) FROM metrics WHERE key = 'lr' GROUP BY run_uuid, step HAVING COUNT(*) > 1"
    )
    number = {r.run_id: n for n, r in records.items()}
    found.logged_twice += [f"trial {number.get(run)} epoch {step}: {count} times" for run, step, count in twice]


def _files(here: Home, records: dict[int, TrialRecord], found: Findings) -> None:
    checkpoints = ((r.checkpoint, r.run_id) for r in records.values())
    wanted = [(Path(c.path), c.sha256, run) for c, run in checkpoints if c is not None]
    for path in sorted(here.sweep.glob("trials/*/finalist.json")):
        try:
            finalist = load(FinalistRecord, path)
            wanted += [(Path(a.path), a.sha256, finalist.run_id) for a in finalist.artifacts]
        except RecordError as error:
            found.torn.append(str(error)[-120:])
    for path, digest, run in wanted:
        if not path.exists() or sha256_file(path) != digest:
            found.torn.append(f"{path.relative_to(here.home)} is not what its record says")
        _copies(here, path, run, found)
    for path, run in ((p / "record.json", r.run_id) for p, r in _folders(here, records)):
        _copies(here, path, run, found)
    _readable(here, found)
    litter = [p for root in (here.home / "outputs", here.home / "reports") for p in root.rglob("*") if _is_litter(p)]
    found.litter += [str(p.relative_to(here.home)) for p in litter]


def _folders(here: Home, records: dict[int, TrialRecord]) -> Iterator[tuple[Path, TrialRecord]]:
    return ((here.sweep / "trials" / f"{n:04d}", r) for n, r in records.items())


def _copies(here: Home, path: Path, run: str, found: Findings) -> None:
    """Files in MLflow are what they are a copy of."""
    for copy in (here.home / "outputs" / "mlartifacts" / run).rglob(path.name):
        if path.is_file() and copy.read_bytes() != path.read_bytes():
            found.torn.append(f"MLflow's {copy.relative_to(here.home)} is not {path.relative_to(here.home)}")


def _readable(here: Home, found: Findings) -> None:
    for path in [*here.sweep.rglob("*.json"), *here.report.rglob("*.json")]:
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found.torn.append(f"{path.relative_to(here.home)} can't be read")
    for path in here.report.rglob("*.png"):
        if not path.read_bytes().endswith(b"other half"):
            found.torn.append(f"{path.relative_to(here.home)} is half a figure")
    try:
        load_sweep(here.sweep)
    except UserError as error:
        found.torn.append(str(error).splitlines()[0][-120:])


def _is_litter(path: Path) -> bool:
    return (path.name.startswith(".") and path.name not in HIDDEN) or path.name == "state"


def _epochs(here: Home, found: Findings) -> None:
    path = here.home / "control" / "epochs.log"
    lines = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
    found.epochs_repeated = len(lines) - len(set(lines))


def _differences(here: Home, whole: Home) -> Iterator[str]:
    ours, theirs = here.texts(), whole.texts()
    for name, text in theirs.items():
        if ours.get(name) != text:
            yield name
    inputs, others = here.inputs(), whole.inputs()
    for number in sorted(others):
        if inputs.get(number) != others[number]:
            yield f"MLflow's parameters or inputs of trial {number}: {inputs.get(number)}, not {others[number]}"
    metrics, expected = here.metrics(), whole.metrics()
    for number in sorted(expected):
        if metrics.get(number) != expected[number]:
            yield f"MLflow's metrics of trial {number}"
