"""Every YAML composes, every group option is typed, and values that make no sense are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.common.errors import UserError
from src.config.checks import check
from src.config.schema import AppConfig, identity, plain_config
from src.models.base import family
from src.records.tiling import Tiling
from tests import configurations
from tests.conftest import ROOT

CONF = ROOT / "conf"
GROUP_FILES = sorted(p for p in CONF.rglob("*.yaml") if p.parent != CONF and p.parent.name != "sweeps")
STUDIES = sorted((ROOT / "sweeps").rglob("*.yaml"))


def composed(*overrides: str) -> AppConfig:
    cfg = configurations.typed(*overrides)
    cfg.model = family(cfg.model.family).scaled(cfg.model)
    return cfg


def test_every_yaml_is_seen() -> None:
    groups = {p.parent.name for p in GROUP_FILES}
    assert groups >= {"model", "data", "train", "export", "runtime", "benchmark", "decision", "study", "tracking"}
    models = {p.stem for p in GROUP_FILES if p.parent.name == "model"}
    assert models >= {"v8n", "v11n", "v9t", "v12n", "v26n"}
    assert (ROOT / "sweeps" / "imgsz_lr_seed.yaml") in STUDIES
    assert not list(CONF.rglob("*.yml"))


@pytest.mark.parametrize("path", GROUP_FILES, ids=lambda p: f"{p.parent.name}={p.stem}")
def test_every_group_option_composes_typed_and_is_named_after_its_file(path: Path) -> None:
    # Quoted, because null is a word of its own; and what an option can't do without.
    needs = {"qat": ["model.weights=" + str(path)], "distill": ["train.distill_model=" + str(path)]}.get(path.stem, [])
    cfg = composed(f"{path.relative_to(CONF).parent.as_posix()}='{path.stem}'", *needs)
    check(cfg)
    assert getattr(cfg, path.parent.name).name == path.stem


def test_a_run_leaves_no_log_file_in_the_working_folder() -> None:
    text = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    assert {"override hydra/job_logging": "stdout"} in text["defaults"]  # type: ignore[index, operator, call-overload]


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_every_study_composes_and_sweeps_something(path: Path) -> None:
    cfg = configurations.composed(f"sweeps={path.stem}", hydra=True)
    assert OmegaConf.to_container(cfg.hydra.sweeper.params)


@pytest.mark.parametrize("override", ["nonsense=1", "train.nonsense=1", "imgsz=big", "lr=[1]", "train.optimizer=auto"])
def test_unknown_key_or_wrong_type_fails_while_composing(override: str) -> None:
    with pytest.raises((OmegaConfBaseException, Exception), match=r"nonsense|imgsz|lr|optimizer"):
        composed(override)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("imgsz=100", "imgsz"),
        ("imgsz=0", "imgsz"),
        ("imgsz=-32", "imgsz"),
        ("lr=0", "lr"),
        ("lr=-0.1", "lr"),
        ("lr=nan", "lr"),
        ("lr=inf", "lr"),
        ("epochs=0", "epochs"),
        ("batch=0", "batch"),
        ("seed=-1", "seed"),
        ("sweep=../x", "sweep"),
        ("sweep=a/b", "sweep"),
        ("sweep=.hidden", "sweep"),
        ("device=tpu", "device"),
        ("export.targets=[onnx/fp12]", "export.targets"),
        ("runtime.engines=[abacus]", "runtime.engines"),
        ("model.weights=/no/such/file.pt", "model.weights"),
        ("decision.latency=p42", "decision.latency"),
        ("data.n_val=0", "data.n_val"),
        ("train.schedule=sawtooth", "train.schedule"),
        ("train.betas=[0.9]", "train.betas"),
        ("augment.mosaic=1.5", "augment.mosaic"),
        ("train.amp=fp16", "train.amp"),
        ("device='cuda:0,0'", "device"),
        ("study.budget=hours", "study.budget"),
        ("study.budget=minutes", "study.budget"),
        ("study.minutes=3", "study.minutes"),
        ("train.lr_backbone=0", "train.lr_backbone"),
        ("train.lr_head=nan", "train.lr_head"),
    ],
)
def test_values_without_sense_are_refused_with_key_and_value(override: str, key: str) -> None:
    with pytest.raises(UserError) as caught:
        check(composed(override))
    assert key in caught.value.what


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("study.minutes=0", "study.budget"),
        ("study.pruner=asha", "study.pruner"),
        ("study.pruner=median", "study.pruner"),
        ("train.workers=2", "train.workers"),
        ("train.keep_state=true", "train.keep_state"),
        ("device='cuda:0,1'", "device"),
        ("replay=0123456789", "replay"),
    ],
)
def test_what_can_not_be_had_by_the_clock_is_refused(word: str, key: str) -> None:
    words = ("study.budget=minutes", "study.minutes=2")
    check(composed(*words, "study.pruner=wilcoxon"))
    with pytest.raises(UserError) as caught:
        check(composed(*words, word))
    assert key in caught.value.what


def test_minutes_are_part_of_what_is_trained() -> None:
    two, three = (composed("study.budget=minutes", f"study.minutes={m}") for m in (2, 3))
    assert len({identity(two), identity(three), identity(composed())}) == 3
    assert (two.training.minutes, composed().training.minutes) == (2, None)


def test_identity_follows_what_is_trained_and_nothing_else() -> None:
    base = composed()
    assert identity(base) == identity(composed("export=none", "benchmark=quick", "tracking=none", "sweep=x"))
    for word in ("imgsz=320", "lr=0.01", "seed=2", "epochs=3", "model=v11n", "augment.mosaic=1.0", "data.n_train=10"):
        assert identity(base) != identity(composed(word)), word
    assert identity(base, without=("seed",)) == identity(composed("seed=9"), without=("seed",))


def test_tiles_are_part_of_what_is_judged_and_change_nothing_where_there_are_none() -> None:
    base = composed()
    assert identity(base) == identity(composed("tile_overlap=0.5"))
    tiled = composed("tile=320", "decision.scope=end_to_end")
    assert len({identity(c) for c in (base, tiled, composed("tile=320", "tile_overlap=0.5"))}) == 3
    check(tiled)
    assert tiled.tiling == Tiling(320)
    with pytest.raises(UserError, match="scope"):
        check(composed("tile=320"))
    with pytest.raises(UserError, match="tile_overlap"):
        check(composed("tile=320", "tile_overlap=1", "decision.scope=end_to_end"))


def test_plain_config_is_plain() -> None:
    plain = plain_config(composed())
    assert plain["train"]["optimizer"] == "AdamW"
    assert plain["imgsz"] == 160


def test_an_unset_sweep_name_is_allowed_and_a_plain_one_too() -> None:
    check(composed())
    check(replace(composed(), sweep="friday-1.2_b"))


@pytest.mark.parametrize(
    ("words", "name", "yaml"),
    [
        (["model=v8n"], "v8n", "yolov8n.yaml"),
        (["model=v8n", "model.scale=s"], "v8s", "yolov8s.yaml"),
        (["model=v26n", "model.scale=x"], "v26x", "yolo26x.yaml"),
        (["model=v9t", "model.scale=c"], "v9c", "yolov9c.yaml"),
        (["model=rtdetr", "model.scale=x"], "rtdetr-x", "rtdetr-x.yaml"),
    ],
)
def test_a_larger_scale_by_one_key(words: list[str], name: str, yaml: str) -> None:
    model = composed(*words).model
    assert (model.name, model.architecture, model.pretrained) == (name, yaml, yaml.replace(".yaml", ".pt"))


def test_a_scale_that_the_family_lacks_is_refused() -> None:
    with pytest.raises(UserError, match="yolov9"):
        composed("model=v9t", "model.scale=n")


@pytest.mark.parametrize(
    "words",
    [
        "tracking.also=[wandb,tensorboard,wandb]",
        "export.rewrite=[upsample,upsample]",
        "export.targets=[onnx/fp32,onnx/fp32]",
        "export.int8.keep=[/model.0/conv/Conv,/model.0/conv/Conv]",
        "runtime.engines=[pytorch,pytorch]",
        "benchmark.batches=[1,4,1]",
    ],
)
def test_a_thing_twice_in_a_list_is_refused(words: str) -> None:
    key, _, _ = words.partition("=")
    with pytest.raises(UserError, match="twice") as refused:
        check(composed(words))
    assert refused.value.what.startswith(key)
    assert str(refused.value.remedy).startswith(f"{key}=[")
    check(composed(str(refused.value.remedy)))
