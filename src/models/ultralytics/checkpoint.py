"""How Ultralytics is entered: its environment set before the import, and checkpoints loaded without running pickles.

Ultralytics reads its environment once, while it is imported: it may then install packages, ask the network, and keep
one global settings file that switches third-party callbacks on. And it loads checkpoints as full pickles, which run
whatever code they carry, unless told otherwise. Every process that imports it goes through here first.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.common.errors import UserError
from src.machine.environment import cores
from src.models.weights_download import keep_offline

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)


def prepare_environment(config_dir: Path, *, threads: int = 0) -> None:
    """Set what Ultralytics reads at import, in this process and those it starts.

    Args:
        config_dir: private folder for its settings file; made when missing.
        threads: what OMP_NUM_THREADS becomes where it is not set (Ultralytics would set 1); 0 = all usable cores.
    """
    config_dir.mkdir(parents=True, exist_ok=True)
    keep_offline()
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_CONFIG_DIR"] = str(config_dir.resolve())
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads or cores()))


def quiet_settings() -> None:
    """Import Ultralytics and switch off its callbacks to other tools (they log on their own, and may call home)."""
    from ultralytics.utils import SETTINGS

    tools = (
        "clearml",
        "comet",
        "dvc",
        "hub",
        "mlflow",
        "neptune",
        "raytune",
        "tensorboard",
        "wandb",
        "sync",
    )
    wanted = {name: False for name in tools if SETTINGS.get(name) is True}
    if wanted:
        SETTINGS.update(wanted)  # type: ignore[no-untyped-call]


def is_prepared() -> bool:
    """Whether Ultralytics may be imported now: the environment was set first."""
    return os.environ.get("YOLO_AUTOINSTALL") == "false" and bool(os.environ.get("YOLO_CONFIG_DIR"))


def load_checkpoint(path: Path | str, trust: bool = False) -> nn.Module:
    """Load a detector from a `.pt` file in evaluation mode, as float32, on the CPU.

    Args:
        path: a checkpoint that Ultralytics wrote.
        trust: unpickle it whole when it holds more than known model classes. That runs code from the file.

    Raises:
        UserError: the file is missing, damaged, of another kind, or needs `trust`.
    """
    path = Path(path)
    _refuse_missing(path)
    if not is_prepared() and "ultralytics" not in sys.modules:
        prepare_environment(Path(tempfile.mkdtemp(prefix="detsweep-")))
    from ultralytics.nn.tasks import torch_safe_load

    if trust:
        log.warning("TRUSTED: %s is unpickled whole (trust=true), which runs whatever code it carries", path)
    try:
        content, _ = torch_safe_load(str(path), safe_only=not trust)  # type: ignore[no-untyped-call]
    # Each kind of damage raises another type, and all of them mean the same to the user.
    except Exception as error:
        raise _refusal(path, error, trust) from None
    return _detector(path, content)


def class_names(model: nn.Module) -> list[str]:
    """Class names of a loaded detector; the index is the class id."""
    names: Any = model.names
    return [str(names[i]) for i in range(len(names))]


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise UserError(
            "the checkpoint does not exist",
            value=path,
            remedy="give the path of a .pt file",
        )
    if path.suffix != ".pt":
        raise UserError(
            "the checkpoint is not a .pt file",
            value=path,
            remedy="give the path of a .pt file",
        )


def _refusal(path: Path, error: Exception, trust: bool) -> UserError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if not trust and (
        "outside the supported" in str(error) or isinstance(error, (AttributeError, ModuleNotFoundError))
    ):
        return UserError(
            "the checkpoint holds objects that are not known model classes; unpickling it could run code",
            value=path,
            remedy="take a checkpoint that Ultralytics wrote, or trust=true if you know where it came from",
        )
    return UserError(
        f"the checkpoint can't be loaded ({text})",
        value=path,
        remedy="train again, or give another file",
    )


def _detector(path: Path, content: Any) -> nn.Module:
    """The weights to use: the moving average where there is one, as Ultralytics' own loader does."""
    import torch

    model = (content.get("ema") or content.get("model")) if isinstance(content, dict) else None
    if not isinstance(model, torch.nn.Module) or not hasattr(model, "names") or not hasattr(model, "model"):
        raise UserError(
            "the checkpoint holds no detector",
            value=path,
            remedy="give a .pt file of a detection model",
        )
    if not hasattr(model, "stride"):
        model.stride = torch.tensor([32.0])
    for module in model.modules():  # checkpoints of older torch versions lack it
        if isinstance(module, torch.nn.Upsample) and not hasattr(module, "recompute_scale_factor"):
            module.recompute_scale_factor = None
    return model.float().eval()
