"""What every round of a measurement found, from its record or from the raw samples that an older one names."""

from __future__ import annotations

import json
import math
from pathlib import Path

from src.common.samples import round_values
from src.common.whole_files import read_regular
from src.records.schema import Measurement


def rounds_of(measurement: Measurement, folder: Path) -> dict[str, list[float]]:
    """One value of every statistic for each round, ms: of the record, or of the raw samples that an older one names.

    Args:
        measurement: the record.
        folder: the sweep's folder, which `samples_file` is relative to; nothing outside of it is read.

    Returns:
        Statistic (`p50`, `p90`, `p95`, `p99`, `mean`; those that the samples support) to values in order of rounds;
        empty where neither has them.
    """
    if measurement.rounds:
        return measurement.rounds
    blocks = samples_of(measurement, folder)
    if not blocks or not all(block and all(0 < v < math.inf for v in block) for block in blocks):
        return {}  # the record's own figures remain
    return round_values(blocks)


def samples_of(measurement: Measurement, folder: Path) -> list[list[float]]:
    """The raw samples of every round, ms; none where their file is gone, altered or of another program."""
    path = (folder / measurement.samples_file).resolve()
    if not path.is_relative_to(folder.resolve()):
        return []
    try:
        rounds = json.loads(read_regular(path))["rounds"]
        return [[float(v) for v in r[f"{measurement.scope}/{measurement.batch}"]["samples_ms"]] for r in rounds]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
