"""An epoch's order and an image's choices follow from seed, epoch and image alone, wherever it is read."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import numpy as np
import psutil
import pytest

from src.models.base import Start
from src.models.ultralytics.order import Order, Place, drawn_for
from src.models.ultralytics.training import train
from src.records.schema import DatasetRef
from tests.models.ultralytics.toy import run, toy


def test_a_place_is_a_number_that_travels_with_its_epoch() -> None:
    place = pickle.loads(pickle.dumps(Place(7, 3)))
    assert place == 7
    assert [10, 20][Place(1, 3)] == 20
    assert place.epoch == 3


def test_every_epoch_has_all_images_in_an_order_of_its_own() -> None:
    order = Order(10, 4, seed=1)
    epochs = [list(order) for _ in range(3)]
    assert [len(batch) for batch in epochs[0]] == [4, 4, 2]
    flat = [[int(i) for batch in epoch for i in batch] for epoch in epochs]
    assert all(sorted(epoch) == list(range(10)) for epoch in flat)
    assert len({tuple(epoch) for epoch in flat}) == 3
    assert [batch[0].epoch for batch in epochs[2]] == [2, 2, 2]
    assert flat[0] != [int(i) for batch in Order(10, 4, seed=2) for i in batch]


@pytest.mark.parametrize(("epoch", "batches"), [(1, 0), (1, 2), (0, 5)])
def test_reading_begins_anywhere(epoch: int, batches: int) -> None:
    whole = Order(10, 4, seed=1)
    every = [batch for _ in range(4) for batch in whole]
    order = Order(10, 4, seed=1)
    order.at(epoch, batches)
    found = [batch for _ in range(2) for batch in order]
    begin = 3 * epoch + batches
    assert found == every[begin : begin + len(found)]
    assert found[0][0].epoch == every[begin][0].epoch


def test_choices_follow_from_the_image_and_leave_the_generators_alone() -> None:
    random.seed(5)
    np.random.seed(5)
    wanted = random.Random(5).random(), np.random.RandomState(5).random()

    def drawn(seed: int, index: int, epoch: int) -> tuple[float, float]:
        with drawn_for(seed, Place(index, epoch)):
            return random.random(), np.random.random()

    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    assert len({drawn(*numbers) for numbers in ((1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4))}) == 4
    assert (random.random(), np.random.random()) == wanted


class KilledError(BaseException):
    """Stands for a kill."""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_training_goes_on_bit_for_bit(dataset: DatasetRef, tmp_path: Path, workers: int) -> None:
    mixed = ["augment=default", "augment.mosaic9=0.5", "augment.mixup=0.5", "augment.mixup_alpha=0.5"]
    safe = ["augment.noise=0.1", "augment.blur=1", "augment.contrast=0.3", "augment.crop=0.2", "augment.close_mosaic=2"]
    words = ["epochs=4", "batch=2", "train.accumulate=1", *mixed, *safe]
    cfg = toy(*words, f"train.workers={workers}", f"train.prefetch={2 if workers else 0}")
    readers: list[int] = []
    children = psutil.Process().children
    whole = run(
        cfg, dataset, tmp_path / "whole", hooks={"on_train_epoch_end": lambda trainer: readers.append(len(children()))}
    )
    assert min(readers) >= workers, "loader processes are there on a processor too"
    alone = run(toy(*words), dataset, tmp_path / "alone")
    assert alone.checkpoint.weights_sha256 == whole.checkpoint.weights_sha256, "whoever reads the images"
    for kill_at in (1, 3):  # before and after mosaics end

        def on_epoch(epoch: int, row: dict[str, float], last: int = kill_at) -> None:
            if epoch == last:
                raise KilledError

        out = tmp_path / f"cut-{kill_at}"
        with pytest.raises(KilledError):
            train(cfg.training, dataset, Start(None, "test"), out, 1, on_epoch)
        assert run(cfg, dataset, out).checkpoint.weights_sha256 == whole.checkpoint.weights_sha256, kill_at
