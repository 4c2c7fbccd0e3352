"""The split by key is stable, even and nested; plans that make no sense are refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.common.errors import UserError
from src.monitor.experiment import Experiment
from src.monitor.plan import ExperimentPlan, load_plan, place_of, save_plan

PLAN = ExperimentPlan("autumn", "4", "6")


def test_the_place_of_a_key_is_its_hash() -> None:
    digest = hashlib.sha256(b"autumn\0client 7").hexdigest()
    assert place_of("autumn", "client 7") == int(digest[:16], 16) / 2**64


def test_keys_are_spread_evenly_and_anew_by_every_experiment() -> None:
    one, other = (np.array([place_of(name, str(i)) for i in range(4000)]) for name in ("a", "b"))
    assert np.histogram(one, 10, (0, 1))[0].min() > 340
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_a_share_that_grows_keeps_those_who_were_in_it() -> None:
    keys = [str(i) for i in range(2000)]
    few, many = ({k for k in keys if place_of("x", k) < share} for share in (0.05, 0.2))
    assert few < many


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mode", "coin"),
        ("share", 0.0),
        ("share", float("nan")),
        ("share", "half"),
        ("margin", -0.1),
        ("confidence", 1),
        ("iou", 2.0),
        ("steps", []),
        ("steps", [0.5, 0.1]),
        ("steps", [0.5, 1.0]),
        ("step_images", 0),
        ("challenger", "4"),
        ("name", ""),
    ],
)
def test_plans_that_make_no_sense(key: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"experiment.{key}"):
        Experiment(tmp_path / "e", replace(PLAN, **{key: value}))
    assert not (tmp_path / "e").exists()


def test_a_folder_keeps_one_experiment(tmp_path: Path) -> None:
    save_plan(tmp_path, PLAN)
    save_plan(tmp_path, PLAN)
    assert load_plan(tmp_path) == PLAN
    with pytest.raises(UserError, match="another one"):
        save_plan(tmp_path, replace(PLAN, margin=0.5))


@pytest.mark.parametrize("content", ["", "[]", "null", '{"name": 3}', "{}"])
def test_what_is_no_plan_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(UserError, match="experiment"):
        Experiment(tmp_path)
    with pytest.raises(UserError, match="can't be read"):
        Experiment(tmp_path / "none")
