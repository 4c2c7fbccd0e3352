"""The one opening of `test`: what was decided on `val` is judged on images that took no part in it.

Only the recommended file, its checkpoint and, where it is another one, the best file are judged: every further figure
on test would be one more to choose by. The opening is noted before it happens, so that a kill at any moment neither
opens test a second time nor leaves it closed for good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from src.common.hashes import hash_of
from src.common.whole_files import write_text
from src.config.schema import AppConfig
from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.pipeline.context import Context, Inputs, now
from src.pipeline.finalist import File, verify
from src.pipeline.measured import Findings, Say
from src.pipeline.runs import closing
from src.records.schema import FinalistRecord, SweepRecord, TrialRecord
from src.records.store import load, save
from src.records.sweep_folder import SweepFolder, TrialFolder

BEGUN = "finalists.begun"  # the key of the opening and when it was, from before it happens
SPLIT = "test"
SOURCE: File = ("pytorch", "fp32", "pytorch")


@dataclass(frozen=True)
class Subject:
    """A trial of which files are judged on test; its checkpoint always is one of them."""

    trial: TrialRecord
    files: tuple[File, ...]


def subjects_of(decision: Decision) -> list[Subject]:
    """What is judged: the recommended file and the best one.

    Where no file was verified, so that none can be chosen, it is the checkpoint of the best configuration's finalist;
    where every candidate breaks a limit nothing ships, and test stays closed.
    """
    if not decision.candidates:
        return _best_checkpoint(decision)
    files: dict[int, set[File]] = defaultdict(set)
    trials: dict[int, TrialRecord] = {}
    for candidate in (decision.recommended, decision.best):
        if candidate is not None:
            trial = candidate.best.trial
            trials[trial.trial] = trial
            files[trial.trial] |= {SOURCE, _file(candidate)}
    return [Subject(trials[n], tuple(sorted(files[n]))) for n in sorted(trials)]


def _file(candidate: Candidate) -> File:
    return candidate.format, candidate.precision, candidate.runtime


def _best_checkpoint(decision: Decision) -> list[Subject]:
    exported = (t for c in decision.finished for t in c.trials if t.trial in decision.saved.finalists)
    return [Subject(trial, (SOURCE,)) for trial in list(exported)[:1]]


def key_of(subjects: Sequence[Subject], finalists: dict[int, FinalistRecord]) -> str:
    """Identity of an opening: the very files that it judges."""
    parts = []
    for one in subjects:
        digests = {(a.format, a.precision): a.sha256 for a in finalists[one.trial.trial].artifacts}
        parts.append([one.trial.trial, [[*f, digests.get(f[:2], "")] for f in one.files]])
    return hash_of(parts)


def judge(
    decision: Decision,
    record: SweepRecord,
    config_of: Callable[[TrialRecord], AppConfig],
    context: Context,
    inputs: Inputs,
    say: Say,
) -> tuple[SweepRecord, bool]:
    """Open test for what was decided, unless that was done, or test was opened for other files before.

    Args:
        decision: on val.
        record: of the sweep.
        config_of: the configuration of a trial.
        context: of the sweep.
        inputs: datasets.
        say: prints a line of progress.

    Returns:
        The sweep's record, with the opening noted, and whether everything that was decided is judged.
    """
    finalists = decision.saved.finalists
    wanted = [s for s in subjects_of(decision) if has_test(s.trial)]
    pending = [s for s in wanted if not _judged(s, finalists[s.trial.trial])]
    if not pending:
        return record, True
    key = key_of(wanted, finalists)
    record, opened = _open(record, key, context.folder, decision.settings.reopen)
    if not opened:
        say("test stays closed: it was opened for these trials before (decision.reopen=true opens it again)")
        return record, False
    for one in pending:
        say(f"finalist {one.trial.trial}: judged on test")
        _judge_one(one, finalists[one.trial.trial], config_of(one.trial), context, inputs)
    return record, True


def log_judged(decision: Decision, context: Context) -> None:
    """Tell MLflow what test said: apart from the judging, so that a process that goes on after a kill tells it too."""
    for one in subjects_of(decision):
        path = context.places.trial(one.trial.trial).finalist
        record = load(FinalistRecord, path)
        if record.test_metrics:
            with closing(context, record.run_id, interrupted="FINISHED") as run:  # its training is finished
                run.metrics(record.test_metrics)
                run.files([path], "record")


def has_test(trial: TrialRecord) -> bool:
    """Whether there is a test split: a user's dataset may have none, which the report then says."""
    return trial.dataset is not None and trial.dataset.split_sizes.get(SPLIT, 0) > 0


def _judged(one: Subject, record: FinalistRecord) -> bool:
    """Whether these very files have been judged; what can't run there counts as judged, its failure says so."""
    digests = {(a.format, a.precision): a.sha256 for a in record.artifacts}
    done = {(v.artifact_sha256, v.runtime) for v in record.verifications if v.split == SPLIT}
    verified = {(v.format, v.precision, v.runtime) for v in record.verifications if v.split == "val"}
    wanted = {(digests[f[:2]], f[2]) for f in one.files if f in verified and f[:2] in digests}
    return bool(record.test_metrics) and wanted <= done


def _open(record: SweepRecord, key: str, folder: Path, reopen: bool) -> tuple[SweepRecord, bool]:
    """Note an opening, unless test has to stay closed. A stage that was cut off goes on under its own opening."""
    own, _, when = content(folder / BEGUN).partition(" ")
    opened = own == key or not record.test_openings or reopen
    if opened and own != key:
        when = now()
        write_text(folder / BEGUN, f"{key} {when}")
    if opened and when and when not in record.test_openings:  # this note comes second: a kill between must not close it
        record = replace(record, test_openings=[*record.test_openings, when])
        save(SweepFolder(folder).record, record)
    return record, opened


def begun(folder: Path, key: str) -> bool:
    """Whether this very opening was noted."""
    return content(folder / BEGUN).partition(" ")[0] == key


def content(path: Path) -> str:
    """Text of a note; empty where there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _judge_one(one: Subject, known: FinalistRecord, cfg: AppConfig, context: Context, inputs: Inputs) -> None:
    found = Findings(one.trial, cfg, context.trial_folder(one.trial.trial), artifacts=known.artifacts)
    found.used.gpu = cfg.device != "cpu"
    found.used.seconds, found.used.joules = dict(known.timings_s), dict(known.energy_j)
    with found.used.of("verify"):
        verify(found, context, inputs, SPLIT, one.files)
    new = {(v.format, v.precision, v.runtime) for v in found.verifications}
    kept = [v for v in known.verifications if v.split != SPLIT or (v.format, v.precision, v.runtime) not in new]
    record = replace(
        known,
        verifications=[*kept, *found.verifications],
        test_metrics=found.test,
        post_training=[*(v for v in known.post_training if v.split != SPLIT), *found.post_training],
        failures=[*(f for f in known.failures if f not in found.failures), *found.failures],
        timings_s=found.used.seconds,
        energy_j=found.used.joules,
    )
    save(TrialFolder(found.folder).finalist, record)
