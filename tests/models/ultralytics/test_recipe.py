"""What can't be used together is refused with the reason; what is refused by the machine too, before any training."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.common.errors import UserError
from src.models import devices
from src.models.ultralytics.arguments import check_training, training_arguments, training_options
from src.models.ultralytics.family import FAMILY
from tests.models.ultralytics.toy import toy

FILE = str(Path(__file__))


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["train.schedule=sawtooth"], "train.schedule"),
        (["train.schedule=onecycle", "train.warmup_epochs=1"], "onecycle"),
        (["train.schedule=step", "train.step_epochs=9", "epochs=9"], "never drop"),
        (["train.schedule=exponential", "train.exponential_gamma=1.5"], "train.exponential_gamma"),
        (["train.schedule=plateau", "epochs=5"], "never drop"),
        (["train.schedule=plateau", "train.patience=3", "epochs=9"], "early stopping would come before"),
        (["train.schedule=plateau", "train.plateau_patience=1", "device='cuda:0,1'", "epochs=9"], "one device only"),
        (["train.unfreeze_steps=[2]", "epochs=3"], "nothing is frozen"),
        (["train.unfreeze_steps=[3,2]", "train.freeze=3", "epochs=3"], "rising epochs"),
        (["train.unfreeze_steps=[2,9]", "train.freeze=3", "epochs=3"], "2..3"),
        (["train.unfreeze_steps=[2]", "train.unfreeze_epoch=2", "train.freeze=3", "epochs=3"], "at once"),
        (["train.box_loss=siou"], "train.box_loss"),
        (["train.focal_gamma=-1"], "train.focal_gamma"),
        (["train.label_smoothing=0.9"], "train.label_smoothing"),
        (["train.betas=[0.9]"], "train.betas"),
        (["train.betas=[0.9,1.0]"], "train.betas"),
        (["train.betas=[0.9,0.99]", "train.optimizer=SGD"], "SGD"),
        (["train.unfreeze_epoch=2", "epochs=3"], "nothing is frozen"),
        (["train.unfreeze_epoch=9", "train.freeze=3", "epochs=3"], "2..3"),
        (["train.stop_metric=beauty"], "train.stop_metric"),
        (["train.amp=fp16"], "GPU"),
        (["train.amp=fp12"], "train.amp"),
        (["train.cache=tape"], "train.cache"),
        (["train.ema_decay=1"], "train.ema_decay"),
        (["train.cls_pw=2"], "train.cls_pw"),
        (["augment.degrees=400"], "augment.degrees"),
        (["augment.close_mosaic=-1"], "augment.close_mosaic"),
        (["device='cuda:0,1'", "batch=3"], "batch"),
        (["device='cuda:1,1'"], "twice"),
        (["device='cuda:,'"], "device"),
        (["device='cuda:0,1'", "train.resume=state"], "train.resume works on one device"),
        (["device='cuda:0,1'", "train.keep_state=true"], "train.keep_state works on one device"),
        (["device='cuda:0,1'", "train.epoch_curves=true"], "train.epoch_curves works on one device"),
        (["device='cuda:0,1'", "study.pruner=median"], "study.pruner"),
        (["train=distill", "train.distill_model=/no/such.pt"], "distill_model"),
        (["train=qat"], "finished checkpoint"),
        (["train=qat", f"model.weights={FILE}", "train.amp=bf16"], "train.amp"),
        (["train=qat", f"model.weights={FILE}", f"train.distill_model={FILE}"], "distill_model"),
        (["train=qat", f"model.weights={FILE}", "device='cuda:0,1'"], "train.qat works on one device"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_what_makes_no_sense_is_refused_with_the_reason(words: list[str], key: str) -> None:
    with pytest.raises(UserError) as caught:
        toy(*words)
    assert key in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["train.freeze_names=[model.99]"], "model.99"),
        (["train.freeze=23"], "23 layers"),
        (["train.freeze_names=[model]"], "whole network"),
        (["train.freeze=2", "train.unfreeze_steps=[2,3,4]", "epochs=4"], "more steps than there are frozen layers"),
        (["lr=500"], "lr must be above 0 and at most 1"),
        (["train.warmup_epochs=1", "train.warmup_bias_lr=2"], "train.warmup_bias_lr must be between 0 and 1"),
        (["device=cuda"], "CUDA"),
        (["device='cuda:0,1'"], "no CUDA device is usable here"),
        (["device=auto", "train.amp=fp16"], "device=auto found none"),
        (["train.cls_pw=1", "model=rtdetr"], "not to be had for RT-DETR"),
        (["train.box_loss=iou", "model=rtdetr"], "matches and learns by giou"),
        (["train.focal_gamma=2", "model=rtdetr"], "varifocal"),
        (["train.dropout=0.1"], "YOLO has none"),
    ],
    ids=" ".join,
)
def test_layers_and_devices_that_are_not_there_are_refused_before_training(words: list[str], names: str) -> None:
    with pytest.raises(UserError) as caught:
        FAMILY.check(toy(*words).training)
    assert names in str(caught.value)


def test_half_precision_is_refused_where_the_processor_would_emulate_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "cpuinfo")
    for flags in (None, "flags: fma avx512f avx512_vnni"):
        if flags:
            (tmp_path / "cpuinfo").write_text(flags)
        with pytest.raises(UserError, match="bfloat16"):
            check_training(toy("train.amp=bf16").training)
    (tmp_path / "cpuinfo").write_text("flags: fma avx512_bf16")
    check_training(toy("train.amp=bf16").training)


@pytest.mark.parametrize("model", ["v8n", "v9t", "v26n", "rtdetr"])
def test_layers_are_known_for_every_family(model: str) -> None:
    check_training(toy(f"model={model}", "train.freeze=3", "train.freeze_names=[model.4.*]").training)


def test_an_option_without_effect_is_left_out() -> None:
    plain = training_options(toy().training)
    assert (
        training_options(toy("train.step_gamma=0.7", "train.onecycle_rise=0.1", "train.stop_metric=f1").training)
        == plain
    )
    assert training_options(toy("train.exponential_gamma=0.5", "train.plateau_factor=0.5").training) == plain
    for word in (
        "train.schedule=exponential",
        "train.box_loss=iou",
        "train.focal_alpha=0.3",
        "train.schedule=step",
        "train.ema=false",
        "train.keep_top=2",
        "train.betas=[0.8,0.9]",
    ):
        assert training_options(toy(word, "train.step_epochs=1").training) != plain


def test_mosaic_is_never_closed_for_more_than_half_of_the_training(tmp_path: Path) -> None:
    from src.records.schema import DatasetRef

    ref = DatasetRef("x", "x.yaml", "", {}, [])
    closed = [
        training_arguments(toy("augment=default", f"epochs={n}").training, ref, None, tmp_path)["close_mosaic"]
        for n in (1, 10, 50)
    ]
    assert closed == [0, 5, 10]


def test_no_pictures_of_a_training_are_drawn_where_its_data_are_secret(tmp_path: Path) -> None:
    from src.common import encryption
    from src.records.schema import DatasetRef

    picture = tmp_path / "images" / "val" / "0.png"
    picture.parent.mkdir(parents=True)
    ref = DatasetRef("x", str(tmp_path / "data.yaml"), "", {}, [])
    drawn = []
    for content in (b"plain", encryption.encrypt(b"plain", bytes(32))):
        picture.write_bytes(content)
        drawn.append(training_arguments(toy("train.plots=true").training, ref, None, tmp_path)["plots"])
    assert drawn == [True, False]


def test_accumulation_becomes_a_nominal_batch(tmp_path: Path) -> None:
    from src.records.schema import DatasetRef

    ref = DatasetRef("x", "x.yaml", "", {}, [])
    assert training_arguments(toy("train.accumulate=3").training, ref, None, tmp_path)["nbs"] == 12


@pytest.mark.parametrize(
    ("train", "augment"),
    [("scratch_small", "light"), ("finetune", "finetune"), ("fast", "light"), ("standard", "default")],
)
def test_a_recipe_brings_its_augmentation_and_the_command_line_wins(train: str, augment: str) -> None:
    assert toy(f"train={train}", "epochs=20").augment.name == augment
    assert toy(f"train={train}", "augment=none", "epochs=20").augment.name == "none"
    assert toy("augment=none", f"train={train}", "epochs=20").augment.name == "none"


def test_the_default_is_the_small_recipe_with_light_augmentation() -> None:
    cfg = toy()
    assert (cfg.train.name, cfg.augment.name) == ("scratch_small", "light")
    assert (cfg.augment.translate, cfg.augment.scale, cfg.augment.mosaic) == (0.1, 0.3, 0.0)
