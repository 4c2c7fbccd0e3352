"""Values of `export.*` that make no sense are refused before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.common.errors import UserError
from src.config.checks import check
from tests.config.test_config import composed

REFUSED = [
    (["export.opset=10"], "export.opset", "export.opset=11"),
    (["export.opset=21"], "export.opset", "export.opset=20"),
    (["export.dynamic=all"], "export.dynamic", "none, batch, size"),
    (["export=litert", "export.dynamic=size"], "litert/fp32", "export.dynamic=batch"),
    (["export.dynamic=none", "benchmark.batches=[4]", "decision.batch=4"], "export.dynamic=none", "batches=[1]"),
    (["export.rewrite=[relu]"], "export.rewrite", "upsample, hardswish"),
    (["train.qat_scheme=arm"], "train.qat_scheme", "static, x86, fbgemm, qnnpack"),
    (["train=qat", f"model.weights={__file__}", "train.qat_freeze_bn=10"], "qat_freeze_bn", "train.qat_freeze_bn=5"),
    (["train=qat", f"model.weights={__file__}", "train.qat_freeze_bn=1", "epochs=1"], "epochs=1", "more epochs"),
    (["train.plateau_factor=1.5", "train.schedule=plateau"], "train.plateau_factor", "train.plateau_factor=0.1"),
    (["train.lr_backbone=-1"], "train.lr_backbone", "train.lr_backbone=1,"),
    (["train.freeze=10", "train.unfreeze_steps=[5,40]"], "train.unfreeze_steps", "train.unfreeze_steps=[3, 6]"),
    (["train.freeze=10", "train.unfreeze_steps=[2]", "epochs=1"], "train.unfreeze_steps", "more epochs"),
    (["export.int8.weights=row"], "export.int8.weights", "channel, tensor"),
    (["export=int8", "export.opset=12"], "opset 13", "export.int8.weights=tensor"),
    (["export.int8.keep=worst"], "export.int8.keep", "export.int8.keep=auto"),
    (["export.int8.keep=[1]"], "export.int8.keep", "export.int8.keep=auto"),
    (["export.int8.most_kept=0"], "export.int8.most_kept", "most_kept=8"),
    (["export.calibration.images=0"], "export.calibration.images", "null"),
    (["export.calibration.folder=/no/such/folder"], "export.calibration.folder", "null"),
]


@pytest.mark.parametrize(("words", "key", "remedy"), REFUSED, ids=lambda v: v[-1] if isinstance(v, list) else "")
def test_what_makes_no_sense_is_refused(words: list[str], key: str, remedy: str) -> None:
    with pytest.raises(UserError) as caught:
        check(composed(*words))
    assert key in str(caught.value)
    assert remedy in str(caught.value)


def test_what_makes_sense_is_taken(tmp_path: Path) -> None:
    for words in (
        ["export=int8", "export.opset=12", "export.int8.weights=tensor"],
        ["export=int8", "export.int8.keep=auto", f"export.calibration.folder={tmp_path}"],
        ["export=int8", "export.int8.keep=[/model.0/conv/Conv]", "export.calibration.images=16"],
        ["export=openvino", "export.dynamic=size", "export.simplify=false"],
    ):
        check(composed(*words))
