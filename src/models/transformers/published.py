"""Networks of published configurations, built by transformers from their `config.json` with the dataset's classes.

Such an architecture is a text, the JSON of what decides the network: it stands in the checkpoint, which is opened
without the folder that it came from. Keys that are no settings of the network (classes, types, code, quantisation,
names on a hub) are left out before the library sees them.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from src.common.errors import UserError
from src.models.transformers.library import library
from src.models.transformers.snapshot import Snapshot
from src.models.transformers.starts import distinct_tokens, learning_norms, pass_through_norms
from src.models.transformers.timm_names import without_timm
from src.models.transformers.tracing import traceable_positions

SNAPSHOT = "snapshot"  # `model.architecture`: whichever of the five the folder holds
CLASSES = {  # `model_type` of a configuration -> the network that detects
    "d_fine": "DFineForObjectDetection",
    "rt_detr_v2": "RTDetrV2ForObjectDetection",
    "rf_detr": "RfDetrForObjectDetection",
    "detr": "DetrForObjectDetection",
    "yolos": "YolosForObjectDetection",
}
SOFTMAX = ("detr", "yolos")  # score by softmax, with a last class for "nothing"
RESCALED_ALONE = ("d_fine", "rt_detr_v2")  # published for images in 0..1; the others with ImageNet's mean and deviation
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
MOST_PARAMETERS = 1_000_000_000
BRIEF = 120  # characters of a library's message


@dataclass(frozen=True)
class Published:
    """What decides a network that is built from a published configuration."""

    config: dict[str, Any]
    mean: tuple[float, ...]  # of values in 0..1, RGB
    std: tuple[float, ...]
    frozen: bool  # batch norms as they were published; False: begins from nothing, with norms that learn

    @property
    def kind(self) -> str:
        """`model_type` of transformers."""
        return str(self.config["model_type"])

    def text(self) -> str:
        """As an architecture is named in checkpoints."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))


def is_published(architecture: str) -> bool:
    """Whether an architecture is the text of a published configuration."""
    return architecture.startswith("{")


