"""The order of the images, and random choices about each of them, drawn from the seed, the epoch and the image alone.

Ultralytics draws both from generators that go on and on. In loader processes, which read ahead, their state can't be
kept: a training that was killed would go on with other images. Here an epoch's order and an image's choices follow from
numbers that are known at any time, so that resuming is exact, with any number of loader processes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Place(int):
    """An image's place in the dataset that knows the epoch it is read in; it travels to loader processes."""

    epoch: int

    def __new__(cls, index: int, epoch: int) -> Place:
        made = super().__new__(cls, index)
        made.epoch = epoch
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Place, (int(self), self.epoch)


class Order:
    """The batches of one epoch after the other.

    Args:
        images: their number.
        batch: images of a batch; the last one of an epoch may be smaller.
        seed: of the training.
    """

    def __init__(self, images: int, batch: int, seed: int) -> None:
        self.images, self.batch, self.seed = images, batch, seed
        self._epoch = 0  # that begins next
        self._skip = 0  # batches of it that were read already

    def __len__(self) -> int:
        return -(-self.images // self.batch)

    def at(self, epoch: int, batches: int = 0) -> None:
        """Begin with an epoch, from 0, of which some batches were read already."""
        self._epoch, self._skip = epoch + batches // len(self), batches % len(self)

    def __iter__(self) -> Iterator[list[Place]]:
        import numpy as np

        epoch, skip = self._epoch, self._skip
        self._epoch, self._skip = epoch + 1, 0
        order = np.random.default_rng([self.seed, epoch]).permutation(self.images).tolist()
        for begin in range(skip * self.batch, self.images, self.batch):
            yield [Place(i, epoch) for i in order[begin : begin + self.batch]]


@contextmanager
def drawn_for(seed: int, place: Place) -> Iterator[None]:
    """A block whose random choices follow from seed, epoch and image; after it, the generators are as they were."""
    import numpy as np

    before, numbers = random.getstate(), np.random.get_state()
    own = np.random.SeedSequence([seed, place.epoch, int(place)]).generate_state(2)
    random.seed(int(own[0]))
    np.random.seed(int(own[1]))
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numbers)


def order_of(loader: Any) -> Order | None:
    """The order that a loader was given; None where it has one of its own."""
    found = loader.batch_sampler.sampler
    return found if isinstance(found, Order) else None


def give_order(loader: Any, seed: int) -> None:
    """Have a loader of Ultralytics read in an order that follows from the seed."""
    repeat: Any = type(loader.batch_sampler)  # goes through it again and again
    object.__setattr__(loader, "batch_sampler", repeat(Order(len(loader.dataset), loader.batch_size, seed)))
