"""Where everything lies in a sweep's folder; `find_sweep` finds one by its name. No other module spells these paths.

    outputs/sweeps/<sweep>/
      sweep.json          the sweep's record
      study.log           journal of the search, and its locks
      truths/             ground truth of each split
      costs/              figures of untrained architectures
      benchmark/          samples of the measurements
      devices/NAME/       what was measured on another machine: record.json and its samples
      bundles/            plans of the bundles that were packed for other machines, by hash
      trials/NNNN/
        begun.json        the trial's record as it was when it began
        paused.json       while it waits at a rung: its record if it is given up there
        record.json       the trial's record
        finalist.json     what its exports are worth
        images.json       its mAP under resampled images
        train/ detections/ artifacts/ evaluation/

A single run (`outputs/runs/<run>/`) has the same shape with one trial.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SWEEPS, RUNS, DATASETS, WEIGHTS = "sweeps", "runs", "datasets", "weights"  # folders of an outputs folder
TRIALS = "trials"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class TrialFolder:
    """The folder of one trial."""

    path: Path

    @property
    def begun(self) -> Path:
        """The trial's record as it was when it began; it has the run that a later attempt continues."""
        return self.path / "begun.json"

    @property
    def record(self) -> Path:
        """The record of the finished trial."""
        return self.path / "record.json"

    @property
    def finalist(self) -> Path:
        """What the finalist stage found."""
        return self.path / "finalist.json"

    @property
    def paused(self) -> Path:
        """The record that a trial paused at a rung will have if it is given up."""
        return self.path / "paused.json"

    def images(self, split: str = "val") -> Path:
        """mAP under resampled images of a split."""
        return self.path / ("images.json" if split == "val" else f"images-{split}.json")

    @property
    def run_key(self) -> Path:
        """What a run of the tracker is known by, so that it is started once."""
        return self.path / "run.key"

    @property
    def traceback(self) -> Path:
        """Why the trial failed."""
        return self.path / "traceback.txt"

    @property
    def hang(self) -> Path:
        """Where the trial hung, written by its watch."""
        return self.path / "hang.txt"

    @property
    def train(self) -> Path:
        """What the training writes: a family's own files."""
        return self.path / "train"

    @property
    def detections(self) -> Path:
        """Saved detections."""
        return self.path / "detections"

    @property
    def artifacts(self) -> Path:
        """Exported models, a folder each."""
        return self.path / "artifacts"

    @property
    def evaluation(self) -> Path:
        """Evaluations in depth, and figures of them."""
        return self.path / "evaluation"

    def evaluations(self) -> list[Path]:
        """Records of the evaluations in depth that there are, by name."""
        return sorted(self.evaluation.glob("*.json"))

    @staticmethod
    def of_artifact(folder: Path) -> TrialFolder:
        """The trial that the folder of one exported model belongs to."""
        return TrialFolder(folder.parent.parent)


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one sweep, or of a single run."""

    path: Path

    @property
    def record(self) -> Path:
        """The sweep's record."""
        return self.path / "sweep.json"

    @property
    def trials(self) -> Path:
        """The folder that has a folder for each trial."""
        return self.path / TRIALS

    def trial(self, number: int) -> TrialFolder:
        """The folder of one trial."""
        return TrialFolder(self.trials / f"{number:04d}")

    def all_trials(self) -> list[TrialFolder]:
        """The trials that have a folder, by number."""
        return [TrialFolder(path) for path in sorted(self.path.glob(f"{TRIALS}/*"))]

    @property
    def journal(self) -> Path:
        """The journal of the search, where it is kept in no database."""
        return self.path / "study.log"

    @property
    def open_lock(self) -> Path:
        """Held while the sweep's record, run and study are opened."""
        return self.path / "open.lock"

    @property
    def finish_lock(self) -> Path:
        """Held while the finalists are judged."""
        return self.path / "finish.lock"

    @property
    def finalists_key(self) -> Path:
        """What was decided, and whether test was opened for it."""
        return self.path / "finalists.key"

    @property
    def benchmark(self) -> Path:
        """Samples of the measurements."""
        return self.path / "benchmark"

    @property
    def devices(self) -> Path:
        """The folder that has a folder for each device that finalists were measured on."""
        return self.path / "devices"

    def device(self, name: str) -> Path:
        """The folder of one device; `name` is checked by `is_name` where it comes from outside."""
        return self.devices / name

    def device_record(self, name: str) -> Path:
        """What was measured on one device."""
        return self.device(name) / "record.json"

    def device_records(self) -> list[Path]:
        """The records that there are of devices, by name."""
        return sorted(path for path in self.devices.glob("*/record.json") if is_name(path.parent.name))

    def bundle(self, sha256: str) -> Path:
        """The plan of a bundle that was packed, by its hash: results name the plan that they were measured by."""
        return self.path / "bundles" / f"{sha256[:16]}.json"

    @property
    def costs(self) -> Path:
        """Figures of untrained architectures, and their lock."""
        return self.path / "costs"

    @property
    def ground_truths(self) -> Path:
        """Ground truth of each split."""
        return self.path / "truths"

    def ground_truth(self, fingerprint: str, split: str) -> Path:
        """The ground truth of a dataset's split."""
        return self.ground_truths / f"{fingerprint[:16]}-{split}.npz"


def is_name(value: str) -> bool:
    """Whether `value` can name a folder without leaving its parent."""
    return NAME.fullmatch(value) is not None


def sweeps_folder(outputs: Path) -> Path:
    """Where sweeps are kept below `outputs`."""
    return outputs / SWEEPS


def runs_folder(outputs: Path) -> Path:
    """Where single runs are kept below `outputs`."""
    return outputs / RUNS


def all_folders(outputs: Path) -> list[SweepFolder]:
    """Sweeps and single runs that have a record, sorted by path."""
    pairs = (outputs.glob(f"{kind}/*/{SweepFolder(Path()).record}") for kind in (RUNS, SWEEPS))
    return [SweepFolder(path.parent) for paths in pairs for path in sorted(paths)]
