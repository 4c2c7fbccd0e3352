"""How often verdicts of a live comparison are wrong under continuous looking, and how many labels they take.

    python -m benchmarks.live_comparison [--repeats 1000] [--images 3000]

Images have 1 + Poisson(2) objects and a difficulty (Beta) that both models share; each finds an object with a
probability that follows from the difficulty, and on the same image both tend to find the same objects. False boxes are
Poisson(0.6). A model that is worse loses an even share of the objects, or (`rare`) everything in a few images, which is
the harder case for a variance. The true difference of F1 is known in closed form. Every ten labelled images the
product's own `Labelled` is asked, and the first claim counts.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.monitor.f1 import Counts, Labelled
from src.monitor.verdict import BETTER, OPEN, WITHIN, WORSE, word_of

LOOK = 10  # labelled images between two looks
FALSE = 0.6  # false boxes an image
OBJECTS = 3.0  # mean
FOUND = 0.75  # mean probability of an object to be found
ALIKE = 0.8  # share of objects at which both models have the same luck


@dataclass(frozen=True)
class Match:
    """Two models and how their images come in."""

    difference: float  # true F1 of the challenger less that of the champion
    paired: bool = True  # shadow: both answer every image
    share: float = 0.5  # of the challenger, when not
    steps: tuple[float, ...] = ()  # of a canary: its shares, each until the challenger has answered 100 images
    rare: bool = False  # the difference comes from a few images in which the worse model finds nothing

    @property
    def kept(self) -> float:
        """Share of the better model's objects that the worse one finds."""
        target = f1_of(FOUND) - abs(self.difference)
        return target * (OBJECTS + FALSE) / ((2 - target) * OBJECTS) / FOUND


def f1_of(found: float) -> float:
    """F1 of a model that finds this share of the objects."""
    return 2 * OBJECTS * found / (OBJECTS * found + OBJECTS + FALSE)


Rows = NDArray[np.int64]  # [images, 3] right, wrong, missed


def draw(match: Match, rng: np.random.Generator, images: int) -> tuple[Rows, Rows]:
    """Counts of champion and challenger on the same images."""
    objects = 1 + rng.poisson(OBJECTS - 1, images)
    image = np.repeat(np.arange(images), objects)
    chance = rng.beta(3, 1, images)[image]
    luck = rng.random(len(image))
    other = np.where(rng.random(len(image)) < ALIKE, luck, rng.random(len(image)))
    keeps = (rng.random(images) < match.kept)[image] if match.rare else rng.random(len(image)) < match.kept
    worse, better = (luck < chance) & keeps, other < chance
    found = (better, worse) if match.difference <= 0 else (worse, better)
    return _rows(image, objects, found[0], rng), _rows(image, objects, found[1], rng)


def _rows(image: Rows, objects: Rows, found: NDArray[np.bool_], rng: np.random.Generator) -> Rows:
    right = np.bincount(image, found, len(objects)).astype(np.int64)
    return np.column_stack([right, rng.poisson(FALSE, len(objects)), objects - right])


def shares_of(match: Match, images: int) -> NDArray[np.float64]:
    """Share of the challenger at every image."""
    if not match.steps:
        return np.full(images, match.share)
    lengths = [round(100 / share) for share in match.steps[:-1]]
    shares = np.repeat(match.steps, [*lengths, max(images - sum(lengths), 0)])
    return np.asarray(shares[:images], np.float64)


@dataclass(frozen=True)
class Course:
    """What was claimed first, and after how many labelled images; None = never."""

    better: int | None
    within: int | None
    worse: int | None


def course(match: Match, rng: np.random.Generator, images: int, margin: float, alpha: float = 0.05) -> Course:
    """One comparison, looked at every `LOOK` images."""
    champion, challenger = draw(match, rng, images)
    new = rng.random(images) < shares_of(match, images)
    labelled, first = Labelled(match.paired), dict.fromkeys((BETTER, WITHIN, WORSE))
    for i in range(images):
        old, other = Counts(*map(int, champion[i])), Counts(*map(int, challenger[i]))
        labelled.add(*((old, other) if match.paired else (None, other) if new[i] else (old, None)))
        if (i + 1) % LOOK == 0:
            for word in claims(labelled, margin, alpha):
                first[word] = first[word] or i + 1  # type: ignore[assignment]
    return Course(first[BETTER], first[WITHIN], first[WORSE])


