"""Pictures of a trial: its figures by epoch, and what its best checkpoint finds on val; drawn from what is recorded.

They take about a second. Where workers train side by side, a short training's pictures wait until its worker finds no
training to take: it draws while others still train. What a kill leaves undrawn is drawn before the sweep is decided.
A picture that can't be drawn costs itself, never the trial.
"""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path

from src.common.errors import stop_if_full
from src.common.redaction import redact_text
from src.data import load_split, use_reading
from src.evaluate import match
from src.evaluate.files import load_detections
from src.evaluate.pictures import draw_evaluation
from src.models import epoch_curves
from src.models.curves import FILE, draw_curves
from src.pipeline.accuracy import trained_detections
from src.pipeline.context import Context, Inputs
from src.pipeline.one_trial import Trial, trial_of
from src.pipeline.request import SweepRequest
from src.records.schema import TrialRecord
from src.records.sweep_folder import TrialFolder
from src.track import RunLog

log = logging.getLogger(__name__)

SHORT_S = 60.0  # of training: a second more is no matter to a longer one, whose pictures are wanted while it is news
FOLDER = "training"  # of the run, that they are logged under


def draw_now(trial: Trial, record: TrialRecord, context: Context, run: RunLog) -> None:
    """Draw a finished trial's pictures and log them to its run, which is still open."""
    run.files(_drawn(trial, record, context), FOLDER)


def may_wait(trial: Trial, seconds: float) -> bool:
    """Whether the pictures of a training that took so long are drawn when its worker has nothing else to do."""
    return trial.pictures_wait and seconds < SHORT_S


def wanted(record: TrialRecord, folder: Path) -> bool:
    """Whether a finished trial is still to be drawn."""
    plots = record.config.get("train", {}).get("plots", False)
    return record.state == "complete" and plots and not (TrialFolder(folder).train / FILE).is_file()


class Waiting:
    """Trials of this worker whose pictures wait."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._trials: deque[tuple[Trial, TrialRecord]] = deque()

    def note(self, trial: Trial, record: TrialRecord) -> None:
        """A trial has ended."""
        if trial.pictures_wait and wanted(record, trial.folder):
            self._trials.append((trial, record))

    def draw_one(self) -> bool:
        """Draw one trial's pictures; false when none waits."""
        if not self._trials:
            return False
        trial, record = self._trials.popleft()
        files = _drawn(trial, record, self._context)
        self._context.tracker.attach(record.run_id, files, FOLDER)
        return True

    def draw_all(self) -> None:
        """Draw all that wait."""
        while self.draw_one():
            pass


def draw_missing(records: list[TrialRecord], request: SweepRequest, context: Context, inputs: Inputs) -> None:
    """Draw what workers that died have left undrawn."""
    waiting = Waiting(context)
    for record in records:
        if wanted(record, context.trial_folder(record.trial)):
            cfg = request.config_of(record.overrides)
            trial = trial_of(record.trial, record.overrides, cfg, context, inputs, pictures_wait=True)
            waiting.note(trial, record)
    waiting.draw_all()


def _drawn(trial: Trial, record: TrialRecord, context: Context) -> list[Path]:
    """The files that could be drawn."""
    out = TrialFolder(trial.folder).train
    try:
        return _draw(trial, record, out)
    except Exception as error:
        stop_if_full(context.folder, error)
        text = redact_text(f"{type(error).__name__}: {error}")[:300]
        log.warning("trial %d goes without some of its pictures: %s", trial.number, text)
        return []


def _draw(trial: Trial, record: TrialRecord, out: Path) -> list[Path]:
    use_reading(trial.cfg.data)
    samples = load_split(trial.dataset, "val")
    detections = load_detections(trained_detections(trial.folder), len(samples))
    names = trial.dataset.class_names
    files = draw_evaluation(match(detections, samples, len(names)), detections, samples, names, out)
    if (by_epoch := epoch_curves.draw(out)) is not None:
        files.append(by_epoch)
    # Last: a trial that has it has them all.
    return [*files, draw_curves(record.history, out)] if record.history else files
