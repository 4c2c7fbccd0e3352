"""A device's results as records: samples become measurements, boxes are judged against the sweep's ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from src.benchmark.bundle.checked import keep_detections
from src.benchmark.bundle.foreign_blocks import check_rounds
from src.benchmark.bundle.plan import Candidate, Plan
from src.benchmark.bundle.results import Found, Results
from src.benchmark.summary import Blocks, Summary
from src.benchmark.verify import close, timed_outputs_match
from src.common.errors import UserError
from src.config.schema import ExportConfig
from src.decide.load import Saved
from src.decide.settings import decision_of
from src.evaluate import evaluate, load_ground_truth
from src.evaluate.files import Loaded, LoadedGroundTruth, load_detections
from src.evaluate.gate import accuracy_gate
from src.records.parsing import RecordError, parse
from src.records.schema import (
    AccuracyGate,
    DeviceRecord,
    Environment,
    Failure,
    FailureKind,
    FinalistRecord,
    Measurement,
    TrialRecord,
    Verification,
)
from src.records.sweep_folder import SweepFolder

MAP = "mAP50-95"
BOXES, SAMPLES = "boxes", "samples"  # folders beside the record
REMEASURE = "pack a bundle of this sweep and measure again: python -m src.benchmark pack sweep=NAME out=DIR"


@dataclass(frozen=True)
class Origin:
    """What the sweep knows of a candidate."""

    trial: TrialRecord
    finalist: FinalistRecord
    verification: Verification | None  # of the same file on the same runtime, here
    source: Verification  # of its checkpoint


class Judge:
    """Turns one device's results into records."""

    def __init__(self, saved: Saved, plan: Plan, results: Results, file: Path, folder: Path, place: str) -> None:
        self.saved, self.plan, self.results, self.file = saved, plan, results, file
        self.folder = folder  # that files are written to
        self.place = place  # where it will lie, relative to the sweep's folder
        self.order = [picture.index for picture in plan.pictures]
        self.environment = _environment(results, file)
        self.failures = [Failure(p.stage, p.target, _kind(p.kind), p.message[:500]) for p in results.problems]
        self.notes: list[str] = []
        self.truths = self._truths()

    def record(self, device: str, checksum: str) -> DeviceRecord:
        """All that was measured, judged."""
        found = self._matched()
        verifications = [self._verified(candidate, item) for candidate, item in found]
        measurements = self._measured(found)
        if not measurements and not verifications:
            raise UserError(
                "the results hold no measurement", value=self.file, remedy="see what run.py says on the device"
            )
        if len(self.order) < self.plan.images_in_split:
            part = f"{len(self.order)} of {self.plan.images_in_split} images of {self.plan.split}"
            self.notes.append(f"accuracy there is that of {part}")
        return DeviceRecord(
            sweep=self.saved.sweep.sweep,
            device=device,
            protocol=self.plan.protocol,
            bundle_sha256=self.results.bundle_sha256,
            results_sha256=checksum,
            measured_at=self.results.finished_at,
            imported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            environment=self.environment,
            measurements=measurements,
            verifications=verifications,
            failures=self.failures,
            facts=self.results.facts,
            notes=self.notes,
        )

    def _truths(self) -> list[LoadedGroundTruth]:
        """Ground truth of the pictures, in their order."""
        path = SweepFolder(self.saved.folder).ground_truth(self.plan.dataset, self.plan.split)
        every = load_ground_truth(path)
        if max(self.order) >= len(every):
            raise UserError(
                "the sweep's ground truth is of fewer images than the bundle's", value=path, remedy=REMEASURE
            )
        return [every[i] for i in self.order]

    def _matched(self) -> list[tuple[Candidate, Found]]:
        """What was measured, with the candidate that it is of.

        Raises:
            UserError: something was measured that the bundle did not hold, or that the sweep no longer has.
        """
        planned = {candidate.id: candidate for candidate in self.plan.candidates}
        pairs = []
        for item in self.results.candidates:
            candidate = planned.pop(item.id, None)
            if candidate is None or (candidate.artifact["sha256"], candidate.runtime) != (
                item.artifact_sha256,
                item.runtime,
            ):
                what = "the results are of files that the bundle did not hold"
                raise UserError(what, value=f"{self.file}: candidate {item.id} {item.runtime}", remedy=REMEASURE)
            self._origin(candidate)
            pairs.append((candidate, item))
        return pairs

    def _origin(self, candidate: Candidate) -> Origin:
        """Where a candidate comes from.

        Raises:
            UserError: the sweep's finalists have no such file any more.
        """
        sha256 = candidate.artifact["sha256"]
        for number, record in self.saved.finalists.items():
            if any(a.sha256 == sha256 for a in record.artifacts):
                judged = [v for v in record.verifications if v.split == self.plan.split]
                own = [v for v in judged if (v.artifact_sha256, v.runtime) == (sha256, candidate.runtime)]
                source = next((v for v in judged if v.format == "pytorch"), None)
                trial = next((t for t in self.saved.trials if t.trial == number), None)
                if source is not None and trial is not None:
                    return Origin(trial, record, next(iter(own), None), source)
        raise UserError(
            "the results are of a file that the sweep's finalists no longer have",
            value=f"{candidate.label} {candidate.target}",
            remedy=REMEASURE,
        )

    def _verified(self, candidate: Candidate, item: Found) -> Verification:
        """Accuracy there: its own boxes against the sweep's ground truth, on the pictures of the bundle."""
        origin, file = self._origin(candidate), self._keep_detections(item)
        classes = len(origin.trial.dataset.class_names) if origin.trial.dataset else 0
        metrics = evaluate(load_detections(file, len(self.order)), self.truths, classes).as_dict()
        source = self._part_of(origin.source)
        reference = evaluate(source, self.truths, classes).as_dict()[MAP]
        here = self._part_of(origin.verification) if origin.verification else None
        packed = evaluate(here, self.truths, classes).as_dict()[MAP] if here else reference
        extra = {"images": float(len(self.order)), "map_here": packed, **self._outputs(candidate, file)}
        return Verification(
            format=candidate.artifact["format"],
            precision=candidate.artifact["precision"],
            artifact_sha256=item.artifact_sha256,
            runtime=item.runtime,
            split=self.plan.split,
            metrics=metrics,
            reference_map=reference,
            gate=self._gate(origin, metrics[MAP], packed, reference),
            detections_file=f"{self.place}/{file.relative_to(self.folder).as_posix()}",
            extra=extra,
        )

    def _gate(self, origin: Origin, there: float, here: float, reference: float) -> AccuracyGate:
        """Whether the file still keeps its source's accuracy: its loss on the split here, and what the device adds.

        Where the bundle holds the whole split, this is the device's mAP50-95 against its source's.
        """
        if reference <= 0 or here <= 0 or origin.source.metrics[MAP] <= 0:
            return "none"
        kept = (
            origin.verification.metrics[MAP] / origin.source.metrics[MAP] if origin.verification else here / reference
        )
        export = origin.trial.config.get("export", {})
        warn_below = export.get("warn_below", ExportConfig().warn_below) if isinstance(export, dict) else 0.0
        max_loss = decision_of(self.saved).max_export_loss
        return accuracy_gate(kept * there / here, 1.0, max_loss=max_loss, warn_below=float(warn_below))

    def _part_of(self, verification: Verification) -> list[Loaded]:
        """Detections here, on the pictures of the bundle alone."""
        every = load_detections(self.saved.folder / verification.detections_file, self.plan.images_in_split)
        return [every[i] for i in self.order]

    def _outputs(self, candidate: Candidate, file: Path) -> dict[str, float]:
        """How far raw outputs there are from those here: the share of pictures whose digests agree."""
        with np.load(file, allow_pickle=False) as saved:
            there = saved["digests"]
        if not candidate.digests or len(candidate.digests) != len(there):
            return {}
        same = [close(np.array(a), b) for a, b in zip(candidate.digests, there, strict=True)]
        return {"digests_equal": float(np.mean(same))}

    def _keep_detections(self, item: Found) -> Path:
        path = self.folder / BOXES / f"{item.id}.npz"
        keep_detections(item, len(self.order), path, self.file)
        return path

    def _measured(self, found: Sequence[tuple[Candidate, Found]]) -> list[Measurement]:
        """Measurements from the raw samples, by the code that a sweep's own go through."""
        blocks = []
        for candidate, item in found:
            if not item.rounds:
                continue
            check_rounds(item, self.plan, candidate, self.file)
            artifact = self.plan.artifact(candidate, Path())
            block = Blocks(artifact, item.runtime, item.rounds, candidate.label, retakes=item.retakes)
            blocks.append(block)
            self._note_version(candidate, item)
        zeros = {int(size): value for size, value in self.results.zeros.items() if size.isdigit()}
        summary = Summary(
            self.folder / SAMPLES,
            self.folder,
            self.results.threads,
            self.results.device,
            {block.artifact.input_shape[-1]: 0.0 for block in blocks} | zeros,
            0.0,
            {},
            self.environment.cores,
        )
        made = summary.measurements(blocks)
        ids = {(item.artifact_sha256, item.runtime): item.id for _, item in found}
        good = [m for m in made if self._is_same_model(m, ids[m.artifact_sha256, m.runtime])]
        return [replace(m, samples_file=f"{self.place}/{m.samples_file}") for m in good]

    def _is_same_model(self, m: Measurement, number: str) -> bool:
        """Whether what was timed is what was judged."""
        detections = self.folder / BOXES / f"{number}.npz"
        if m.scope != "model_only" or m.batch != 1 or timed_outputs_match(self.folder / m.samples_file, detections):
            return True
        message = "outputs of timed runs differ from those of the accuracy pass"
        self.failures.append(Failure("benchmark", f"{m.runtime}/{m.format}/{m.precision}", "error", message))
        return False

    def _note_version(self, candidate: Candidate, item: Found) -> None:
        there = str(item.rounds[0]["runtime_version"])
        note = f"{candidate.runtime} is {there} there and {candidate.runtime_version} here"
        if candidate.runtime_version and there != candidate.runtime_version and note not in self.notes:
            self.notes.append(note)


def _kind(text: str) -> FailureKind:
    return "unavailable" if text == "unavailable" else "error"


def _environment(results: Results, file: Path) -> Environment:
    try:
        return parse(Environment, results.environment, "environment")
    except RecordError as error:
        raise UserError(f"the results are malformed ({error})", value=file, remedy="measure again") from None
