"""How much a champion loses to challengers that are worse: the gates of `src.promote` on simulated test splits.

Every model has a true mAP50-95 and one value for each test image: a difficulty that all models share and a part of its
own. What a sweep would have saved of it (an evaluation with paired resamples) goes through the gates as they are, with
every use of the test split counted. Beside them stands the rule of before: "not clearly worse than the last champion".

    python -m benchmarks.promotion_quality [--worlds 1000]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.promote.gates import against
from src.promote.recorded_model import RecordedModel, deficit
from src.promote.rule import Rule
from src.records.schema import EvaluationRecord

Floats = NDArray[np.float64]
MARGIN, CONFIDENCE = 0.01, 0.95
FIRST = 0.80  # true mAP50-95 of the first champion
RESAMPLES = 200


@dataclass(frozen=True)
class Noise:
    """Standard deviations of one image's value."""

    shared: float  # by all models
    own: float  # each model's own
    seed: float  # what a training does to single images


# As the saved detections of a digits sweep show, and as the audit of the rule of before implies: rare classes.
DIGITS, ROUGH = Noise(0.05, 0.03, 0.045), Noise(0.10, 0.08, 0.09)


@dataclass(frozen=True)
class Run:
    """What happened to a line of challengers in many worlds."""

    passed: NDArray[np.bool_]  # [worlds, challengers]
    loss: Floats  # [worlds]: true mAP50-95 of the first champion less that of the last


def simulate(
    worse: Sequence[float],
    images: int,
    worlds: int,
    *,
    spread: float = 0.0,
    noise: Noise = DIGITS,
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
    before: bool = False,
    seed: int = 0,
) -> Run:
    """Let challengers try to replace a champion, one after the other, all on one test split.

    Args:
        worse: how much worse than the champion of its time each challenger truly is on average, mAP50-95.
        images: of the test split.
        worlds: repetitions, each with images and models of its own.
        spread: standard deviation of the challengers' true deficits about `worse`.
        noise: of single images.
        margin: of the decision.
        confidence: of the decision.
        before: judge by the rule of before instead of the gates.
        seed: of the simulation.
    """
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(images, np.full(images, 1 / images), RESAMPLES) / images
    passed, losses = np.zeros((worlds, len(worse)), np.bool_), np.zeros(worlds)
    for world in range(worlds):
        shared = rng.normal(0, noise.shared, images)
        ground_truth = FIRST
        champion = reference = _model(ground_truth, shared, weights, noise, "first", rng)
        for i, mean in enumerate(worse):
            own = ground_truth - mean - rng.normal(0, spread)
            challenger = _model(own, shared, weights, noise, str(i), rng)
            judged = against(challenger, champion, reference, Rule(margin, confidence, i + 1))
            ok = _before(challenger, champion) if before else judged.passed
            passed[world, i] = ok
            if ok:
                ground_truth, champion = own, challenger
                reference = challenger if judged.better else reference
        losses[world] = FIRST - ground_truth
    return Run(passed, losses)


def _model(
    ground_truth: float, shared: Floats, weights: Floats, noise: Noise, name: str, rng: np.random.Generator
) -> RecordedModel:
    """What would have been kept of a model, all measured at the same speed."""
    values = ground_truth + shared + rng.normal(0, math.hypot(noise.own, noise.seed), len(shared))
    record = EvaluationRecord(
        sweep="simulated",
        trial=0,
        run_id="",
        format="onnx",
        precision="fp32",
        artifact_sha256=name,
        runtime="onnxruntime",
        split="test",
        dataset_fingerprint="simulated",
        n_images=len(shared),
        figures={"mAP50-95": float(values.mean())},
        intervals={},
        standard_errors={},
        resamples=(weights @ values).tolist(),
        resample_seed=0,
        per_class=[],
        errors={},
        confusions=[],
        curve=[],
    )
    return RecordedModel(name, "host", 10.0, "p90", "same", record, "simulated")


def _before(challenger: RecordedModel, champion: RecordedModel) -> bool:
    """The 95 % interval of the difference reaches 0."""
    found = deficit(champion, challenger)
    return found is not None and found.bounds(0.975)[0] <= 0


def share(hits: NDArray[np.bool_]) -> str:
    """A share in per cent."""
    return f"{100 * float(hits.mean()):.1f} %"


def single(worlds: int, noise: Noise) -> None:
    """One challenger against the first champion: how often it passes."""
    print(f"{'images':>6}  {'0.03 worse':>18}  {'0.01 worse':>18}  {'equal':>18}  {'0.02 better':>18}   (now, before)")
    for images in (60, 100, 200, 1000, 3000):
        row = []
        for worse in (0.03, 0.01, 0.0, -0.02):
            now = simulate([worse], images, worlds, noise=noise, seed=images)
            old = simulate([worse], images, worlds, noise=noise, before=True, seed=images)
            row.append(f"{share(now.passed):>8}, {share(old.passed):>8}")
        print(f"{images:6}  " + "  ".join(row))


def ten(worlds: int, noise: Noise) -> None:
    """Ten challengers in a row, each 0.01 worse than the champion of its time: what the champion has truly lost."""
    print(f"{'images':>6} {'spread':>7}  {'mean loss now':>14} {'95th percentile':>16} {'mean loss before':>17}")
    for images in (60, 100, 200, 1000, 3000):
        for spread in (0.0, 0.01, 0.02):
            now = simulate([0.01] * 10, images, worlds, spread=spread, noise=noise, seed=images)
            old = simulate([0.01] * 10, images, worlds, spread=spread, noise=noise, before=True, seed=images)
            end = float(np.quantile(now.loss, 0.95))
            print(f"{images:6} {spread:7}  {now.loss.mean():14.4f} {end:16.4f} {old.loss.mean():17.4f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=300)
    tables(parser.parse_args().worlds)


def tables(worlds: int) -> None:
    """Print the tables."""
    print(f"margin {MARGIN}, confidence {CONFIDENCE}, {worlds} worlds")
    for name, noise in (("noise of the digits sweep", DIGITS), ("noise of rare classes", ROUGH)):
        paired = math.sqrt(2) * math.hypot(noise.own, noise.seed)
        print(f"\n{name}: differences of two models have SD {paired:.3f} an image\none challenger passes")
        single(worlds, noise)
        print("\nten challengers, each 0.01 worse on average")
        ten(worlds, noise)


if __name__ == "__main__":
    main()
