"""How good is any model file on any dataset: `python -m src.evaluate artifacts=FILE[,FILE] data=…`.

A file is opened as for prediction, run over a split by the shared detection path, and evaluated in depth. Files after
the first are compared with it over the same draws of images, so the difference is paired.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from src import runtime
from src.benchmark.model_files import notes_on
from src.common.distinct_names import distinct_names
from src.common.errors import UserError
from src.common.json_values import plain
from src.common.whole_files import write_text
from src.data import Sample, load_groups, load_split
from src.data.prepare import prepare
from src.decide.judgement import paired_gap
from src.evaluate.costs import Costs, confirmed
from src.evaluate.in_depth import Subject, evaluate_in_depth
from src.evaluate.matching import match
from src.evaluate.options import EvaluateArgs, files_of
from src.evaluate.suspects import suspects
from src.evaluate.suspects_of_sweep import sources_of
from src.evaluate.suspects_sheet import Checked, write_sheet
from src.evaluate.terminal import files_dashboard
from src.inference import Detections, Detector, Thresholds, load_image
from src.inference.tiles import TiledDetector
from src.machine.environment import cores
from src.predict.model import Opened, choose_runtime, open_model
from src.records.schema import DatasetRef, EvaluationRecord
from src.records.tiling import Tiling, tiling_of

LEVEL = 0.975  # of each bound: together an interval of 95 %


@dataclass(frozen=True)
class Split:
    """The images that files are judged on."""

    name: str
    samples: list[Sample]
    groups: list[int]


@dataclass(frozen=True)
class Judged:
    """One file with what was found of it."""

    file: str
    record: EvaluationRecord
    notes: list[str]
    costs: dict[str, Any]  # thresholds per class; empty unless costs are given
    found: list[Detections]  # of every image of the split


def evaluate_files(args: EvaluateArgs) -> list[Judged]:
    """Evaluate model files on a split, show the figures and write them into `args.out`.

    Raises:
        UserError: a file, the dataset or an argument is wrong; named with the remedy.
    """
    from rich.console import Console

    files, console = files_of(args), Console()
    if not files:
        raise UserError("artifacts names no file", value=args.artifacts, remedy="artifacts=model.onnx")
    how: dict[str, Any] = {"imgsz": args.imgsz, "names": args.names, "trust": args.trust, "key": "artifacts"}
    opened = [open_model(Path(f).expanduser(), **how) for f in files]
    ref = prepare(args.data, Path(args.outputs)).ref
    wanted = [args.split] if args.miss is None else [args.split, args.confirm]
    splits = [_split(args, ref, name) for name in wanted]
    judged = [_judge(args, file, one, ref, splits) for file, one in zip(files, opened, strict=True)]
    differences = [difference(judged[0], other) for other in judged[1:]]
    _write(args, judged, differences)
    if args.suspects is not None:
        _write_suspects(args, judged, ref, splits[0].samples)
    records = [j.record for j in judged]
    console.print(files_dashboard(distinct_names(files), records, differences, [j.costs for j in judged]))
    for j in judged:
        for note in j.notes:
            console.print(f"{j.file}: {note}", style="yellow", highlight=False, markup=False)
    console.print(f"written to {args.out}", highlight=False, markup=False)
    return judged


def _split(args: EvaluateArgs, ref: DatasetRef, name: str) -> Split:
    samples = load_split(ref, name)[: args.limit]
    if not samples:
        raise UserError("the split holds no images", value=name, remedy="split=train, val or test")
    return Split(name, samples, load_groups(ref, name, args.data.group)[: args.limit])


def _judge(args: EvaluateArgs, file: str, opened: Opened, ref: DatasetRef, splits: list[Split]) -> Judged:
    """Run one file over the splits and evaluate it on the first of them."""
    engines = args.runtime.engines
    runs = next((e for e in engines if runtime.supports(e, opened.artifact.format, opened.artifact.precision)), None)
    engine = choose_runtime(opened.artifact, None if len(engines) > 1 or runs is None else runs)
    if engine not in engines:
        remedy = f"runtime={engine} or runtime=all"
        raise UserError(f"no engine asked for runs {opened.artifact.label}", value=args.runtime.name, remedy=remedy)
    session = runtime.load(
        engine, opened.artifact, threads=args.threads or cores(), device=args.device, trust=args.trust
    )
    thresholds = Thresholds(conf=args.conf, iou=args.iou, max_det=args.max_det)
    detector = Detector(session, opened.artifact, thresholds)
    classes, notes = shared_classes(opened, ref.class_names)
    tiling = tiling_of(args.tile, args.overlap, args.merge)
    found = [renumbered(detect(detector, s.samples, tiling), classes) for s in splits]
    subject = Subject(
        sweep="",
        trial=0,
        run_id="",
        format=opened.artifact.format,
        precision=opened.artifact.precision,
        artifact_sha256=opened.artifact.sha256,
        runtime=engine,
        split=args.split,
        dataset_fingerprint=ref.fingerprint,
        class_names=ref.class_names,
    )
    record = evaluate_in_depth(
        subject, found[0], splits[0].samples, production=args.production, groups=np.asarray(splits[0].groups)
    )
    return Judged(file, record, notes, _costs(args, found, splits, ref.class_names), found[0])


def detect(detector: Detector, samples: Sequence[Sample], tiling: Tiling | None = None) -> list[Detections]:
    """Detections of every image; a file that insists on several images at once gets as many."""
    if tiling is not None:
        tiled = TiledDetector(detector, tiling)
        return [tiled(load_image(s.image)) for s in samples]
    step, found = detector.input.batch or 1, []
    for start in range(0, len(samples), step):
        found += detector([detector.prepare(load_image(s.image)) for s in samples[start : start + step]])
    return found


def shared_classes(opened: Opened, names: list[str]) -> tuple[dict[int, int] | None, list[str]]:
    """The dataset's class id by the model's, None where they are the same, and what the reader has to know of it.

    Names decide where the model knows all names of the dataset: one of COCO's 80 classes can be judged on a dataset of
    persons. Otherwise ids are compared.

    Raises:
        UserError: the model has other classes, and more of them.
    """
    own = opened.names
    notes = notes_on(replace(opened.artifact, names=own), names)
    if not own or own == names:
        return None, notes
    if set(names) <= set(own) and len(set(own)) == len(own):
        text = f"its {len(own)} classes are matched with the {len(names)} of the dataset by name; others are left out"
        return {own.index(name): i for i, name in enumerate(names)}, [*notes[: -1 if notes else None], text]
    if len(own) > len(names):
        raise UserError(
            f"the model has {len(own)} classes, the dataset {len(names)}, and their names differ",
            value=opened.artifact.path,
            remedy="names=data.yaml with the model's classes under the names that the dataset uses",
        )
    return None, notes


def renumbered(found: Sequence[Detections], classes: dict[int, int] | None) -> list[Detections]:
    """The detections under the dataset's ids; those of classes that it lacks are left out."""
    if classes is None:
        return list(found)
    table = np.full(1 + max(*classes, *(int(d.classes.max(initial=0)) for d in found), 0), -1, dtype=np.int64)
    for own, other in classes.items():
        table[own] = other
    kept = [table[d.classes] >= 0 for d in found]
    return [Detections(d.boxes[k], d.scores[k], table[d.classes[k]]) for d, k in zip(found, kept, strict=True)]


