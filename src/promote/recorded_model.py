"""What is kept of a registered model, to hold the next one against it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, replace
from typing import Any

from src.common.hashes import hash_of
from src.decide.choice import Decision
from src.decide.judgement import paired_gap
from src.decide.machines import device_record
from src.decide.speed import cost
from src.decide.uncertainty import Gap
from src.records.schema import EvaluationRecord
from src.records.store import from_json, to_json


@dataclass(frozen=True)
class RecordedModel:
    """A model's cost and its accuracy on test, as they were when it was registered."""

    sha256: str
    host: str
    latency_ms: float  # NaN when not measured
    statistic: str
    conditions: str  # hash of runtime device, batch and scope: latencies under others are not compared
    evaluation: EvaluationRecord | None  # on test
    test: str = ""  # fingerprint of the test split alone; "" in older ones

    @property
    def split(self) -> str:
        """What identifies the test split whose uses are counted; "" where it was not judged on one."""
        return self.test or (self.evaluation.dataset_fingerprint if self.evaluation else "")


def recorded_model_of(decision: Decision) -> RecordedModel:
    """What is recorded of the recommended model; there must be one."""
    winner = decision.recommended
    assert winner is not None
    best = winner.best
    finalist = decision.saved.finalists[best.trial.trial]
    m, dataset = best.measurement, best.trial.dataset
    measured_by = device_record(decision.saved, decision.settings) or finalist
    return RecordedModel(
        sha256=best.artifact.sha256 if best.artifact else "",
        host=measured_by.environment.host if measured_by.environment else "",
        latency_ms=cost(winner, decision.statistic) if winner.measured else math.nan,
        statistic=decision.statistic,
        conditions=hash_of([m.device, m.batch, m.scope, m.threads]) if m else "",
        evaluation=best.test_depth,
        test=dataset.split_fingerprints.get("test", "") if dataset else "",
    )


def deficit(old: RecordedModel, new: RecordedModel) -> Gap | None:
    """mAP50-95 on test of `old` less that of `new`; None when they were not judged on the same images.

    What the models were trained on may differ: of the data, only the test split has to be the same.
    """
    a, b = old.evaluation, new.evaluation
    if a and b and old.test and old.test == new.test and a.dataset_fingerprint != b.dataset_fingerprint:
        a, b = (replace(record, dataset_fingerprint=old.test) for record in (a, b))
    return paired_gap(a, b)


def identity(old: RecordedModel, new: RecordedModel) -> str:
    """What makes a comparison of two models the same one when it is made again."""
    runtimes = [s.evaluation.runtime if s.evaluation else "" for s in (old, new)]
    return hash_of([old.sha256, new.sha256, *runtimes])


def to_text(recorded: RecordedModel) -> str:
    """As JSON."""
    plain: dict[str, Any] = {f.name: getattr(recorded, f.name) for f in dataclasses.fields(recorded)}
    return json.dumps({**plain, "evaluation": to_json(recorded.evaluation) if recorded.evaluation else ""})


def from_text(text: str) -> RecordedModel:
    """From JSON; fields that are not known are left out, those that an older one lacks have defaults.

    Raises:
        ValueError, KeyError, TypeError: the text is none.
    """
    raw = json.loads(text)
    evaluation = from_json(EvaluationRecord, raw.pop("evaluation")) if raw["evaluation"] else None
    known = {f.name for f in dataclasses.fields(RecordedModel)}
    return RecordedModel(**{**{k: v for k, v in raw.items() if k in known}, "evaluation": evaluation})