def claims(labelled: Labelled, margin: float, alpha: float) -> list[str]:
    """Everything that the bounds say, not only the strongest word."""
    found = labelled.difference(alpha)
    said = {word_of(found, margin), BETTER if found.at_least > 0 else OPEN, WORSE if found.at_most < 0 else OPEN}
    return sorted((said | ({WITHIN} if BETTER in said else set())) - {OPEN})


def courses(match: Match, repeats: int, images: int, margin: float = 0.01, seed: int = 0) -> list[Course]:
    """Independent comparisons."""
    return [course(match, np.random.default_rng((seed, i)), images, margin) for i in range(repeats)]


def errors(match: Match, found: Sequence[Course], margin: float) -> dict[str, float]:
    """Shares of comparisons with a claim that isn't true, by claim; those that would be true are left out."""
    wrong = {}
    if match.difference <= 0:
        wrong[BETTER] = share(c.better for c in found)
    if match.difference <= -margin:
        wrong[WITHIN] = share(c.within for c in found)
    if match.difference >= 0:
        wrong[WORSE] = share(c.worse for c in found)
    return wrong


def share(first: Iterator[int | None]) -> float:
    """Share of those that came to pass."""
    values = [v is not None for v in first]
    return float(np.mean(values))


def wait(first: Sequence[int | None], q: float = 0.5) -> float:
    """Quantile of the labelled images until a claim; infinite where fewer came to pass."""
    values = np.array([math.inf if v is None else v for v in first])
    return float(np.quantile(values, q, method="higher"))


MARGIN = 0.02
WORLDS = (
    ("shadow", Match(0.0)),
    ("shadow", Match(-MARGIN)),
    ("shadow, rare", Match(-MARGIN, rare=True)),
    ("split 50 %", Match(0.0, paired=False)),
    ("split 50 %", Match(-MARGIN, paired=False)),
    ("split 50 %, rare", Match(-MARGIN, paired=False, rare=True)),
    ("split 5 %", Match(0.0, paired=False, share=0.05)),
    ("split 5 %", Match(-MARGIN, paired=False, share=0.05)),
    ("canary 10, 30, 50 %", Match(0.0, paired=False, steps=(0.1, 0.3, 0.5))),
    ("canary 10, 30, 50 %", Match(-MARGIN, paired=False, steps=(0.1, 0.3, 0.5))),
)
POWER = (-0.2, -0.1, -0.05, 0.0, 0.02, 0.05, 0.1, 0.2)


def error_table(repeats: int, images: int) -> Iterator[str]:
    """Wrong claims, looked at every ten images."""
    yield "| images | true difference in F1 | wrongly better | wrongly non-inferior | wrongly worse |"
    yield "|---|---|---|---|---|"
    for name, match in WORLDS:
        found = errors(match, courses(match, repeats, images, MARGIN), MARGIN)
        cells = [f"{found[word]:.1%}" if word in found else "–" for word in (BETTER, WITHIN, WORSE)]
        yield f"| {name} | {match.difference:+g} | {' | '.join(cells)} |"


def power_table(repeats: int, images: int) -> Iterator[str]:
    """How often a true difference is found within so many labelled images, and the median of those it takes."""
    yield "| true difference in F1 | claim | shadow: found | labelled images | split 50 %: found | labelled images |"
    yield "|---|---|---|---|---|---|"
    for difference in POWER:
        word = BETTER if difference > 0 else WORSE if difference < 0 else WITHIN
        cells = []
        for paired in (True, False):
            found = courses(Match(difference, paired), repeats, images, MARGIN, seed=1)
            first = [{BETTER: c.better, WITHIN: c.within, WORSE: c.worse}[word] for c in found]
            middle = wait(first)
            cells += [f"{share(iter(first)):.0%}", f"{middle:.0f}" if math.isfinite(middle) else f"> {images}"]
        yield f"| {difference:+g} | {word} | {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--images", type=int, default=3000)
    args = parser.parse_args(words)
    power = power_table(max(args.repeats // 5, 20), args.images)
    for line in itertools.chain(error_table(args.repeats, args.images), [""], power):
        print(line, flush=True)


if __name__ == "__main__":
    main()
