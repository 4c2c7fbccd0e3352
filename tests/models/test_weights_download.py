"""Published weights from a server on loopback: cut connections go on, and only what is whole is kept."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.models.base import Start
from src.models.base import family as family_named
from src.models.networks import Networks
from src.models.trained_here import TrainedHere
from src.models.weights_download import check_kept, fetch
from tests.models.torchvision.tiny import NETWORKS, build
from tests.models.torchvision.toy import asked
from tests.models.ultralytics.toy import toy
from tests.models.weights_server import Server
from tests.tiny import make_checkpoint


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    """An archive as torch.save writes it, as far as its form is concerned."""
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as made:
        made.writestr("archive/data.pkl", bytes(range(256)) * 600)
    return (tmp_path / "made.zip").read_bytes()


def test_what_is_cut_off_goes_on(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.files["yolov8n.pt"], server.cuts = archive, [50_000, 30_000]
    target = tmp_path / "weights" / "yolov8n.pt"
    assert fetch("yolov8n.pt", target, server.url)
    assert target.read_bytes() == archive
    assert [begin for _, begin in server.asked] == [0, 50_000, 80_000]
    assert {p.name for p in target.parent.iterdir()} == {"yolov8n.pt", "yolov8n.pt.sha256"}
    digest, name = (target.parent / "yolov8n.pt.sha256").read_text().split()
    assert (digest, name) == (hashlib.sha256(archive).hexdigest(), "yolov8n.pt")
    check_kept(target)


def test_another_process_goes_on_where_one_gave_up(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.files["a.pt"], server.cuts = archive, [40_000, 1000, 1000]
    assert not fetch("a.pt", tmp_path / "a.pt", server.url)
    assert not (tmp_path / "a.pt").exists()
    assert fetch("a.pt", tmp_path / "a.pt", server.url)
    assert server.asked[-1] == ("a.pt", 42_000)
    assert (tmp_path / "a.pt").read_bytes() == archive


def test_a_server_without_ranges_gives_the_whole_again(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.files["a.pt"], server.cuts, server.ranges = archive, [50_000], False
    assert fetch("a.pt", tmp_path / "a.pt", server.url)
    assert (tmp_path / "a.pt").read_bytes() == archive


def test_a_file_that_was_whole_already_is_taken(server: Server, archive: bytes, tmp_path: Path) -> None:
    server.files["a.pt"] = archive
    (tmp_path / ".a.pt.part").write_bytes(archive)
    assert fetch("a.pt", tmp_path / "a.pt", server.url)
    assert (tmp_path / "a.pt").read_bytes() == archive


@pytest.mark.parametrize("damage", ["page", "byte", "hash"])
def test_what_is_no_weights_file_is_not_kept(server: Server, archive: bytes, tmp_path: Path, damage: str) -> None:
    broken = bytearray(archive)
    broken[70_000] ^= 1
    name = "a-01234567.pth" if damage == "hash" else "a.pth"
    server.files[name] = {"page": b"<html>" * 30_000, "byte": bytes(broken), "hash": archive}[damage]
    assert not fetch(name, tmp_path / name, server.url)
    assert not [p.name for p in tmp_path.iterdir() if p.name != "made.zip"]


def test_a_missing_file_and_no_server_are_no_errors(server: Server, tmp_path: Path) -> None:
    assert not fetch("none.pt", tmp_path / "none.pt", server.url)
    assert server.asked == [("none.pt", 0)], "what is not there is not asked for again"
    assert not fetch("none.pt", tmp_path / "none.pt", "http://127.0.0.1:9")
    assert not fetch("none.pt", tmp_path / "none.pt", "")
    assert not list(tmp_path.iterdir())


def test_offline_asks_nobody(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETSWEEP_OFFLINE", "1")
    assert not fetch("yolov8n.pt", tmp_path / "yolov8n.pt", server.url)
    assert not server.asked


def test_a_mirror_serves_a_checkpoint_under_its_published_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way of `model.weights=auto`, with a checkpoint made here in the place of Ultralytics' own."""
    checkpoint = make_checkpoint(tmp_path / "made", yaml="yolov8n.yaml")
    server.files["yolov8n.pt"], server.cuts = Path(checkpoint.path).read_bytes(), [200_000]
    monkeypatch.setenv("DETSWEEP_WEIGHTS_URL", f"{server.url}/")
    start = family_named("ultralytics").start(toy("model=v8n").training, tmp_path / "weights")
    assert start == Start(tmp_path / "weights" / "yolov8n.pt", "pretrained:yolov8n.pt")
    assert server.asked == [("yolov8n.pt", 0), ("yolov8n.pt", 200_000)]
    assert family_named("ultralytics").start(toy("model=v8n").training, tmp_path / "weights") == start
    assert len(server.asked) == 2, "it is fetched once"
    server.files["yolo11n.pt"] = server.files["yolov8n.pt"]
    second = family_named("ultralytics").start(toy("model=v11n").training, tmp_path / "weights")
    assert second.path, "that Ultralytics is kept from the network since it was imported keeps nothing from us"


def test_weights_as_torchvision_publishes_them_are_taken_over(server: Server, tmp_path: Path) -> None:
    import torch

    weights = {**build("", 10, 64).state_dict(), "of another head": torch.zeros(50_000)}
    torch.save(weights, tmp_path / "x.pth")
    content = (tmp_path / "x.pth").read_bytes()
    name = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    server.files[name] = content
    own, training = TrainedHere(NETWORKS, server.url), asked()
    training = replace(training, model=replace(training.model, pretrained=name))
    assert own.start(training, tmp_path / "w") == Start(tmp_path / "w" / name, f"pretrained:{name}")


def test_a_published_file_that_would_run_code_is_not_unpickled(server: Server, tmp_path: Path) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"w": torch.zeros(50_000), "x": Evil()}, tmp_path / "x.pth")
    server.files["evil.pth"] = (tmp_path / "x.pth").read_bytes()
    training = asked()
    training = replace(training, model=replace(training.model, pretrained="evil.pth"))
    own: Networks = NETWORKS
    with pytest.raises(UserError, match="can't be read"):
        TrainedHere(own, server.url).start(training, tmp_path / "w")
    assert not (tmp_path / "ran").exists()
