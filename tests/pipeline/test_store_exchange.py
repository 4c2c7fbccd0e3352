"""Two machines, which are two folders here, exchange trials through a store: nothing is lost, mixed or believed."""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import StageError, UserError
from src.objects import Objects, open_objects
from src.pipeline.store_exchange import StoreExchange
from src.records.schema import SweepRecord, TrialRecord
from src.records.store import load, save
from src.records.sweep_folder import SweepFolder
from tests.report.factory import trial


class Machine:
    """One machine's outputs folder."""

    def __init__(self, folder: Path, objects: Objects) -> None:
        self.places = SweepFolder(folder / "outputs" / "sweeps" / "s")
        self.places.path.mkdir(parents=True)
        self.exchange = StoreExchange(objects, "s", self.places)

    def train(self, number: int, *, paused: int | None = None) -> TrialRecord:
        """Leave what a trial leaves."""
        place = self.places.trial(number)
        weights = place.train / "weights" / "best.pt"
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(b"weights of %d, %d" % (number, paused or 0))
        place.detections.mkdir(exist_ok=True)
        (place.detections / "val.npz").write_bytes(b"detections of %d" % number)
        made = trial(number)
        assert made.checkpoint is not None
        record = replace(made, sweep="s", checkpoint=replace(made.checkpoint, path=str(weights)))
        if paused is not None:
            record = replace(record, history=[{"epoch": float(e)} for e in range(paused)])
        save(place.record if paused is None else place.paused, record)
        self.places.ground_truths.mkdir(exist_ok=True)
        (self.places.ground_truths / "0123456789abcdef-val.npz").write_bytes(b"truth")
        return record

    def found(self, number: int) -> TrialRecord:
        return load(TrialRecord, self.places.trial(number).record)

    def weights(self, number: int) -> Path:
        return self.places.trial(number).train / "weights" / "best.pt"


@pytest.fixture
def objects() -> Objects:
    return open_objects(f"memory://{uuid.uuid4().hex}", "store", retry_s=0.0)


@pytest.fixture
def two(tmp_path: Path, objects: Objects) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "a", objects), Machine(tmp_path / "b", objects)


def test_a_trial_comes_without_its_weights_until_they_are_needed(two: tuple[Machine, Machine]) -> None:
    one, other = two
    one.train(3)
    one.exchange.send(3)
    other.exchange.fetch_all()
    found = other.found(3)
    assert found.checkpoint is not None
    assert Path(found.checkpoint.path) == other.weights(3), "a record names what lies beside it"
    assert (other.places.trial(3).detections / "val.npz").read_bytes() == b"detections of 3"
    assert (other.places.ground_truths / "0123456789abcdef-val.npz").read_bytes() == b"truth"
    assert not other.weights(3).exists()
    other.exchange.fetch_whole(3)
    assert other.weights(3).read_bytes() == b"weights of 3, 0"


def test_what_could_not_be_sent_goes_at_the_next_start(two: tuple[Machine, Machine], objects: Any) -> None:
    one, other = two
    one.train(0)
    put, objects.put = objects.put, raising(OSError("the store is away"))
    with pytest.raises(OSError, match="away"):
        one.exchange.send(0)
    other.exchange.fetch_all()
    assert not other.places.trial(0).record.exists(), "half a trial is none"
    objects.put = put
    one.exchange.send_all()
    other.exchange.fetch_all()
    assert other.found(0).trial == 0


def test_nothing_is_sent_twice(two: tuple[Machine, Machine], objects: Any) -> None:
    one, other = two
    one.train(0)
    one.exchange.send(0)
    other.exchange.fetch(0)
    objects.put = objects.write = raising(AssertionError("sent again"))
    one.exchange.send_all()
    other.exchange.send_all()


