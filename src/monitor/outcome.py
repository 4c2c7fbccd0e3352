"""The outcome of a live comparison as a decision document, and labels from a folder.

`outcome.json` is what `python -m src.promote outcome=FILE` takes: aliases move there, through its gates, and nowhere
else.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src.common.errors import EXIT_OK, UserError
from src.common.json_values import plain
from src.common.whole_files import read_regular, write_text
from src.monitor.experiment import Experiment
from src.monitor.verdict import ArmFacts, LiveVerdict

SCHEMA = 1
NAME = "outcome.json"
ADVICE = ("promote", "restore", "wait")


@dataclass(frozen=True)
class Outcome:
    """What a promotion needs to know of a live comparison."""

    experiment: str
    champion: str
    challenger: str
    verdict: str
    advice: str
    said: str


def conclude(folder: Path, labels: Path | None, out: Path | None) -> int:
    """Take labels in, write the document, and say the verdict; the exit code.

    Raises:
        UserError: there is no experiment, or a label file is malformed.
    """
    experiment = Experiment(folder)
    if labels is not None:
        taken, left = take_labels(experiment, labels)
        print(f"{taken} label files taken, {left} for images that wait for none")
    found = experiment.verdict()
    target = out or folder / "outcome"
    write_outcome(target, found)
    print(f"{found.word}: {found.said}")
    if found.stopped:
        print(f"stopped: {found.stopped}")
    print(f"advice: {found.advice} ({target / NAME})")
    return EXIT_OK


def take_labels(experiment: Experiment, folder: Path) -> tuple[int, int]:
    """Labels of a folder, each file named like its image: YOLO text, or JSON with `boxes` in px and `classes`.

    Returns:
        Files taken, and files for images that wait for no labels: labelled before, or never answered.

    Raises:
        UserError: no such folder, or a file of it is malformed; what came before it has counted.
    """
    if not folder.is_dir():
        raise UserError("labels is no folder", value=folder, remedy="labels=DIR with a file for each image")
    taken = left = 0
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".txt", ".json")):
        if not experiment.waits_for(path.stem):
            left += 1
            continue
        boxes, classes = _json(path) if path.suffix == ".json" else _yolo(path, experiment.size_of(path.stem))
        experiment.feedback(path.stem, boxes, classes)
        taken += 1
    return taken, left


def _json(path: Path) -> tuple[list[list[float]], list[int]]:
    try:
        raw = json.loads(read_regular(path))
        return [[float(v) for v in box] for box in raw["boxes"]], [int(c) for c in raw["classes"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise UserError(f"labels can't be read ({type(error).__name__}: {error})"[:300], value=path) from None


def _yolo(path: Path, size: tuple[int, int] | None) -> tuple[list[list[float]], list[int]]:
    from src.data.labels import parse_labels, to_corners

    if size is None:
        raise UserError(
            "the size of an image was not recorded, so its YOLO labels have no place in it",
            value=path,
            remedy="labels as JSON with boxes in px",
        )
    try:
        labels = parse_labels(read_regular(path))
    except OSError as error:
        raise UserError(f"labels can't be read ({error.strerror})", value=path) from None
    if labels.problems:
        first = labels.problems[0]
        raise UserError(f"labels are malformed: line {first.line}: {first.message}", value=path)
    return to_corners(labels.boxes, *size).tolist(), labels.classes.tolist()


def write_outcome(folder: Path, found: LiveVerdict) -> None:
    """Write `outcome.json` and `outcome.md`."""
    write_text(folder / NAME, json.dumps(as_json(found), indent=1) + "\n")
    write_text(folder / "outcome.md", markdown(found))


def as_json(found: LiveVerdict) -> dict[str, Any]:
    """The document as plain data; what is not known is null."""
    whole: dict[str, Any] = plain(
        {
            "schema_version": SCHEMA,
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "experiment": found.plan.name,
            "champion": found.plan.champion,
            "challenger": found.plan.challenger,
            "verdict": found.word,
            "advice": found.advice,
            "said": found.said,
            "stopped": found.stopped or None,
            "f1_difference": asdict(found.difference),
            "arms": {"champion": asdict(found.champion), "challenger": asdict(found.challenger)},
            "without_labels": {"agreement": found.agreement, "images_both_answered": found.both},
            "plan": asdict(found.plan),
        }
    )
    return whole


def load_outcome(path: Path) -> Outcome:
    """What a document says.

    Raises:
        UserError: it is missing or malformed.
    """
    try:
        raw = json.loads(read_regular(path))
        found = Outcome(**{name: raw[name] for name in Outcome.__dataclass_fields__})
        if not all(isinstance(v, str) for v in vars(found).values()) or found.advice not in ADVICE:
            raise ValueError("it has other values than words")
    except OSError as error:
        remedy = "python -m src.monitor experiment=DIR writes one"
        raise UserError(f"outcome can't be read ({error.strerror})", value=path, remedy=remedy) from None
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise UserError(f"outcome is malformed ({type(error).__name__}: {error})"[:300], value=path) from None
    return found


def markdown(found: LiveVerdict) -> str:
    """The document for people."""
    plan, d = found.plan, found.difference
    how = {
        "split": "each model answered a share of the keys",
        "shadow": "both models answered every image, and the champion was shown",
        "canary": f"the challenger's share grew in steps ({', '.join(f'{s:.0%}' for s in plan.steps)})",
    }[plan.mode]
    lines = [f"# {_text(plan.name)}: champion {_text(plan.champion)}, challenger {_text(plan.challenger)}", ""]
    lines += [f"**Verdict: {found.word}.** {found.said}", ""]
    if found.stopped:
        lines += [f"**The challenger was taken away:** {_text(found.stopped)}", ""]
    lines += [f"Advice: **{found.advice}**. `python -m src.promote outcome={NAME}` acts on it, behind its gates.", ""]
    lines += ["## With labels", "", *_facts(found, ("labelled", "f1"))]
    if math.isfinite(d.low):
        interval = f"{plan.confidence:.0%} interval [{d.low:+.3f}; {d.high:+.3f}]"
        lines += ["", f"F1 difference {d.value:+.3f}, {interval}, bounds {d.at_least:+.3f} and {d.at_most:+.3f}."]
    lines += [
        "",
        "## Without labels: this says nothing about accuracy",
        "",
        *_facts(found, ("images", "failed", "p50")),
    ]
    if found.both:
        lines += ["", f"Agreement: {found.agreement:.1%} of the detections have a counterpart, {found.both} images."]
    method = (
        f"{how[0].upper()}{how[1:]}. F1 counts detections at IoU {plan.iou:g} and the thresholds in use. Bounds hold "
        f"at every look together (asymptotic confidence sequences), each with {plan.confidence:.0%} confidence. "
        f"The margin is {plan.margin:g}. Mean confidence decides nothing."
    )
    return "\n".join([*lines, "", "## How", "", method]) + "\n"


COLUMNS = {
    "labelled": "labelled images",
    "f1": "F1",
    "images": "images",
    "failed": "failed",
    "p50": "latency p50, p90, p99 ms",
}


def _facts(found: LiveVerdict, names: tuple[str, ...]) -> list[str]:
    header = f"| model | {' | '.join(COLUMNS[n] for n in names)} |"
    rows = [
        f"| {arm} {_text(facts.model)} | {' | '.join(_fact(facts, n) for n in names)} |"
        for arm, facts in (("champion", found.champion), ("challenger", found.challenger))
    ]
    return [header, "|---" * (len(names) + 1) + "|", *rows]


def _fact(facts: ArmFacts, name: str) -> str:
    if name == "p50":
        return ", ".join(f"{v:.3g}" for v in facts.latency_ms.values()) or "–"
    value = getattr(facts, name)
    if isinstance(value, int):
        return str(value)
    return "–" if math.isnan(value) else f"{value:.1%}" if name == "failed" else f"{value:.3f}"


def _text(value: str) -> str:
    """A name on one line, without a meaning in a table."""
    return "".join(c if c.isprintable() and c not in "|<>" else " " for c in value)[:120]
