"""The only caller of Ultralytics' training: dataset to checkpoint.

`loop` trains, `arguments` says what Ultralytics is told and what it has no word for, `trainers` adds the latter.
Nothing heavy is imported until a training begins.
"""

from __future__ import annotations

from src.train.arguments import check_device, check_training, training_arguments, training_options
from src.train.loop import EpochHook, TrainResult, epoch_metrics, forget_state, train, weights_hash
from src.train.untrained import save_untrained

__all__ = [
    "EpochHook",
    "TrainResult",
    "check_device",
    "check_training",
    "epoch_metrics",
    "forget_state",
    "save_untrained",
    "train",
    "training_arguments",
    "training_options",
    "weights_hash",
]
