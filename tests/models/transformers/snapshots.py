"""Snapshot folders as Hugging Face publishes them, of networks with a few thousand weights."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from src.config.training import ModelConfig
from src.models.transformers.library import library, quietly
from src.models.transformers.published import CLASSES

SIDE, PUBLISHED_CLASSES = 96, 5
KINDS = tuple(CLASSES)
SLOW = ("d_fine", "rt_detr_v2")  # hundreds of small layers
SOME = [pytest.param(kind, marks=pytest.mark.slow) if kind in SLOW else kind for kind in KINDS]
NORMALISED = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.5]
WIDTHS = [8, 16, 16, 16]
RESNET = {"embedding_size": 8, "hidden_sizes": WIDTHS, "depths": [2, 2, 2, 2], "layer_type": "basic"}


def config_of(kind: str) -> Any:
    """A configuration of the library, as small as it can be."""
    parts = library()
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    common = {"num_labels": PUBLISHED_CLASSES, "d_model": 16, "num_queries": 8, "decoder_ffn_dim": 16}
    pyramid = {
        **common,
        **heads,
        "encoder_hidden_dim": 16,
        "encoder_in_channels": WIDTHS[1:],
        "decoder_in_channels": [16] * 3,
        "encoder_ffn_dim": 16,
        "decoder_layers": 2,
        "hidden_expansion": 0.5,
        "num_denoising": 4,
    }
    if kind == "d_fine":
        backbone = parts.HGNetV2Config(
            stem_channels=[3, 4, 8],
            stage_in_channels=[8, *WIDTHS[:3]],
            stage_mid_channels=[4, 4, 4, 4],
            stage_out_channels=WIDTHS,
            hidden_sizes=WIDTHS,
            stage_num_blocks=[1] * 4,
            stage_numb_of_layers=[1] * 4,
            out_features=["stage2", "stage3", "stage4"],
        )
        return parts.DFineConfig(backbone_config=backbone, decoder_n_points=[2, 2, 2], **pyramid)
    if kind == "rt_detr_v2":
        backbone = parts.RTDetrResNetConfig(**RESNET, out_features=["stage2", "stage3", "stage4"])
        return parts.RTDetrV2Config(backbone_config=backbone, **pyramid)
    if kind == "rf_detr":
        inner = {"model_type": "rf_detr_dinov2", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        inner |= {"image_size": SIDE, "patch_size": 16, "num_windows": 2, "out_features": ["stage1", "stage2"]}
        heads = {"decoder_self_attention_heads": 2, "decoder_cross_attention_heads": 2}
        return parts.RfDetrConfig(backbone_config=inner, decoder_layers=1, group_detr=2, **heads, **common)
    if kind == "detr":
        backbone = parts.ResNetConfig(**RESNET, out_features=["stage4"])
        layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16}
        return parts.DetrConfig(backbone_config=backbone, use_timm_backbone=False, **layers, **heads, **common)
    return parts.YolosConfig(
        num_labels=PUBLISHED_CLASSES,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[SIDE, SIDE + 32],
        num_detection_tokens=8,
        use_mid_position_embeddings=True,
    )


def published_network(kind: str) -> Any:
    """The library's network, with positions, norms and class heads that tell cells and queries apart.

    The library's own beginning leaves maps near 0, so that all cells score the same and queries are picked by chance.
    """
    import torch

    torch.manual_seed(0)
    model = getattr(library(), CLASSES[kind])(config_of(kind)).eval()
    for name, value in model.state_dict().items():
        if name.endswith(("position_embeddings", "cls_token", "detection_tokens", "running_mean")):
            torch.nn.init.normal_(value, std=0.3)
    for module in model.modules():
        if "BatchNorm2d" in type(module).__name__:
            module.weight.data.fill_(1.0)
        elif isinstance(module, torch.nn.Linear) and module.out_features == PUBLISHED_CLASSES:
            torch.nn.init.normal_(module.weight, std=0.5)
    return model


def snapshot(folder: Path, kind: str, images: dict[str, Any] | None = None) -> Path:
    """A folder as the library saves it; with `images` as its preprocessor's configuration."""
    with quietly():
        published_network(kind).save_pretrained(folder)
    if images is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(images))
    return folder


def change(folder: Path, **keys: object) -> Path:
    """Other keys in the configuration of a folder."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))
    return folder


@functools.cache
def model(weights: str, architecture: str = "snapshot", pretrained: str = "") -> ModelConfig:
    """Group `model`."""
    return ModelConfig(
        name="tiny", family="transformers", architecture=architecture, pretrained=pretrained, weights=weights
    )
