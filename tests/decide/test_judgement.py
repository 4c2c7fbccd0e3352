"""What two files on the same images tell of each other."""

from __future__ import annotations

import math
from dataclasses import replace

from src.decide.judgement import smallest_difference
from tests.report.factory import evaluation, finalist, trial


def test_images_in_which_nothing_was_found_resolve_no_difference() -> None:
    own = trial(0, score=0.4)
    record = evaluation(own, finalist(own).verifications[0])
    assert smallest_difference(record, []) > 0
    nothing = replace(
        record,
        figures={**record.figures, "mAP50-95": 0.0},
        standard_errors={"mAP50-95": 0.0},
        resamples=[0.0] * len(record.resamples),
    )
    assert math.isnan(smallest_difference(nothing, [nothing]))  # "below 0.000" would be a claim of perfect evidence