def test_a_paused_trial_goes_on_elsewhere_from_its_state(two: tuple[Machine, Machine]) -> None:
    one, other = two
    one.train(1, paused=2)
    one.exchange.send(1)
    other.exchange.fetch(1)
    assert other.weights(1).read_bytes() == b"weights of 1, 2", "its state is what it goes on from"
    other.train(1, paused=4)
    other.exchange.send(1)
    one.exchange.fetch(1)
    assert one.weights(1).read_bytes() == b"weights of 1, 4"
    assert len(load(TrialRecord, one.places.trial(1).paused).history) == 4
    other.exchange.fetch(1)
    assert other.weights(1).read_bytes() == b"weights of 1, 4", "what is as far here is left alone"


def test_a_damaged_content_is_found(two: tuple[Machine, Machine], objects: Objects) -> None:
    one, other = two
    one.train(2)
    one.exchange.send(2)
    (key,) = [k for k in objects.keys("s/contents/") if objects.read(k) == b"weights of 2, 0"]
    objects.write(key, b"weights of 2, 1")
    other.exchange.fetch(2)
    with pytest.raises(StageError, match="another hash"):
        other.exchange.fetch_whole(2)
    assert not other.weights(2).exists()


def test_a_list_that_names_another_folder_writes_nothing(two: tuple[Machine, Machine], objects: Objects) -> None:
    one, other = two
    one.train(2)
    one.exchange.send(2)
    raw = json.loads(objects.read("s/trials/0002.json") or b"")
    raw["files"]["trials/0002/../../../../evil"] = raw["files"]["trials/0002/record.json"]
    objects.write("s/trials/0002.json", json.dumps(raw).encode())
    with pytest.raises(StageError, match="no file of the trial"):
        other.exchange.fetch_all()
    assert not list(other.places.path.rglob("evil"))
    assert not other.places.trials.exists()


def test_a_record_whose_weights_lie_elsewhere_is_refused(two: tuple[Machine, Machine]) -> None:
    one, other = two
    record = one.train(2)
    assert record.checkpoint is not None
    save(one.places.trial(2).record, replace(record, checkpoint=replace(record.checkpoint, path="/etc/passwd")))
    one.exchange.send(2)
    with pytest.raises(StageError, match="not one of this trial"):
        other.exchange.fetch(2)
    assert not other.places.trial(2).record.exists()


def test_machines_agree_on_one_record_and_one_dataset(two: tuple[Machine, Machine]) -> None:
    one, other = two
    for machine, run in ((one, "first"), (other, "second")):
        save(machine.places.record, replace(sweep(), run_id=run))
        machine.exchange.take_part(["f" * 64])
    assert one.exchange.agree()
    assert not other.exchange.agree(), "the first counts"
    assert load(SweepRecord, other.places.record).run_id == "first"
    assert one.exchange.agree(), "it stays so at the next start"
    with pytest.raises(UserError, match="dataset"):
        other.exchange.take_part(["e" * 64])


def test_a_sweep_that_trains_something_else_is_refused(two: tuple[Machine, Machine]) -> None:
    one, other = two
    save(one.places.record, sweep())
    one.exchange.agree()
    with pytest.raises(UserError, match="something else"):
        other.exchange.fetch_sweep("another identity")
    assert not other.places.record.exists()
    other.exchange.fetch_sweep(sweep().identity)
    assert load(SweepRecord, other.places.record).identity == sweep().identity


def test_one_machine_decides(two: tuple[Machine, Machine]) -> None:
    one, other = two
    assert one.exchange.decides()
    assert not other.exchange.decides()
    assert one.exchange.decides(), "also when it is started again"


def sweep() -> SweepRecord:
    """A sweep's record."""
    return SweepRecord("s", "grid", "", "run", "identity", {}, 1, "val/mAP50-95", {}, "2026-01-01T00:00:00+00:00")


def raising(error: BaseException) -> Any:
    def call(*_: Any) -> None:
        raise error

    return call


def test_a_trial_that_two_machines_trained_is_one_of_theirs(two: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, other = two
    one.train(5)
    other.train(5)
    other.weights(5).write_bytes(b"trained there")
    one.exchange.send(5)
    other.exchange.send(5)
    shutil.rmtree(one.places.trial(5).path)
    one.exchange.fetch(5)
    one.exchange.fetch_whole(5)
    assert one.weights(5).read_bytes() == b"trained there"
