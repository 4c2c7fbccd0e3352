"""How torchvision's networks follow the size of the input."""

from __future__ import annotations

from typing import Any

import pytest

from src.models.torchvision.network import build_network, regions


@pytest.mark.parametrize(("imgsz", "expected"), [(32, 32), (160, 64), (320, 128), (800, 320), (1280, 512), (1920, 512)])
def test_the_second_stage_learns_from_more_regions_of_larger_images(imgsz: int, expected: int) -> None:
    assert regions(imgsz) == expected


def test_a_network_is_built_with_its_share_of_regions() -> None:
    network: Any = build_network("fasterrcnn_mobilenet_v3_large_320_fpn", 3, 160)
    assert network.roi_heads.fg_bg_sampler.batch_size_per_image == 64
    assert network.roi_heads.detections_per_img == 100


def test_one_stage_has_no_regions() -> None:
    network: Any = build_network("ssdlite320_mobilenet_v3_large", 3, 128)
    assert network.detections_per_img == 100