def _costs(args: EvaluateArgs, found: list[list[Detections]], splits: list[Split], names: list[str]) -> dict[str, Any]:
    if args.miss is None or args.false_alarm is None:
        return {}
    chosen_on, judged_on = (match(f, s.samples, len(names)) for f, s in zip(found, splits, strict=True))
    facts = confirmed(chosen_on, judged_on, Costs(args.miss, args.false_alarm), args.production, names)
    return {"chosen_on": splits[0].name, "confirmed_on": splits[1].name, **facts}


def difference(first: Judged, other: Judged) -> dict[str, Any]:
    """mAP50-95 of another file less that of the first, with its 95 % interval over images; NaN where none holds."""
    gap = paired_gap(other.record, first.record)
    low, high = gap.bounds(LEVEL) if gap else (math.nan, math.nan)
    note = first.record.interval_note or other.record.interval_note
    if note:
        low = high = math.nan
    value = other.record.figures["mAP50-95"] - first.record.figures["mAP50-95"]
    return {"file": other.file, "less": first.file, "mAP50-95": value, "low": low, "high": high, "note": note}


def _write_suspects(args: EvaluateArgs, judged: list[Judged], ref: DatasetRef, samples: list[Sample]) -> None:
    """The sheet of likely label errors: it holds for images that the files were not trained on, which nobody knows."""
    assert args.suspects is not None
    listed, hard = suspects([j.found for j in judged], samples, len(ref.class_names))
    names = ", ".join(distinct_names([j.file for j in judged]))
    about = f"From {names}, on {args.split}: label errors of images that a network was trained on stay hidden."
    checked = Checked(samples, ref.class_names, sources_of(ref, args.split)[: args.limit], listed, hard)
    write_sheet(Path(args.out), [checked], args.suspects, about)


def _write(args: EvaluateArgs, judged: list[Judged], differences: list[dict[str, Any]]) -> None:
    out = Path(args.out)
    keys = ("split", "conf", "iou", "max_det", "production", "limit", "tile", "overlap", "merge")
    settings = {key: getattr(args, key) for key in keys}
    files = [{"file": j.file, "notes": j.notes, "costs": j.costs, "evaluation": asdict(j.record)} for j in judged]
    document = {"settings": settings, "files": files, "differences": differences}
    write_text(out / "evaluation.json", json.dumps(plain(document), indent=1, allow_nan=False) + "\n")
    if args.figures:
        from src.predict.evaluation_figures import draw_curves

        names = distinct_names([j.file for j in judged])
        draw_curves([(name, j.record) for name, j in zip(names, judged, strict=True)], out / "curves.png")
