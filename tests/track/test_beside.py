"""Copies beside MLflow: what TensorBoard and W&B hold is read back, and no secret is in it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.config.schema import TrackingConfig
from src.records.schema import DatasetRef
from src.track import wandb as wandb_place
from src.track.beside import BesideTracker, beside, check_also
from src.track.opening import open_tracker
from src.track.protocol import NullRun, NullTracker, RunLog
from src.track.tensorboard import place as tensorboard_place

CANARY = "canary-7d1f-also"
DATA = DatasetRef("digits", "data.yaml", "f" * 64, {"train": 4}, ["0", "1"])


class Run(NullRun):
    """A run with an id."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id


class Main(NullTracker):
    """Numbers its runs."""

    def __init__(self) -> None:
        self.count = 0

    def start(self, name: str, **words: Any) -> RunLog:
        self.count += 1
        return Run(f"{self.count:032x}")

    def resume(self, run_id: str, **words: Any) -> RunLog:
        return Run(run_id)


def write(tracker: BesideTracker) -> None:
    """A sweep with one trial, interrupted and taken up again."""
    sweep = tracker.start("friday", tags={"kind": "grid"})
    trial = tracker.start("0000 v8n", parent=sweep.run_id, tags={"store": f"s3://me:{CANARY}@h/x", "model": "v8n"})
    trial.params({"lr": 0.1, "tracking": {"api_key": CANARY}, "uri": f"http://me:{CANARY}@h/x"})
    trial.dataset(DATA)
    for epoch in (1, 2):
        trial.metrics({"val/mAP50-95": 0.1 * epoch, "loss": float("nan")}, step=epoch)
    trial.end("KILLED")
    again = tracker.resume(trial.run_id)
    again.metrics({"val/mAP50-95": 0.3}, step=3)
    again.metrics({"bench/size_mb": 6.5})
    again.series({"eval/recall": [(100, 0.9), (200, 0.7)]})
    again.end()
    sweep.end()


def secrets(folder: Path) -> list[str]:
    """Files that hold the canary."""
    return [str(p) for p in folder.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]


@pytest.mark.slow
def test_event_files_are_read_back_and_a_resumed_run_is_one(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(BesideTracker(Main(), {"tensorboard": tensorboard_place(tmp_path, "x")}, tmp_path))
    (folder,) = (tmp_path / "tensorboard" / "friday").glob("0000*")
    events = EventAccumulator(str(folder))
    events.Reload()
    points = [(e.step, round(e.value, 5)) for e in events.Scalars("val/mAP50-95")]
    assert points == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert [e.value for e in events.Scalars("bench/size_mb")] == [6.5]
    assert [e.step for e in events.Scalars("eval/recall")] == [100, 200]
    assert "loss" not in events.Tags()["scalars"]
    texts = [events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]]
    assert any("| lr | 0.1 |" in text for text in texts)
    assert any(DATA.fingerprint[:36] in text for text in texts)
    assert len(list((tmp_path / "tensorboard" / "friday").glob("friday-*"))) == 1, "the sweep itself"
    assert not secrets(tmp_path)


@pytest.mark.slow
def test_two_runs_of_one_name_are_two_to_tensorboard(tmp_path: Path) -> None:
    """A single trial has no sweep; the same command given again is another run, not a second file of the first."""
    place = tensorboard_place(tmp_path, "x")
    for run_id in ("aaaaaaaa1", "bbbbbbbb2"):
        place.open(run_id, "0000 v8n", "").put({"kind": "end", "status": "FINISHED"})
    found = [path.name for path in (tmp_path / "tensorboard" / "0000 v8n").iterdir()]
    assert sorted(found) == ["0000 v8n-aaaaaaaa", "0000 v8n-bbbbbbbb"]


def records(file: Path) -> list[Any]:
    """What an offline run holds: protocol buffers in LevelDB's log format, blocks of 32 KiB after 7 bytes of header."""
    from wandb.proto import wandb_internal_pb2

    made: Any = wandb_internal_pb2
    content, found, part, at = file.read_bytes(), list[Any](), b"", 7
    while at + 7 <= len(content):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        part += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last of several
            record = made.Record()
            record.ParseFromString(part)
            found.append(record)
            part = b""
    return found


def pairs(items: Any) -> dict[str, str]:
    return {(i.key or "/".join(i.nested_key)): i.value_json for i in items}


@pytest.mark.slow
def test_offline_runs_of_wandb_hold_the_figures_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "own"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", CANARY + "0" * 40)
    monkeypatch.setattr("sys.argv", ["run", f"tracking.uri=http://me:{CANARY}@h/x"])
    write(BesideTracker(Main(), {"wandb": wandb_place.place(tmp_path, "shop")}, tmp_path))
    files = sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 3, "the sweep, the trial, and its second part"
    found = [record for file in files for record in records(file)]
    rows = [pairs(r.history.item) for r in found if r.WhichOneof("record_type") == "history"]
    assert sorted(row["epoch"] for row in rows if "val/mAP50-95" in row) == ["1", "2", "3"]
    assert [(r["at"], r["eval/recall"]) for r in rows if "eval/recall" in r] == [("100", "0.9"), ("200", "0.7")]
    configs: dict[str, str] = {}
    for record in found:
        configs |= pairs(record.config.update) | pairs(record.run.config.update)
    assert configs["lr"] == '"0.1"'
    assert any("bench/size_mb" in str(record.summary) for record in found)
    assert {record.run.project for record in found if record.run.project} == {"shop"}
    assert not secrets(tmp_path)


def test_what_fails_elsewhere_ends_there_and_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        opened = 0

        def open(self, run_id: str, name: str, parent: str) -> Any:
            self.opened += 1
            raise RuntimeError(f"refused http://me:{CANARY}@h")

    broken = Broken()
    with caplog.at_level(logging.WARNING):
        trial = BesideTracker(Main(), {"wandb": broken}, tmp_path).start("0000", parent="")
        trial.metrics({"a": 1.0}, step=1)
        trial.end()
    assert broken.opened == 1
    assert len(caplog.records) == 1
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    ("cfg", "environment", "says"),
    [
        ({"also": ["comet"]}, {}, "unknown place"),
        ({"also": ["tensorboard"], "enabled": False}, {}, "MLflow is off"),
        ({"also": ["wandb"]}, {"WANDB_MODE": "online"}, "WANDB_API_KEY"),
        ({"also": ["wandb"]}, {"WANDB_MODE": "sometimes"}, "WANDB_MODE"),
    ],
)
def test_what_can_not_be_is_refused_before_a_store_is_made(
    cfg: dict[str, Any], environment: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    # Both packages are extras: what is refused here is refused where they are installed.
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=says):
        open_tracker(TrackingConfig(name="x", **cfg), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError) as told:
        check_also(TrackingConfig(name="x", also=["tensorboard"]))
    assert told.value.remedy == "make setup EXTRAS=tensorboard"


def test_without_further_places_the_tracker_is_mlflows_own(tmp_path: Path) -> None:
    main = Main()
    assert beside(main, TrackingConfig(name="x"), tmp_path) is main


def test_offline_is_the_default_and_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert wandb_place.mode() == "offline"
    monkeypatch.setenv("WANDB_MODE", "Online")
    assert wandb_place.mode() == "online"
