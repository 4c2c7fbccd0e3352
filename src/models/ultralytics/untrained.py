"""An architecture before training: what it costs to run does not depend on what its weights will be."""

from __future__ import annotations

from pathlib import Path

from src.common.hashes import sha256_file
from src.config.training import Training
from src.models.ultralytics.checkpoint import is_prepared, prepare_environment
from src.models.ultralytics.network import build_network, size_of
from src.models.ultralytics.outputs import describe
from src.records.schema import Checkpoint


def save_untrained(training: Training, class_names: list[str], path: Path) -> Checkpoint:
    """Save the untrained network of a configuration in the form that training writes.

    Args:
        training: which architecture, at which size.
        class_names: of the dataset; their number sets the width of the head.
        path: where the `.pt` file goes.
    """
    if not is_prepared():
        prepare_environment(path.parent / "ultralytics")
    import torch
    from ultralytics.utils import LOGGER

    torch.manual_seed(0)
    level = LOGGER.level
    LOGGER.setLevel("WARNING")  # it tells of every key of the architecture file that it overrides
    network = build_network(training.model.architecture, len(class_names))
    LOGGER.setLevel(level)
    network.names = dict(enumerate(class_names))
    parameters, gflops = size_of(network, training.imgsz)
    taken = describe(network, training.imgsz)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": network.half(), "ema": None, "train_args": {}}, path)
    sha = sha256_file(path)
    name = Path(training.model.architecture).stem
    return Checkpoint(str(path), sha, sha, name, training.imgsz, 0, 0, 0, "untrained", parameters, gflops, **taken)
