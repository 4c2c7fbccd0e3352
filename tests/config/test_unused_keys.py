"""Keys that reach nothing are refused, unless another configuration of the sweep heeds them."""

from __future__ import annotations

from operator import attrgetter

import pytest

from src.common.errors import UserError
from src.config.idle_keys import default_of
from src.config.schema import AppConfig
from src.config.unused_keys import RULES, refuse_unused
from tests.config.test_config import composed

IDLE = [
    ("train.plateau_patience=3", "train.schedule=plateau"),
    ("train.step_gamma=0.5", "train.schedule=step"),
    ("train.exponential_gamma=0.5", "train.schedule=exponential"),
    ("train.onecycle_rise=0.5", "train.schedule=onecycle"),
    ("train.min_gain=0.01", "train.patience=5"),
    ("train.prefetch=2", "train.workers=4"),
    ("train.stop_metric=mAP50", "train.patience=5"),
    ("train.warmup_momentum=0.5", "train.warmup_epochs=1 train.optimizer=SGD"),
    ("train.warmup_bias_lr=0.1", "train.warmup_epochs=1"),
    ("train.dis=3", "train.distill_model=PATH/best.pt"),
    ("augment.close_mosaic=3", "augment.mosaic=1.0"),
    ("train.qat_scheme=x86", "train=qat"),
    ("train.qat_freeze_bn=2", "train=qat"),
    ("augment.mosaic9=0.5", "augment.mosaic=1.0"),
    ("augment.mixup_alpha=8", "augment.mixup=0.1"),
    ("export.int8.keep=auto", "export=int8"),
    ("export.int8.weights=tensor", "export=int8"),
    ("export.calibration.images=16", "export=int8"),
    ("data.source=/x", "data=coco128 data.source=FOLDER"),
    ("data.one_based=true", "data=voc"),
    ("data.version=3", "data=roboflow"),
    ("data.trust_loaders=true", "data.loader=NAME"),
    ("decision.currency=USD", "decision.price_per_hour=0.40"),
    ("decision.max_p99_ms=50", "decision.min_capacity_rps=50"),
    ("study.pruner_threshold=0.2", "study.pruner=threshold"),
    ("study.pruner_p=0.2", "study.pruner=wilcoxon"),
    ("study.pruner_warmup=3", "study.pruner=median"),
    ("study.max_trainings=9", "study.until=decided"),
    ("study.max_hours=9", "study.until=decided"),
    ("tile_overlap=0.3", "tile=640"),
    ("tile_merge=smaller", "tile=640"),
]


@pytest.mark.parametrize(("word", "remedy"), IDLE)
def test_a_key_that_reaches_nothing_is_refused_and_the_remedy_makes_it_reach(word: str, remedy: str) -> None:
    with pytest.raises(UserError) as caught:
        refuse_unused([composed(word)])
    key, _, value = word.partition("=")
    assert str(caught.value).startswith(key)
    assert value.lower() in str(caught.value).lower()
    assert caught.value.remedy == remedy
    refuse_unused([composed(word, *remedy.split())])


@pytest.mark.parametrize(
    ("word", "idle", "used"),
    [
        ("train.lrf=0.5", ["train.schedule=exponential"], ["train.schedule=onecycle"]),
        ("train.ema_decay=0.9", ["train.ema=false"], ["train.ema=true"]),
        ("train.nbs=64", ["train.accumulate=2"], ["train.accumulate=0"]),
        ("train.warmup_momentum=0.5", ["train.warmup_epochs=1"], ["train.warmup_epochs=1", "train.optimizer=RMSProp"]),
        ("train.warmup_epochs=3", ["epochs=3"], ["epochs=4"]),
        ("train.warmup_epochs=3", ["epochs=2"], ["study.budget=minutes", "study.minutes=1"]),
        ("train.patience=3", ["epochs=3"], ["epochs=4"]),
        ("train.patience=3", ["epochs=2"], ["study.budget=minutes", "study.minutes=1"]),
        ("export.opset=13", ["export=none"], ["export=openvino"]),
        ("export.simplify=false", ["export=torchscript"], ["export=onnx"]),
        ("export.dynamic=none", ["export=litert"], ["export=savedmodel"]),
        ("export.rewrite=[upsample]", ["export=none"], ["export=litert"]),
        ("export.opset=13", ["export=none"], ["export=none", "study.objectives=[mAP50-95,size_mb]"]),
    ],
)
def test_a_key_is_refused_beside_what_sets_it_aside(word: str, idle: list[str], used: list[str]) -> None:
    with pytest.raises(UserError, match=word.partition("=")[0]):
        refuse_unused([composed(word, *idle)])
    refuse_unused([composed(word, *used)])


