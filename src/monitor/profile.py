"""The reference profile: what val looked like to the model that was promoted, image by image, and what it promised.

Raw values are kept, of at most `MOST` images, because an exact test needs the values and not their summary. They stand
in columns, one row an image. No picture can be made from them.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.common.errors import UserError
from src.common.whole_files import read_regular, write_text
from src.monitor.features import FEATURES, Observation, finite, number, plain

MOST = 1000  # images
SCHEMA = 1
NAME = "profile.json"


@dataclass(frozen=True)
class Promise:
    """What the decision said of the model; NaN where it said nothing."""

    accuracy: float = math.nan  # mAP50-95 on test
    threshold: float = math.nan  # confidence in use
    latency_ms: float = math.nan
    statistic: str = ""  # of the latency: p50, p90, …
    scope: str = ""  # of the latency: model_only, end_to_end
    margin: float = 0.01  # of the decision: what a cheaper model may be worse by
    confidence: float = 0.95


@dataclass(frozen=True)
class Profile:
    """The reference that windows are held against."""

    class_names: list[str]
    values: dict[str, list[float]]  # by feature: one number an image, NaN where there is none
    classes: list[tuple[int, ...]]  # detected in each image
    latency_ms: list[float] = field(default_factory=list)  # samples of the benchmark, not of these images
    promise: Promise = Promise()
    images: int = 0  # of val; `values` may hold fewer

    def of(self, feature: str) -> NDArray[np.float64]:
        """The known values of a feature."""
        values = np.asarray(self.values.get(feature, []), np.float64)
        return values[np.isfinite(values)]

    def with_class(self, number: int) -> int:
        """Images in which a class was detected."""
        return sum(number in own for own in self.classes)


def profile_of(
    observed: Sequence[Observation],
    class_names: Sequence[str],
    promise: Promise | None = None,
    latency_ms: Sequence[float] = (),
) -> Profile:
    """The profile of a reference set; of more than `MOST` images, a random sample that is always the same one."""
    chosen = list(observed)
    if len(chosen) > MOST:
        chosen = [chosen[i] for i in sorted(random.Random(0).sample(range(len(chosen)), MOST))]
    values = {name: [o.values.get(name, math.nan) for o in chosen] for name in FEATURES}
    samples = [float(v) for v in latency_ms]
    kept = random.Random(0).sample(samples, MOST) if len(samples) > MOST else samples
    own = promise or Promise()
    return Profile(list(class_names), values, [o.classes for o in chosen], kept, own, len(observed))


def to_text(profile: Profile) -> str:
    """As JSON."""
    plain_values = {name: [plain(v) for v in column] for name, column in profile.values.items()}
    promise = {k: plain(v) if isinstance(v, float) else v for k, v in vars(profile.promise).items()}
    return json.dumps(
        {
            "schema_version": SCHEMA,
            "class_names": profile.class_names,
            "images": profile.images,
            "promise": promise,
            "values": plain_values,
            "classes": [list(own) for own in profile.classes],
            "latency_ms": [plain(v) for v in profile.latency_ms],
        }
    )


def from_text(text: str | bytes) -> Profile:
    """From JSON; keys that are not known are left out.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the text is none.
    """
    raw = json.loads(text)
    values = {name: [number(v) for v in raw["values"][name]] for name in FEATURES}
    classes = [tuple(int(c) for c in own) for own in raw["classes"]]
    if {len(column) for column in values.values()} != {len(classes)} or not classes:
        raise ValueError("its columns are not of one length, or empty")
    if len(classes) > MOST:
        raise ValueError(f"it has {len(classes)} images, more than {MOST}")
    names = [str(name) for name in raw["class_names"]]
    latency = [finite(v) for v in raw.get("latency_ms", [])]
    return Profile(names, values, classes, latency, _promise(raw.get("promise", {})), int(raw["images"]))


def _promise(raw: dict[str, Any]) -> Promise:
    own = Promise()
    numbers = {n: number(raw.get(n, getattr(own, n))) for n in ("accuracy", "threshold", "latency_ms", "margin")}
    words = {n: str(raw.get(n, "")) for n in ("statistic", "scope")}
    return Promise(**numbers, **words, confidence=number(raw.get("confidence", own.confidence)))  # type: ignore[arg-type]


def save_profile(path: Path, profile: Profile) -> None:
    """Write a profile, whole or not at all."""
    write_text(path, to_text(profile) + "\n")


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        UserError: it is missing or malformed.
    """
    remedy = f"profile=…/{NAME}, which a promotion puts into the registered model"
    try:
        return from_text(read_regular(path))
    except OSError as error:
        raise UserError(f"profile can't be read ({error.strerror})", value=path, remedy=remedy) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise UserError(
            f"profile is malformed ({type(error).__name__}: {error})"[:300], value=path, remedy=remedy
        ) from None
