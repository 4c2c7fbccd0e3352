"""Configurations of the networks, small enough to be trained on two processor cores; no hub is asked for anything.

Each differs from its published kin by fewer layers, channels and queries, never by its parts: a result here says how
the method learns, not what the published weights reach.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from src.models.transformers.library import library
from src.models.transformers.starts import distinct_tokens, learning_norms, pass_through_norms
from src.models.transformers.tracing import traceable_positions

WIDTH, QUERIES, HEADS = 128, 50, 4
PYRAMID = [128, 256, 512]  # channels of a small backbone at 8, 16 and 32 px
NARROW = [64, 128, 256]
STRIDES = [8, 16, 32]


def _dfine(labels: dict[str, Any], imgsz: int) -> Any:
    """D-FINE on HGNetV2 with half the channels of B0."""
    parts = library()

    backbone = parts.HGNetV2Config(
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 128, 256],
        stage_mid_channels=[16, 32, 64, 128],
        stage_out_channels=[64, *PYRAMID],
        hidden_sizes=[64, *PYRAMID],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[2, 2, 2, 2],
        use_learnable_affine_block=True,
        out_features=["stage2", "stage3", "stage4"],
    )
    config = parts.DFineConfig(**_hybrid(backbone, PYRAMID), decoder_n_points=[3, 6, 3], hidden_expansion=0.5, **labels)
    return parts.DFineForObjectDetection(config)


def _rtdetr(labels: dict[str, Any], imgsz: int) -> Any:
    """RT-DETRv2 on a ResNet-18 of half the channels (its library can't build a stage of one basic block)."""
    parts = library()

    backbone = parts.RTDetrResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, *NARROW],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = parts.RTDetrV2Config(**_hybrid(backbone, NARROW), hidden_expansion=0.5, **labels)
    return pass_through_norms(parts.RTDetrV2ForObjectDetection(config))


def _hybrid(backbone: Any, channels: list[int]) -> dict[str, Any]:
    """What RT-DETRv2 and D-FINE share: a hybrid encoder over three maps, and a decoder of three layers."""
    return {
        "backbone_config": backbone,
        "freeze_backbone_batch_norms": False,  # they have no published statistics to keep
        "encoder_hidden_dim": WIDTH,
        "encoder_in_channels": channels,
        "feat_strides": STRIDES,
        "encoder_ffn_dim": 4 * WIDTH,
        "encoder_attention_heads": HEADS,
        "d_model": WIDTH,
        "num_queries": QUERIES,
        "decoder_in_channels": [WIDTH] * 3,
        "decoder_ffn_dim": 4 * WIDTH,
        "decoder_layers": 3,
        "decoder_attention_heads": HEADS,
        "num_denoising": 20,
    }


def _rfdetr(labels: dict[str, Any], imgsz: int) -> Any:
    """RF-DETR on a DINOv2 of four narrow layers, in windows of 2 x 2."""
    parts = library()
    own: Any = importlib.import_module("transformers.models.rf_detr.configuration_rf_detr")
    backbone = own.RfDetrDinov2Config(
        hidden_size=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=HEADS,
        image_size=imgsz,
        patch_size=16,
        num_windows=2,
        out_features=["stage2", "stage4"],
    )
    config = parts.RfDetrConfig(
        backbone_config=backbone,
        d_model=WIDTH,
        decoder_ffn_dim=4 * WIDTH,
        decoder_layers=2,
        decoder_self_attention_heads=HEADS,
        decoder_cross_attention_heads=HEADS,
        num_queries=QUERIES,
        group_detr=4,
        dropout=0.0,
        **labels,
    )
    model: Any = parts.RfDetrForObjectDetection(config)
    return traceable_positions(model)


def _detr(labels: dict[str, Any], imgsz: int) -> Any:
    """DETR on a ResNet of one basic block a stage."""
    parts = library()

    backbone = parts.ResNetConfig(
        embedding_size=32,
        hidden_sizes=[64, *PYRAMID],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage4"],
    )
    config = parts.DetrConfig(
        backbone_config=backbone,
        use_timm_backbone=False,
        d_model=WIDTH,
        encoder_layers=2,
        decoder_layers=3,
        encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        num_queries=QUERIES,
        auxiliary_loss=True,
        dropout=0.0,
        **labels,
    )
    return learning_norms(parts.DetrForObjectDetection(config))


def _yolos(labels: dict[str, Any], imgsz: int) -> Any:
    """YOLOS: a plain vision transformer of four narrow layers, with a token for each query."""
    parts = library()

    config = parts.YolosConfig(
        hidden_size=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        image_size=[imgsz, imgsz],
        num_detection_tokens=QUERIES,
        use_mid_position_embeddings=False,
        **labels,
    )
    return distinct_tokens(parts.YolosForObjectDetection(config))


BUILDERS: dict[str, Callable[[dict[str, Any], int], Any]] = {  # as `model.architecture` names it
    "dfine_s": _dfine,
    "rtdetrv2_s": _rtdetr,
    "rfdetr_s": _rfdetr,
    "detr_s": _detr,
    "yolos_s": _yolos,
}
SMALLEST = {
    "dfine_s": 64,
    "rtdetrv2_s": 64,
    "rfdetr_s": 128,
}  # px: queries are picked among the cells of maps
SOFTMAX = ("detr_s", "yolos_s")  # score by softmax, with a last class for "nothing"; the others by sigmoid
