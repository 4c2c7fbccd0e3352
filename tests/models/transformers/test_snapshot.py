"""Folders that are no snapshot of a detector here are refused before anything is loaded from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.models.transformers.begin import published_start
from src.models.transformers.snapshot import LARGEST_JSON
from tests.models.transformers.snapshots import change, model, snapshot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole one."""
    return snapshot(tmp_path / "yolos", "yolos")


def refused(folder: Path, match: str, architecture: str = "snapshot") -> str:
    """What is said of a folder."""
    with pytest.raises(UserError, match=match) as told:
        published_start(model(str(folder), architecture), folder.parent, "")
    return str(told.value)


def test_a_whole_folder_is_taken(folder: Path) -> None:
    start = published_start(model(str(folder)), folder.parent, "")
    assert (start.path, start.note) == (folder, "snapshot:yolos")
    assert "LABEL" not in start.architecture, "classes of the publisher are none of the dataset"


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "config.json").rename(folder / "other.json")
    assert "copy config.json and model.safetensors" in refused(folder, "has no config.json")
    (folder / "other.json").rename(folder / "config.json")
    (folder / "model.safetensors").rename(folder / "x")
    refused(folder, "has no model.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    refused(folder, "in several files")
    (folder / "pytorch_model.bin").write_bytes(b"")
    assert "save_pretrained" in refused(folder, r"pickled weights alone \(pytorch_model.bin\)")


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 200_000, '{"a": ' + "1" * LARGEST_JSON + "}"])
def test_a_configuration_that_is_no_json_object_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    refused(folder, "config.json is no JSON that can be read")
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")
    refused(folder, "config.json is no JSON that can be read")


def test_a_broken_preprocessor_is_refused(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text("{")
    refused(folder, "preprocessor_config.json is no JSON")
    for said in ({"image_mean": [0.5]}, {"image_std": [0, 0, 0]}, {"rescale_factor": 0}, {"image_mean": "grey"}):
        (folder / "preprocessor_config.json").write_text(json.dumps(said))
        refused(folder, "says no mean and deviation")


@pytest.mark.parametrize("kind", ["rt_detr", "mask2former", "", 7, None])
def test_another_kind_of_model_is_refused(folder: Path, kind: object) -> None:
    assert "d_fine, rt_detr_v2, rf_detr, detr, yolos" in refused(change(folder, model_type=kind), "of no detector")


def test_a_folder_of_another_family_is_refused(folder: Path) -> None:
    refused(folder, "another detector than was asked for: yolos, not d_fine", "d_fine")


@pytest.mark.parametrize("at", [0, 100, -4])
def test_damaged_weights_are_refused(folder: Path, at: int) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:at])
    refused(folder, "model.safetensors is damaged")
    path.write_bytes(b"\xff" * 8 + whole[8:])
    refused(folder, "model.safetensors is damaged")


@pytest.mark.parametrize(
    "keys",
    [
        {"hidden_size": 10**9},
        {"num_hidden_layers": 5000},
        {"image_size": [10**7, 16]},
        {"backbone_config": {"depths": [3, 10**6]}},
        {"initializer_range": float("nan")},
    ],
)
def test_sizes_of_no_detector_are_refused_before_memory_is_asked_for(folder: Path, keys: dict[str, object]) -> None:
    refused(change(folder, **keys), "a number that no detector has")
