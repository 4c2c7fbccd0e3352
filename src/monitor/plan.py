"""What a live comparison is: who against whom, how requests are split, and the rule of its verdict.

A request goes to an arm by the sha256 of the experiment's name, a zero byte and its key: the same key always meets the
same model, another experiment splits anew, and a share that grows keeps those who were in it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from src.common.errors import UserError
from src.common.whole_files import read_regular, write_text

CHAMPION, CHALLENGER = "champion", "challenger"
Mode = Literal["split", "shadow", "canary"]
MODES = ("split", "shadow", "canary")
NAME = "experiment.json"
MOST_IMAGES = 1_000_000_000  # of a step


@dataclass
class ExperimentPlan:
    """A live comparison, as it was laid down before the first request."""

    name: str
    champion: str  # version or path of the model
    challenger: str
    mode: Mode = "split"  # split: each answers a share; shadow: both answer, the champion is shown; canary: in steps
    share: float = 0.5  # of the challenger, in a split
    steps: list[float] = field(default_factory=lambda: [0.01, 0.05, 0.2, 0.5])  # its shares, in a canary
    step_images: int = 200  # that it answers before the next step
    margin: float = 0.01  # F1 that the challenger may be worse by: the decision's
    confidence: float = 0.95  # of every statement, over all looks together
    iou: float = 0.5  # overlap from which a detection is right

    @property
    def alpha(self) -> float:
        """Error of every statement."""
        return 1 - self.confidence


def place_of(experiment: str, key: str) -> float:
    """Where a key lies in 0..1; even over keys, and independent from one experiment to the next."""
    digest = hashlib.sha256(f"{experiment}\0{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def check(plan: ExperimentPlan, group: str = "experiment") -> None:
    """Refuse a plan that makes no sense.

    Args:
        plan: the plan.
        group: of the keys that a message names.

    Raises:
        UserError: naming the key, its value and the remedy.
    """

    def refuse(name: str, value: object, remedy: str) -> None:
        raise UserError(f"{group}.{name} makes no sense", value=value, remedy=remedy)

    if plan.mode not in MODES:
        refuse("mode", plan.mode, "one of: " + ", ".join(MODES))
    for name in ("name", "champion", "challenger"):
        if not isinstance(getattr(plan, name), str) or not getattr(plan, name):
            refuse(name, getattr(plan, name), "a word")
    if plan.champion == plan.challenger:
        refuse("challenger", plan.challenger, "another model than the champion")
    if not plan.steps or list(plan.steps) != sorted(set(plan.steps)):
        refuse("steps", plan.steps, "shares that grow, such as [0.01,0.05,0.2,0.5]")
    shares = [("share", plan.share), ("confidence", plan.confidence), ("iou", plan.iou)]
    for name, value in [*shares, *(("steps", share) for share in plan.steps)]:
        if not _is_number(value) or not 0 < value < 1:
            refuse(name, value, "a number between 0 and 1")
    if not _is_number(plan.margin) or not 0 <= plan.margin < 1:
        refuse("margin", plan.margin, "a number from 0 to below 1, as decision.margin")
    if not isinstance(plan.step_images, int) or not 1 <= plan.step_images <= MOST_IMAGES:
        refuse("step_images", plan.step_images, f"a number of images from 1 to {MOST_IMAGES}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def save_plan(folder: Path, plan: ExperimentPlan) -> None:
    """Lay a plan down; one that is there already must say the same.

    Raises:
        UserError: the folder holds another experiment.
    """
    path = folder / NAME
    if path.exists():
        if load_plan(folder) != plan:
            raise UserError(
                "an experiment lies in this folder, and it is another one", value=folder, remedy="take a new folder"
            )
        return
    write_text(path, json.dumps(asdict(plan), indent=1) + "\n")


def load_plan(folder: Path) -> ExperimentPlan:
    """The plan of an experiment's folder.

    Raises:
        UserError: there is none, or it is malformed.
    """
    path = folder / NAME
    try:
        raw = json.loads(read_regular(path))
        plan = ExperimentPlan(**{k: v for k, v in raw.items() if k in ExperimentPlan.__dataclass_fields__})
        check(plan)
    except OSError as error:
        raise UserError(
            f"experiment can't be read ({error.strerror})", value=path, remedy=f"experiment=DIR with its {NAME}"
        ) from None
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise UserError(f"experiment is malformed ({type(error).__name__}: {error})"[:300], value=path) from None
    return plan
