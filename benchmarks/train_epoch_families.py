"""Epoch time of our loop against torchvision's published reference loop, for torchvision's and transformers' detectors.

python -m benchmarks.train_epoch_families [images] [epochs] [model …]

The peer is what torchvision's `references/detection` does in an epoch, written plainly: a data loader that gives images
as tensors, the losses' sum, a check that it is finite, a step. Both train the same network on the same images with the
same optimizer and batches, in turns within one process, without augmentation and without an average of the weights.
Only training is timed, since the reference validates by COCO's tools. The first epoch of each warms up and is left out.
Seconds of the processor are compared too: they suffer less from a busy machine.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._table import held, lines
from src.config.training import Training
from src.data import load_split, resolve
from src.models.base import Start
from src.models.networks import Networks
from src.models.torchvision.images import Images
from src.models.torchvision.recipe import build_optimizer
from src.models.torchvision.training import Trainer
from src.records.schema import DatasetRef
from tests.configurations import typed

LIMIT = 1.05
MODELS = ("frcnn_mobilenet", "dfine_s")
Epoch = Callable[[], None]


def networks_of(family: str) -> Networks:
    """The networks of a family."""
    if family == "torchvision":
        from src.models.torchvision.outputs import NETWORKS
    else:
        from src.models.transformers.network import NETWORKS
    return NETWORKS


def ours(training: Training, data: DatasetRef, out: Path, of: Networks) -> Epoch:
    """An epoch of our loop."""
    trainer = Trainer(training, data, Start(None, "benchmark"), out, of)
    trainer.images.read()
    numbers = iter(range(1, 1000))

    def epoch() -> None:
        trainer._train_epoch(trainer.progress, next(numbers))

    return epoch


class AsTensors:
    """The images as torchvision's reference datasets give them: kept in memory, a tensor and a target each."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: int) -> tuple[Any, dict[str, Any]]:
        """Image [3, h, w] in 0..1, boxes and labels from 1."""
        import torch

        item = self._images[i]
        boxes = torch.from_numpy(item.boxes).float().reshape(-1, 4)
        labels = torch.from_numpy(item.classes) + 1
        return torch.from_numpy(item.pixels).float() / 255, {"boxes": boxes, "labels": labels}


def reference(training: Training, data: DatasetRef, of: Networks) -> Epoch:
    """An epoch of the reference loop."""
    import torch

    torch.manual_seed(training.seed)
    network: Any = of.build(training.model.architecture, len(data.class_names), training.imgsz)
    images = Images(load_split(data, "train"), training.imgsz, keep=True)
    images.read()
    loader: Any = torch.utils.data.DataLoader(
        AsTensors(images),  # type: ignore[arg-type]
        batch_size=training.batch,
        shuffle=True,
        collate_fn=lambda items: tuple(zip(*items, strict=True)),
    )
    optimizer = build_optimizer(network, training.train, training.lr)

    def epoch() -> None:
        network.train()
        for x, targets in loader:
            total = torch.stack(list(network(list(x), list(targets)).values())).sum()
            if not torch.isfinite(total):
                raise FloatingPointError("the loss is not finite")
            optimizer.zero_grad()
            total.backward()
            optimizer.step()

    return epoch


def measure(images: int = 24, epochs: int = 4, models: tuple[str, ...] = MODELS) -> dict[str, Any]:
    """Seconds of the clock and of the processor, by model and loop."""
    import torch

    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for model in models:
        words = [f"model={model}", "augment=none", "train.ema=false", f"data.n_train={images}", "data.n_val=4"]
        training = typed(*words, "data.n_test=4", "model.weights=scratch", "train.nbs=8", "lr=0.0005").training
        with tempfile.TemporaryDirectory() as name:
            data = resolve(typed(*words, "data.n_test=4").data, Path(name) / "data")
            of = networks_of(training.model.family)
            kinds = {"ours": ours(training, data, Path(name) / "out", of), "reference": reference(training, data, of)}
            for number in range(epochs + 1):
                for kind, epoch in kinds.items():
                    clock, processor = time.perf_counter(), time.process_time()
                    epoch()
                    if number:
                        took = time.perf_counter() - clock, time.process_time() - processor
                        found.setdefault(model, {}).setdefault(kind, []).append(took)
    return {"images": images, "cores": threads, "epochs": epochs, "seconds": found}


def shown(result: dict[str, Any]) -> str:
    """The figures as a table."""
    rows: list[tuple[object, ...]] = []
    for model, kinds in result["seconds"].items():
        for place, unit in enumerate(("clock", "processor")):
            medians = {kind: statistics.median(took[place] for took in epochs) for kind, epochs in kinds.items()}
            pairs = zip(kinds["ours"], kinds["reference"], strict=True)
            ratio = statistics.median(a[place] / b[place] for a, b in pairs)
            rows += [(f"{model}, {unit}: {kind}", value, "s") for kind, value in medians.items()]
            rows.append((f"{model}, {unit}: ours / reference", ratio, "", f"at most {LIMIT}", held(ratio <= LIMIT)))
    head = f"{result['images']} images, {result['cores']} cores; medians of {result['epochs']} epochs in turns"
    return f"{head}\n{lines(rows)}"


if __name__ == "__main__":
    counts = [int(word) for word in sys.argv[1:3]]
    asked = dict(zip(("images", "epochs"), counts, strict=False))
    print(shown(measure(asked.get("images", 24), asked.get("epochs", 4), tuple(sys.argv[3:]) or MODELS)))
