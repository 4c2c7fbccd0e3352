"""Short names: keys by their last part (`mosaic` for `augment.mosaic`) and few digits, where room is scarce."""

from __future__ import annotations

from src.decide.candidates import Candidate
from src.decide.configurations import Configuration
from src.records.schema import Artifact, TrialRecord
from src.report.importance import as_number

MOST_LETTERS = 24  # of a value that is no number


def short(what: Candidate | Configuration) -> str:
    """A label for tables and figures; the exact values stand in the document's second section."""
    configuration = what.configuration if isinstance(what, Candidate) else what
    parts = [configuration.model, f"{configuration.imgsz} px", f"lr {configuration.lr:.3g}"]
    parts += [f"{name.rpartition('.')[2]} {_few_digits(value)}" for name, value in configuration.extra.items()]
    text = " · ".join(parts)
    return f"{text} · {what.format}/{what.precision} · {what.runtime}" if isinstance(what, Candidate) else text


def _few_digits(value: str) -> str:
    number = as_number(value)
    if number is not None:
        return f"{number:.3g}"
    return value if len(value) <= MOST_LETTERS else value[: MOST_LETTERS - 1] + "…"


def fitted(trial: TrialRecord, artifact: Artifact | None) -> str:
    """How an image is fitted into a candidate's input, and the input's sides in px; "" where no record tells."""
    of_file, of_checkpoint = (x.input if x is not None else None for x in (artifact, trial.checkpoint))
    shape = of_file or of_checkpoint
    return f"{shape.resize} {shape.width} x {shape.height}" if shape is not None else ""