@pytest.mark.parametrize(
    "words",
    [
        ["train=finetune", "train.patience=0"],  # its min_gain
        ["train=standard", "epochs=2"],  # its warm-up and its patience: a short run is one
        ["train=standard", "train.schedule=onecycle", "train.warmup_epochs=0"],  # its warmup_bias_lr
        ["train=fast", "train.schedule=step"],  # its lrf
        ["train=qat", "train.ema=false"],  # its ema_decay
        ["augment=default", "augment.mosaic=0"],  # its close_mosaic
    ],
)
def test_what_a_recipe_brought_and_nobody_typed_is_not_refused(words: list[str]) -> None:
    refuse_unused([composed(*words)])


def test_what_was_typed_over_a_recipe_is_refused() -> None:
    with pytest.raises(UserError, match=r"train\.min_gain"):
        refuse_unused([composed("train=finetune", "train.patience=0", "train.min_gain=0.01")])


def test_a_path_without_its_dataset_is_no_reason_to_read_digits() -> None:
    with pytest.raises(UserError, match=r"data\.path"):
        refuse_unused([composed("data.path=/x")])
    with pytest.raises(UserError, match=r"data\.n_train"):
        refuse_unused([composed("data=yolo", "data.path=/x", "data.n_train=9")])
    refuse_unused([composed("data=tiny_person", "data.source=/x")])


def test_tracking_that_is_off_takes_no_keys() -> None:
    for word in ("tracking.uri=sqlite:///x.db", "tracking.experiment=x", "tracking.also=[tensorboard]"):
        with pytest.raises(UserError, match="tracking is off"):
            refuse_unused([composed("tracking=none", word)])
        refuse_unused([composed(word)])


def test_a_cache_that_is_off_takes_no_keys() -> None:
    with pytest.raises(UserError, match="cache, which is off"):
        refuse_unused([composed("train.cache=none", "train.cache_limit_gb=1")])
    with pytest.raises(UserError, match="keep=auto, which is off"):
        refuse_unused([composed("export=int8", "export.int8.most_kept=4")])
    with pytest.raises(UserError, match="INT8 of ONNX and OpenVINO"):
        refuse_unused([composed("export=litert", "export.int8.keep=[/model.0/conv/Conv]")])


def test_in_a_sweep_one_configuration_that_heeds_it_is_enough() -> None:
    words = ["train.plateau_patience=3", "augment.mosaic9=0.5"]
    heeding = composed(*words, "train.schedule=plateau", "augment.mosaic=1")
    refuse_unused([composed(*words), heeding])
    with pytest.raises(UserError, match="plateau_patience"):
        refuse_unused([composed("train.plateau_patience=3"), composed("train.plateau_patience=5")])


@pytest.mark.parametrize("recipe", ["scratch_small", "finetune", "fast", "standard", "distill"])
@pytest.mark.parametrize("augment", ["none", "light", "default", "small_dataset", "finetune"])
def test_no_recipe_sets_what_it_does_not_use(recipe: str, augment: str) -> None:
    refuse_unused([composed(f"train={recipe}", f"augment={augment}", "export=int8")])


def test_every_key_exists_and_stands_once() -> None:
    keys = [key for rule in RULES for key in rule.keys.split()]
    assert len(set(keys)) == len(keys)
    refuse_unused([composed()])


@pytest.mark.parametrize("key", [key for rule in RULES for key in rule.keys.split()])
def test_a_key_is_set_where_it_differs_from_what_a_configuration_begins_with(key: str) -> None:
    assert default_of(AppConfig(), key) == attrgetter(key)(AppConfig())
