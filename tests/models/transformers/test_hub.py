"""The files of a published model, fetched by name from a server on loopback in the hub's place."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.models.transformers.begin import published_start
from src.models.transformers.hub import place_of
from src.models.transformers.published import parsed
from tests.models.transformers.snapshots import MEAN, NORMALISED, STD, model, snapshot
from tests.models.weights_server import Server

NAME = "someone/tiny-yolos"
AT = f"{NAME}/resolve/main"
FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


@pytest.fixture
def hub(server: Server, tmp_path: Path) -> Server:
    """A server with all files of one model."""
    folder = snapshot(tmp_path / "made", "yolos", {**NORMALISED, "image_mean": MEAN, "image_std": STD})
    server.files |= {f"{AT}/{name}": (folder / name).read_bytes() for name in FILES}
    return server


def test_a_model_is_fetched_once_and_whole(hub: Server, tmp_path: Path) -> None:
    hub.cuts = [10_000, 50, 20_000]
    asked, kept = model("auto", "yolos", NAME), tmp_path / "weights"
    start = published_start(asked, kept, hub.url)
    assert start.path == place_of(NAME, kept) == kept / "someone--tiny-yolos"
    assert start.note == f"pretrained:{NAME}"
    assert {p.name for p in start.path.iterdir()} == {*FILES, *(f"{name}.sha256" for name in FILES)}
    assert all((start.path / name).read_bytes() == hub.files[f"{AT}/{name}"] for name in FILES)
    assert (f"{AT}/preprocessor_config.json", 50) in hub.asked, "what was cut off goes on"
    assert parsed(start.architecture).mean == pytest.approx(MEAN)
    before = len(hub.asked)
    assert published_start(asked, kept, hub.url) == start
    assert len(hub.asked) == before, "it is fetched once"


def test_a_mirror_and_other_places_are_followed(hub: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub answers with the address of another server, and revisions are named by the YAML."""
    hub.files = {name.replace("/main/", "/v1/"): content for name, content in hub.files.items()}
    hub.files["blobs/1"] = hub.files.pop(f"{NAME}/resolve/v1/model.safetensors")
    hub.elsewhere, hub.cuts = {f"{NAME}/resolve/v1/model.safetensors": "blobs/1"}, [10_000, 10_000, 20_000]
    monkeypatch.setenv("DETSWEEP_WEIGHTS_URL", hub.url)
    start = published_start(model("auto", "yolos", f"{NAME}@v1"), tmp_path / "w", "http://nowhere.invalid")
    assert start.path == tmp_path / "w" / "someone--tiny-yolos--v1"
    assert ("blobs/1", 20_000) in hub.asked, "the rest is asked of the other place too"


def test_what_is_no_safetensors_file_is_not_kept(hub: Server, tmp_path: Path) -> None:
    for damaged in (b"<html>" * 5000, hub.files[f"{AT}/model.safetensors"][:-4]):
        hub.files[f"{AT}/model.safetensors"] = damaged
        start = published_start(model("auto", "yolos", NAME), tmp_path / "w", hub.url)
        assert start.path is None
        assert not [p.name for p in place_of(NAME, tmp_path / "w").iterdir() if "safetensors" in p.name]


def test_without_its_configuration_nothing_can_be_built(server: Server, tmp_path: Path) -> None:
    for weights in ("auto", "scratch"):
        with pytest.raises(UserError, match="nobody knows its architecture") as told:
            published_start(model(weights, "yolos", NAME), tmp_path, server.url)
        assert "model=yolos_s model.weights=scratch" in told.value.remedy
    with pytest.raises(UserError, match="no published weights of its own"):
        published_start(model("auto"), tmp_path, server.url)


def test_with_its_configuration_alone_training_is_from_scratch_and_said_so(
    hub: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    del hub.files[f"{AT}/model.safetensors"]
    with caplog.at_level(logging.WARNING):
        start = published_start(model("auto", "yolos", NAME), tmp_path, hub.url)
    assert "NO PRETRAINED WEIGHTS" in caplog.text
    assert (start.path, start.note) == (None, "scratch (no pretrained weights at hand)")
    assert not parsed(start.architecture).frozen
    again = published_start(model("scratch", "yolos", NAME), tmp_path, hub.url)
    assert (again.path, again.note, again.architecture) == (None, "scratch", start.architecture)


def test_a_kept_file_that_has_changed_is_refused(hub: Server, tmp_path: Path) -> None:
    published_start(model("auto", "yolos", NAME), tmp_path, hub.url)
    path = place_of(NAME, tmp_path) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_attention_heads": 1}))
    with pytest.raises(UserError, match="not the one that its checksum was made of"):
        published_start(model("auto", "yolos", NAME), tmp_path, hub.url)


def test_files_that_were_put_there_by_hand_are_taken(hub: Server, tmp_path: Path) -> None:
    """Without a network, and without the file that says how images are prepared."""
    place = place_of(NAME, tmp_path)
    place.mkdir()
    for name in ("config.json", "model.safetensors"):
        (place / name).write_bytes(hub.files[f"{AT}/{name}"])
    start = published_start(model("auto", "yolos", NAME), tmp_path, "http://127.0.0.1:9")
    assert (start.path, start.note) == (place, f"pretrained:{NAME}")


@pytest.mark.parametrize("name", ["../evil", "a", "a/b/c", "a/..", "http://x/y", "a/b@../c", "/a/b", "a/b?x=1", "a/.b"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no name of a published model"):
        published_start(model("auto", "yolos", name), tmp_path, "http://nowhere.invalid")
