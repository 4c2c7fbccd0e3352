"""`python -m tests.pipeline.toy_decided WORDS…`: the toy of `tests.pipeline.toy` with finalists and a decision.

Trainings wait, what is exported and measured is made up: the smaller the learning rate, the faster the file, and all
are equally good but for their seeds' noise. Everything that decides, and what is trained next, is real.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from src.config.schema import AppConfig
from src.pipeline.context import Context
from src.records.schema import SweepRecord, TrialRecord
from src.records.store import save
from tests.pipeline import toy
from tests.report.factory import ONNX, Target, finalist


def value_of(cfg: AppConfig) -> float:
    """Equal configurations, seeds with a spread of 0.01."""
    return 0.6 + random.Random(f"{cfg.lr} {cfg.seed}").gauss(0, 0.01)


def run_finalists(finalists: Sequence[tuple[TrialRecord, AppConfig]], context: Context, *_: Any) -> None:
    """One file each, whose latency grows with the learning rate."""
    for trial, cfg in finalists:
        target = Target(**{**ONNX.__dict__, "ms": 1000 * cfg.lr})
        save(context.trial_folder(trial.trial) / "finalist.json", finalist(trial, (target,), test=None))


def judge(decision: Any, record: SweepRecord, *_: Any) -> tuple[SweepRecord, bool]:
    """Test stays closed: there is no file to run."""
    return record, True


PATCHES: dict[str, Any] = {
    **{key: value for key, value in toy.PATCHES.items() if not key.endswith("_finalise")},
    "tests.pipeline.toy.value_of": value_of,
    "src.pipeline.finish.run_finalists": run_finalists,
    "src.pipeline.finish.evaluate_sweep": lambda *_, **__: [],
    "src.pipeline.finish.log_evaluations": lambda *_: None,
    "src.pipeline.finish.log_judged": lambda *_: None,
    "src.pipeline.finish.judge": judge,
}


if __name__ == "__main__":
    toy.main(PATCHES)
