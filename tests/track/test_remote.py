"""A tracking server that goes away: nothing is lost, nothing is sent twice, and no trial waits for it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.records.schema import SweepRecord, TrialRecord
from src.records.store import load, save
from src.report import load_decision
from src.track import RemoteTracker, RunLog, is_local
from src.track import send as sending
from src.track.send import TAG
from src.track.spool import Spool
from tests.report.factory import study
from tests.track.flaky import FlakyClient, config, make_database, until

Open = Callable[[], RemoteTracker]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("server"))


@pytest.fixture
def server(database: Path, tmp_path: Path) -> FlakyClient:
    return FlakyClient(Path(shutil.copy(database, tmp_path)))


@pytest.fixture
def opened(server: FlakyClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the tracker as a process does that starts."""
    monkeypatch.setattr("src.track.remote.make_client", lambda uri: server)
    monkeypatch.setattr(sending, "PAUSES_S", (0.05,))
    trackers: list[RemoteTracker] = []

    def make() -> RemoteTracker:
        trackers.append(RemoteTracker(config(), tmp_path / "o"))
        return trackers[-1]

    yield make
    server.release.set()
    for tracker in trackers:
        tracker._sender.stop()


def write_trial(run: RunLog, epochs: int = 3, file: Path | None = None) -> None:
    run.params({"lr": 0.1, "train": {"optimizer": "SGD"}})
    for epoch in range(1, epochs + 1):
        run.metrics({"lr": 0.1, "val/mAP50-95": epoch / 10}, step=epoch)
    if file is not None:
        run.files([file], "record")
    run.tags({"state": "complete"})
    run.end()


