"""Which store is in force, and a store that was moved or copied with its folder."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from src.common.errors import UserError
from src.config.schema import TrackingConfig
from src.track import MlflowTracker, open_tracker
from src.track.store_location import EXPERIMENT_VARIABLE, URI_VARIABLE, experiment_of, in_force, store_uri

LOCAL = TrackingConfig(name="local", system_metrics=False)


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    monkeypatch.delenv(EXPERIMENT_VARIABLE, raising=False)


def write(outputs: Path, cfg: TrackingConfig = LOCAL, name: str = "t") -> tuple[Any, str]:
    """A run with a file; returns the store's client and the run's id."""
    outputs.mkdir(parents=True, exist_ok=True)
    (outputs / "a.txt").write_text(name)
    tracker = open_tracker(cfg, outputs)
    assert isinstance(tracker, MlflowTracker)
    run = tracker.start(name)
    run.files([outputs / "a.txt"], "f")
    run.end()
    return tracker._client, run.run_id


def addresses(database: Path) -> set[str]:
    with sqlite3.connect(database) as store:
        rows = store.execute("SELECT artifact_location FROM experiments WHERE name = 'detsweep'").fetchall()
        rows += store.execute("SELECT artifact_uri FROM runs").fetchall()
    return {unquote(urlsplit(address).path) for (address,) in rows}


@pytest.mark.parametrize("how", ["move", "copy"])
def test_the_store_follows_its_folder(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    old, new = tmp_path / "old 50%_x" / "outputs", tmp_path / "new é" / "elsewhere"
    _, first = write(old)
    (shutil.move if how == "move" else shutil.copytree)(old, new)
    before = {p: p.stat().st_mtime_ns for p in old.rglob("*")}
    with caplog.at_level(logging.INFO):
        client, second = write(new, name="u")
    assert len(list((new / "mlartifacts").rglob("a.txt"))) == 2
    assert {p: p.stat().st_mtime_ns for p in old.rglob("*")} == before, "nothing is written to the old place"
    assert old.exists() == (how == "copy")
    assert all(Path(a).is_relative_to(new) for a in addresses(new / "mlflow.db"))
    for run_id in (first, second):
        assert [f.path for f in client.list_artifacts(run_id, "f")] == ["f/a.txt"]
    assert "has moved" in caplog.text
    if how == "copy":
        assert all(Path(a).is_relative_to(old) for a in addresses(old / "mlflow.db")), "each store has its own files"


def test_a_folder_reached_through_a_link_is_the_same(tmp_path: Path) -> None:
    write(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link")
    assert all(Path(a).is_relative_to(tmp_path / "real") for a in addresses(tmp_path / "real" / "mlflow.db"))


def test_a_store_elsewhere_is_changed_only_when_its_files_are_gone(tmp_path: Path) -> None:
    cfg = TrackingConfig(name="x", system_metrics=False, uri=f"sqlite:///{tmp_path}/shared.db")
    write(tmp_path / "a", cfg)
    write(tmp_path / "b", cfg)
    assert all(Path(a).is_relative_to(tmp_path / "a") for a in addresses(tmp_path / "shared.db")), "two share it"
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "a").rename(tmp_path / "b")
    write(tmp_path / "b", cfg)
    assert not (tmp_path / "a").exists()
    assert all(Path(a).is_relative_to(tmp_path / "b") for a in addresses(tmp_path / "shared.db"))


def test_the_pages_follow_too(tmp_path: Path) -> None:
    from src.track.ui import UiArgs, server_command

    write(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    server_command(UiArgs(outputs=str(tmp_path / "new")), tmp_path)
    assert all(Path(a).is_relative_to(tmp_path / "new") for a in addresses(tmp_path / "new" / "mlflow.db"))


def test_the_environment_is_followed_and_the_configuration_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there, own = f"sqlite:///{tmp_path}/there.db", f"sqlite:///{tmp_path}/own.db"
    monkeypatch.setenv(URI_VARIABLE, there)
    monkeypatch.setenv(EXPERIMENT_VARIABLE, "ours/friday")
    with caplog.at_level(logging.INFO):
        client, _ = write(tmp_path / "o")
    assert client.get_experiment_by_name("ours/friday") is not None
    assert not (tmp_path / "o" / "mlflow.db").exists()
    assert (
        f"{there} (as MLFLOW_TRACKING_URI says), experiment ours/friday (as MLFLOW_EXPERIMENT_NAME says)" in caplog.text
    )
    caplog.clear()
    cfg = TrackingConfig(name="x", system_metrics=False, uri=own, experiment="mine")
    with caplog.at_level(logging.INFO):
        client, _ = write(tmp_path / "o", cfg)
    assert client.get_experiment_by_name("mine") is not None
    assert client.get_experiment_by_name("ours/friday") is None
    assert f"{own} (as tracking.uri says, not MLFLOW_TRACKING_URI)" in caplog.text
    monkeypatch.setenv(URI_VARIABLE, "")
    monkeypatch.setenv(EXPERIMENT_VARIABLE, "")
    assert store_uri(LOCAL, tmp_path / "o") == f"sqlite:///{tmp_path}/o/mlflow.db", "empty is unset"
    assert experiment_of(LOCAL) == "detsweep"


def test_opening_a_store_leaves_the_environment_alone(tmp_path: Path) -> None:
    import os

    write(tmp_path / "a")
    assert URI_VARIABLE not in os.environ
    client, _ = write(tmp_path / "b")
    assert len(client.search_runs([client.get_experiment_by_name("detsweep").experiment_id])) == 1


def test_an_address_in_the_environment_that_mlflow_no_longer_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URI_VARIABLE, "file:///tmp/mlruns")
    with pytest.raises(UserError, match="MLFLOW_TRACKING_URI") as told:
        open_tracker(LOCAL, tmp_path)
    assert "tracking.uri" in str(told.value)


@pytest.mark.parametrize("uri", ["http://me:canary-1@127.0.0.1:9", "http://canary-token-9@127.0.0.1:9"])
def test_secrets_in_the_address_stay_out_of_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, uri: str
) -> None:
    monkeypatch.setenv(URI_VARIABLE, uri)
    _, said = in_force(LOCAL, tmp_path)
    assert "canary" not in said
    with caplog.at_level(logging.DEBUG):
        tracker = open_tracker(LOCAL, tmp_path)
        run = tracker.start("t")
        run.params({"tracking": {"uri": uri}, "said": uri})
        run.tags({"uri": uri})
        tracker.close(0)
    assert "canary" not in caplog.text
    spooled = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert "said" in spooled
    assert "canary" not in spooled


def test_a_deleted_experiment_is_told(tmp_path: Path) -> None:
    client, _ = write(tmp_path)
    client.delete_experiment(client.get_experiment_by_name("detsweep").experiment_id)
    with pytest.raises(UserError, match="deleted"):
        open_tracker(LOCAL, tmp_path)


def test_files_that_wait_for_a_server_move_along(tmp_path: Path) -> None:
    from src.track.spool import Spool

    old = tmp_path / "old"
    folder = Spool(old / "tracking" / "abc").create({"kind": "start", "name": "x", "parent": "", "tags": {}, "time": 1})
    entry = {"kind": "files", "paths": [str(old / "sweeps" / "a.pt")], "folder": "weights"}
    folder.append(folder.placed(entry))
    shutil.copytree(old, tmp_path / "new")
    (there,) = Spool(tmp_path / "new" / "tracking" / "abc").waiting()
    *_, (last, _) = there.entries()
    assert there.found(last)["paths"] == [str(tmp_path / "new" / "sweeps" / "a.pt")]
    assert json.loads(json.dumps(last)) == last