def parsed(architecture: str) -> Published:
    """The configuration of an architecture's text.

    Raises:
        UserError: it is damaged.
    """
    try:
        found = json.loads(architecture)
        made = Published(dict(found["config"]), tuple(found["mean"]), tuple(found["std"]), bool(found["frozen"]))
        fits = made.kind in CLASSES and len(made.mean) == len(made.std) == 3
    except (ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise UserError("the checkpoint's configuration is damaged", value=architecture[:BRIEF])
    return made


def published(snapshot: Snapshot, *, frozen: bool = True) -> Published:
    """What a snapshot says of its network and of the images that it takes.

    Raises:
        UserError: it is of another kind of model, or its images are prepared in a way that is not known.
    """
    check_kind(snapshot)
    config = {
        key: value for key, value in snapshot.config.items() if key not in ("id2label", "label2id", "architectures")
    }
    return Published(config, *_normalisation(snapshot), frozen)


def check_kind(snapshot: Snapshot, wanted: str = SNAPSHOT) -> None:
    """Refuse a snapshot of another kind of model.

    Raises:
        UserError: naming the kind.
    """
    kind = snapshot.kind
    if kind not in CLASSES:
        raise UserError(
            f"config.json is of no detector that is known here (model_type={kind[:BRIEF] or 'none'})",
            value=snapshot.folder,
            remedy=f"a snapshot of one of: {', '.join(CLASSES)}",
        )
    if wanted not in (kind, SNAPSHOT):
        raise UserError(
            f"the snapshot folder holds another detector than was asked for: {kind}, not {wanted}",
            value=snapshot.folder,
            remedy="model=snapshot takes each of the five",
        )


def _normalisation(snapshot: Snapshot) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of values in 0..1, as the preprocessor's configuration says."""
    said = snapshot.images or {}
    try:
        scale = 255 * float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 255.0
        if not said.get("do_normalize", snapshot.kind not in RESCALED_ALONE):
            mean, std = [0.0] * 3, [1.0] * 3
        else:
            mean, std = (
                [float(v) for v in said.get(k, usual)] for k, usual in (("image_mean", MEAN), ("image_std", STD))
            )
        if len(mean) != 3 or not all(v > 0 for v in (*std, scale)) or len(std) != 3:
            raise ValueError
    except (TypeError, ValueError):
        raise UserError(
            "preprocessor_config.json says no mean and deviation of three channels",
            value=snapshot.folder,
            remedy="the file that the model was published with; or none, for that detector's usual values",
        ) from None
    return tuple(v / scale for v in mean), tuple(v / scale for v in std)


def config_of(of: Published, classes: int, imgsz: int | None = None) -> Any:
    """The library's configuration.

    Args:
        of: what was published.
        classes: of the dataset.
        imgsz: px that learned positions are made for; None = as published.

    Raises:
        UserError: the library refuses it.
    """
    kind = getattr(library(), CLASSES[of.kind]).config_class
    try:
        config = kind(**_settings(of, kind), num_labels=classes, attn_implementation="eager")
    except Exception as error:  # each kind of nonsense raises another type, and all of them mean the same to the user
        raise _refused(of, error) from None
    if of.kind in RESCALED_ALONE:
        config.eval_size = config.anchor_image_size = None  # made for one size; they are computed for the one at hand
        config.freeze_backbone_batch_norms = of.frozen and config.freeze_backbone_batch_norms
    if imgsz is not None and of.kind == "yolos":
        config.image_size = [imgsz, imgsz]
    if imgsz is not None and of.kind == "rf_detr":
        config.backbone_config.image_size = imgsz
    if of.kind == "rf_detr":
        config.disable_custom_kernels = True
    return config


def _settings(of: Published, kind: Any) -> dict[str, Any]:
    """Keys of the configuration that are settings of this network, and of its backbone."""
    config = without_timm(of.config)
    inner = config.get("backbone_config")
    kept = {key: value for key, value in config.items() if key in _own(kind)}
    if isinstance(inner, dict):
        known = library().CONFIG_MAPPING
        name = inner.get("model_type", "")
        if name not in known:
            raise ValueError(f"a backbone {name[:BRIEF]!r} is not known")
        own = {*_own(known[name]), "model_type", "out_features", "out_indices"}
        kept["backbone_config"] = {key: value for key, value in inner.items() if key in own}
    elif config.get("backbone"):
        raise ValueError(f"its backbone {str(config['backbone'])[:BRIEF]!r} is described on a hub, not in the file")
    elif of.kind == "detr":
        kept["use_timm_backbone"] = False
    return kept


def _own(kind: Any) -> set[str]:
    """Settings that a class of configurations adds to those that all share."""
    shared: Any = library().PreTrainedConfig
    return {f.name for f in dataclasses.fields(kind)} - {f.name for f in dataclasses.fields(shared)}


def build_published(architecture: str, classes: int, imgsz: int) -> Any:
    """An untrained network for square inputs of `imgsz` px.

    Raises:
        UserError: the library can't build it.
    """
    import torch

    of = parsed(architecture)
    config, kind = config_of(of, classes, imgsz), getattr(library(), CLASSES[of.kind])
    try:
        with torch.device("meta"):
            size = sum(p.numel() for p in kind(config).parameters())
        if size > MOST_PARAMETERS:
            raise ValueError(f"it would have {size / 1e9:.1f} billion parameters")
        model = kind(config)
    except Exception as error:  # see `config_of`
        raise _refused(of, error) from None
    if of.kind == "rf_detr":
        model = traceable_positions(model)
    return model if of.frozen else _from_nothing(model, of.kind)


def _from_nothing(model: Any, kind: str) -> Any:
    begins = {"rt_detr_v2": pass_through_norms, "detr": learning_norms, "yolos": distinct_tokens}
    return begins[kind](model) if kind in begins else model


def _refused(of: Published, error: Exception) -> UserError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:BRIEF]
    return UserError(
        f"transformers can't build the network that config.json describes: {reason}",
        value=f"model_type={of.kind}",
        remedy="the file that the model was published with",
    )