def test_a_server_that_answers_names_the_runs_itself(
    opened: Open, server: FlakyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("GREET_S", "ANSWER_S"):  # on a busy machine, the first answer may take its time
        monkeypatch.setattr(f"src.track.remote.{limit}", 60.0)
    tracker = opened()
    parent = tracker.start("sweep")
    child = tracker.start("0000", parent=parent.run_id, tags={"sweep": "s"})
    write_trial(child)
    tracker.close()
    assert [r.info.run_id for r in server.runs()] == [parent.run_id, child.run_id]
    stored = server.real.get_run(child.run_id)
    assert stored.data.tags["mlflow.parentRunId"] == parent.run_id
    assert stored.data.params == {"lr": "0.1", "train.optimizer": "SGD"}
    assert stored.info.status == "FINISHED"
    assert server.history(child.run_id, "val/mAP50-95") == [(1, 0.1), (2, 0.2), (3, 0.3)]


@pytest.mark.timeout(120)  # a trial that waited for an answer would wait longer
@pytest.mark.parametrize("mode", ["down", "hang"])
def test_a_sweep_without_its_server_loses_nothing_and_waits_for_nothing(
    opened: Open, server: FlakyClient, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.track.remote.GREET_S", 0.5)
    monkeypatch.setattr("src.track.remote.ANSWER_S", 600.0)
    (tmp_path / "record.json").write_text("{}")
    server.mode = mode
    tracker = opened()
    parent = tracker.start("sweep")
    runs = [tracker.start(f"{n:04d}", parent=parent.run_id) for n in range(10)]
    for run in runs:
        write_trial(run, file=tmp_path / "record.json")
    parent.end()
    assert server.askers <= {"tracking"}, "no trial's own thread asks the server anything"
    assert all(is_local(run.run_id) for run in runs)
    tracker.close(1)
    assert server.runs() == []

    server.mode = "up"
    server.release.set()
    tracker = opened()  # the next start of the same command
    tracker.close()
    stored = server.runs()
    assert [r.info.run_name for r in stored] == ["sweep", *(f"{n:04d}" for n in range(10))]
    assert {r.info.status for r in stored} == {"FINISHED"}
    for run, there in zip(runs, stored[1:], strict=True):
        assert there.data.tags["mlflow.parentRunId"] == stored[0].info.run_id
        assert there.data.tags[TAG] == run.run_id, "a record's id finds the run"
        assert tracker.known_as(run.run_id) == there.info.run_id
        assert server.history(there.info.run_id, "lr") == [(1, 0.1), (2, 0.1), (3, 0.1)]
        assert [f.path for f in server.real.list_artifacts(there.info.run_id, "record")] == ["record/record.json"]
    tracker = opened()
    tracker.close()
    assert len(server.runs()) == 11, "nothing is sent twice"


def test_a_server_that_goes_and_comes_back_gets_everything_in_order(opened: Open, server: FlakyClient) -> None:
    tracker = opened()
    run = tracker.start("0000")
    for epoch in range(1, 21):
        server.mode = "down" if epoch % 4 == 0 else "up"
        run.metrics({"lr": float(epoch)}, step=epoch)
        time.sleep(0.01)
    server.mode = "up"
    run.end()
    tracker.close()
    assert server.history(run.run_id, "lr") == [(n, float(n)) for n in range(1, 21)]
    assert server.real.get_run(run.run_id).info.status == "FINISHED"


def test_what_is_attached_to_an_ended_run_arrives_when_the_server_is_back(
    opened: Open, server: FlakyClient, tmp_path: Path
) -> None:
    tracker = opened()
    run = tracker.start("0000")
    write_trial(run)
    tracker.deliver(tmp_path / "none")
    server.mode = "down"
    (tmp_path / "late.png").write_bytes(b"png")
    tracker.attach(run.run_id, [tmp_path / "late.png"], "training")
    server.mode = "up"
    tracker.close()
    assert [f.path for f in server.real.list_artifacts(run.run_id, "training")] == ["training/late.png"]
    assert server.real.get_run(run.run_id).info.status == "FINISHED"
    assert not tracker.is_open(run.run_id)


def test_what_was_done_without_an_answer_is_not_done_twice(
    opened: Open, server: FlakyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = opened()
    monkeypatch.setattr("src.track.remote.GONE_S", 60.0)
    server.mode = "lost"
    run = tracker.start("0000")
    write_trial(run)
    until(lambda: server.calls.count("search_runs") >= 2)
    server.mode = "up"
    until(lambda: "log_batch" in server.calls)
    server.mode = "lost"
    for epoch in range(4, 7):
        run.metrics({"lr": 0.1, "val/mAP50-95": 0.4}, step=epoch)
    asked = server.calls.count("log_batch")
    until(lambda: server.calls.count("log_batch") >= asked + 3)
    server.mode = "up"
    tracker.close()
    (stored,) = server.runs()
    assert stored.data.tags[TAG] == run.run_id
    assert server.history(stored.info.run_id, "lr") == [(n, 0.1) for n in range(1, 7)]


def test_a_run_is_continued_by_another_process_while_the_server_is_away(opened: Open, server: FlakyClient) -> None:
    server.mode = "down"
    first = opened()
    run = first.start("0000")
    run.metrics({"loss": 0.1, "epoch": 1}, step=1)
    run.metrics({"loss": 0.1, "epoch": 2}, step=2)
    first.close(0)
    second = opened()
    assert second.is_open(run.run_id)
    again = second.resume(run.run_id)
    assert again.last_epoch == 2, "so that no epoch is logged twice"
    again.metrics({"loss": 0.1, "epoch": 3}, step=3)
    again.end("KILLED")
    assert second.is_open(run.run_id), "an interrupted run is not at its end"
    server.mode = "up"
    second.close()
    (stored,) = server.runs()
    assert stored.info.status == "KILLED"
    assert server.history(stored.info.run_id, "loss") == [(1, 0.1), (2, 0.1), (3, 0.1)]
    assert opened().resume(stored.info.run_id).last_epoch == 3, "known by the server's id too"


def test_what_the_server_refuses_for_good_is_kept_and_stops_nothing(
    opened: Open, server: FlakyClient, tmp_path: Path
) -> None:
    tracker = opened()
    run = tracker.start("0000")
    server.mode = "refuse"
    run.metrics({"lr": 0.1}, step=1)
    run.files([tmp_path / "gone.png"], "training")
    run.end()
    tracker.close()
    assert server.real.get_run(run.run_id).info.status == "FINISHED"
    (refused,) = (tmp_path / "o" / "tracking").rglob("refused.jsonl")
    kept = [json.loads(line) for line in refused.read_text().splitlines()]
    assert [k["entry"]["kind"] for k in kept] == ["metrics", "files"]
    assert "no such metric" in kept[0]["reason"]


def test_wrong_credentials_are_told_before_anything_runs(
    opened: Open, server: FlakyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import UNAUTHENTICATED

    def refuse(*_: object) -> None:
        raise MlflowException("You are not authenticated", error_code=UNAUTHENTICATED)

    monkeypatch.setattr(server, "get_experiment_by_name", refuse, raising=False)
    with pytest.raises(UserError, match="MLFLOW_TRACKING_USERNAME"):
        opened()


def test_the_spool_holds_no_secret(
    opened: Open, server: FlakyClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "canary-env")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "canary-password")
    server.mode = "down"
    run = opened().start("x canary-env", tags={"note": "canary-password"})
    run.params({"tracking": {"uri": "https://me:canary-url@host/"}, "password": "canary-key"})
    run.tags({"later": "canary-env"})
    spooled = "".join(p.read_text() for p in (tmp_path / "o").rglob("*") if p.is_file())
    assert "later" in spooled
    assert "canary" not in spooled


def test_records_get_the_servers_ids_and_the_report_reads_them(
    opened: Open, server: FlakyClient, tmp_path: Path
) -> None:
    folder = study().write(tmp_path)
    server.mode = "down"
    tracker = opened()
    frame = load(SweepRecord, folder / "sweep.json")
    save(folder / "sweep.json", replace(frame, run_id=tracker.start("sweep").run_id))
    paths = sorted(folder.glob("trials/*/record.json"))
    for path in paths:
        record = load(TrialRecord, path)
        save(path, replace(record, run_id=tracker.start(path.parent.name).run_id))
    tracker.deliver(folder, 1)
    before = load_decision(folder)
    assert all(is_local(t.run_id) for t in before.saved.trials), "the report reads the ids of runs that wait"
    assert len({t.run_id[:8] for t in before.saved.trials}) == len(paths), "it shows eight characters of them"
    server.mode = "up"
    until(lambda: len(server.runs()) == len(paths) + 1)
    assert tracker.deliver(folder) == 0
    ids = {r.info.run_name: r.info.run_id for r in server.runs()}
    after = load_decision(folder).saved
    assert after.sweep.run_id == ids["sweep"]
    assert {t.run_id for t in after.trials} == set(ids.values()) - {ids["sweep"]}


def test_a_torn_line_is_cut_off_and_a_full_disk_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Spool(tmp_path).create({"kind": "start", "name": "x", "parent": "", "tags": {}, "time": 1})
    with open(folder.path / "records.jsonl", "ab") as stream:
        stream.write(b'{"kind": "metr')
    folder.append({"kind": "end", "status": "FINISHED", "time": 2})
    assert [entry["kind"] for entry, _ in folder.entries()] == ["start", "end"]
    whole = (folder.path / "records.jsonl").read_bytes()

    def full(stream: int, line: bytes) -> int:
        if len(line) > 10:
            return real(stream, line[:10])
        raise OSError(28, "No space left on device")

    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr("src.track.spool.os.write", full)
        with pytest.raises(OSError, match="No space"):
            folder.append({"kind": "tags", "values": {"a": "1"}})
    assert (folder.path / "records.jsonl").read_bytes() == whole
