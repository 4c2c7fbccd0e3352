"""What quantisation-aware training recovered of the accuracy that static INT8 loses, or that it did not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from src.decide.candidates import MAP
from src.decide.load import Saved
from src.records.schema import FinalistRecord, TrialRecord, Verification

WORTH = 0.01  # loss in mAP50-95 up to which there is nothing to recover
HALF = 0.5  # share that counts as recovered


@dataclass(frozen=True)
class Recovery:
    """One INT8 file before and after: mAP50-95 of the network that training began from, and of the trained one."""

    trial: TrialRecord
    target: str  # format/precision
    runtime: str
    split: str
    before: float  # starting network, float32
    post_training: float  # its INT8 file
    aware: float  # INT8 file of the network trained with rounding

    @property
    def lost(self) -> float:
        """What static INT8 costs without the training."""
        return self.before - self.post_training

    @property
    def recovered(self) -> float:
        """What the training gave back; below 0 when it cost more."""
        return self.aware - self.post_training

    @property
    def share(self) -> float:
        """Recovered as a share of what was lost; NaN where too little was lost to tell."""
        return self.recovered / self.lost if self.lost > WORTH else math.nan


def recoveries(saved: Saved) -> list[Recovery]:
    """Every INT8 file of every training with rounding; judged on test where that was opened, else on val."""
    trials = {t.trial: t for t in saved.trials}
    found = [r for number, record in sorted(saved.finalists.items()) for r in _of(trials[number], record)]
    opened = {(r.trial.trial, r.target, r.runtime) for r in found if r.split == "test"}
    return [r for r in found if r.split == "test" or (r.trial.trial, r.target, r.runtime) not in opened]


def _of(trial: TrialRecord, record: FinalistRecord) -> list[Recovery]:
    aware = {_key(v): v for v in record.verifications}
    return [
        Recovery(
            trial=trial,
            target=f"{v.format}/{v.precision}",
            runtime=v.runtime,
            split=v.split,
            before=v.reference_map,
            post_training=v.metrics[MAP],
            aware=aware[_key(v)].metrics[MAP],
        )
        for v in record.post_training
        if _key(v) in aware
    ]


def _key(v: Verification) -> tuple[str, str, str, str]:
    return v.format, v.precision, v.runtime, v.split


def verdict(found: list[Recovery]) -> tuple[str, dict[str, Any]]:
    """The sentence that says plainly what came of it: a key of the catalogue and its values."""
    worth = [r for r in found if r.lost > WORTH]
    if not worth:
        return "recovery_none_lost", {"worth": WORTH}
    reached = sum(r.share >= HALF for r in worth)
    key = "recovery_holds" if reached == len(worth) else "recovery_fails"
    return key, {"reached": reached, "n": len(worth), "worth": WORTH}
