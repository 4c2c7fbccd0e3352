"""Wrong keys and types get the words of every other refusal: key, value, remedy."""

from __future__ import annotations

import pytest
from hydra.errors import HydraException

from src.cli.wrong_types import refusal_of
from src.common.errors import UserError
from src.config.schema import AppConfig
from tests.configurations import composed


def refused(word: str) -> UserError | None:
    with pytest.raises(HydraException) as caught:
        composed(word)
    return refusal_of(caught.value, AppConfig)


@pytest.mark.parametrize(
    ("word", "what", "value", "remedy"),
    [
        ("train.workers=two", "train.workers must be a whole number", "two", "train.workers=0"),
        ("train.workers=1.5", "train.workers must be a whole number", "1.5", "train.workers=0"),
        ("augment.noise=lots", "augment.noise must be a number", "lots", "augment.noise=0.0"),
        ("export.simplify=perhaps", "export.simplify must be true or false", "perhaps", "export.simplify=true"),
        ("train.unfreeze_steps=[a]", "train.unfreeze_steps must be a list of values, each a whole number", "a", "[]"),
        ("train.optimizer=Foo", "train.optimizer must be one of: SGD, Adam,", "Foo", "train.optimizer=AdamW"),
        ("data.n_train=null", "data.n_train must be a whole number", "null", "data.n_train=240"),
        ("export.calibration.images=x", "a whole number, or null", "x", "export.calibration.images=null"),
        ("train.plateau_patiense=2", "this key does not exist", "train.plateau_patiense", "train.plateau_patience?"),
        ("imgz=64", "this key does not exist", "imgz", "imgsz?"),
        ("nonsense=64", "this key does not exist", "nonsense", "--cfg job"),
    ],
)
def test_key_value_and_remedy_are_told(word: str, what: str, value: str, remedy: str) -> None:
    error = refused(word)
    assert error is not None
    assert what in error.what
    assert str(error.value) == value
    assert remedy in error.remedy


def test_what_is_about_something_else_keeps_its_words() -> None:
    assert refused("model=v99") is None
    assert refusal_of(ValueError("x"), AppConfig) is None
