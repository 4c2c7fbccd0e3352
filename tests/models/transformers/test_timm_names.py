"""DETR as it was first published: its ResNet under timm's names, which are torchvision's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.models.torchvision import checkpoint
from src.models.transformers.begin import published_start
from src.models.transformers.library import library
from src.models.transformers.network import NETWORKS
from src.models.transformers.published import build_published
from src.models.transformers.timm_names import BODY, DEPTHS
from tests.models.transformers.snapshots import model

SMALL = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
SMALL |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 4}
OLD = {"model_type": "detr", "backbone": "resnet50", "use_timm_backbone": True, "backbone_config": None, **SMALL}


@pytest.mark.slow
def test_a_resnet_of_timm_answers_as_torchvisions(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from torchvision.models import resnet50

    torch.manual_seed(0)
    body: Any = resnet50(weights=None).eval()
    for name, value in body.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            torch.nn.init.uniform_(value, 0.5, 1.5)
    parts = library()
    inner = parts.ResNetConfig(depths=DEPTHS["resnet50"], out_features=["stage4"])
    rest = parts.DetrForObjectDetection(parts.DetrConfig(backbone_config=inner, use_timm_backbone=False, **SMALL))
    weights = {n: v.clone() for n, v in rest.state_dict().items() if not n.startswith("model.backbone.")}
    weights |= {f"{BODY}{n}": v for n, v in body.state_dict().items() if not n.startswith("fc.")}
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(OLD))
    start = published_start(model(str(tmp_path), "detr"), tmp_path, "")
    built = (start.architecture, 2, 64)
    network: Any = NETWORKS.build(*built)
    taken = checkpoint.begin(network, start, built, NETWORKS)
    assert taken is not None
    assert taken.missing == []
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        maps = network.eval().network.model.backbone.model(x).feature_maps[-1]
        y = body.maxpool(body.relu(body.bn1(body.conv1(x))))
        wanted = body.layer4(body.layer3(body.layer2(body.layer1(y))))
    assert torch.allclose(maps, wanted, rtol=1e-4, atol=1e-3 * float(wanted.abs().max()))


@pytest.mark.parametrize("keys", [{"backbone": "mobilenetv3_large_100"}, {"dilation": True}])
def test_other_backbones_of_timm_are_refused(keys: dict[str, object]) -> None:
    text = json.dumps({"config": {**OLD, **keys}, "mean": [0] * 3, "std": [1] * 3, "frozen": True})
    with pytest.raises(UserError, match="of timm is not known here"):
        build_published(text, 2, 64)
