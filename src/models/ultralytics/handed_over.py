"""The options of a training, left in the environment: worker processes that build a trainer again find them there."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import asdict
from typing import Any

from src.models.ultralytics.arguments import Loading, Options

VARIABLE = "DETSWEEP_TRAINING_OPTIONS"


def hand_over(options: Options) -> None:
    """Leave the options where trainers, also those of worker processes, find them."""
    os.environ[VARIABLE] = json.dumps(asdict(options))


def handed_over() -> Options:
    """The options of the training in hand; those of the plain recipe where there is none."""
    return _read(os.environ.get(VARIABLE) or "{}")


@functools.cache  # asked for with every image
def _read(text: str) -> Options:
    raw: dict[str, Any] = json.loads(text)
    plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in raw.items()}
    if "loading" in plain:
        plain["loading"] = Loading(**plain["loading"])
    return Options(**{"schedule": "linear", **plain})
