"""Names as MLflow itself judges them, against a real store."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.config.schema import TrackingConfig
from src.track import MlflowTracker, open_tracker
from src.track.names import LONGEST, fit
from src.track.store import make_client

ODD = [
    "安全帽",
    "反光衣",
    "हेलमेट",
    "a/../b",
    "a//b",
    "/x",
    "..",
    "",
    "💥",
    "é" * 300,
    "x" * 400,
    "x" * 400 + "y",
    "a\nb",
    "\udcff",
]


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[MlflowTracker]:
    made = open_tracker(TrackingConfig(name="local", system_metrics=False), tmp_path)
    assert isinstance(made, MlflowTracker)
    yield made
    made.close()


def test_every_name_is_fitted_to_one_that_the_store_takes(tracker: MlflowTracker, tmp_path: Path) -> None:
    run = tracker.start("t", tags=dict.fromkeys(ODD, "v" * 9000))
    run.metrics({f"class/{name}": i for i, name in enumerate(ODD)})
    run.metrics({name: i for i, name in enumerate(ODD)}, step=1)
    run.params({"space": dict.fromkeys(ODD, "v" * 9000)})
    run.tags(dict.fromkeys(ODD, "later"))
    run.end()
    stored = make_client(f"sqlite:///{tmp_path / 'mlflow.db'}").get_run(run.run_id)
    assert stored.data.metrics["安全帽"] == 0
    assert stored.data.metrics["反光衣"] == 1
    assert {v for k, v in stored.data.metrics.items() if k.startswith("class/")} == set(range(len(ODD)))
    assert len(stored.data.params) == len(ODD)
    assert {v for k, v in stored.data.tags.items() if not k.startswith("mlflow.")} == {"later"}
    assert list(tmp_path.rglob("refused.jsonl")) == []


@pytest.mark.parametrize("name", ["val/mAP50-95", "lr", "bench/onnxruntime/onnx/fp32/b1/latency_p50_ms", "system/cpu"])
def test_names_that_mlflow_takes_stay(name: str) -> None:
    assert fit(name) == name


def test_a_name_that_is_changed_is_the_same_every_time_and_no_other_names() -> None:
    assert fit("x" * 400) == fit("x" * 400)
    assert len({fit(name) for name in ODD}) == len(ODD)
    assert max(len(fit(name)) for name in ODD) <= LONGEST


class Refusing:
    """A store that does not take what is called `bad`."""

    def __init__(self, real: Any) -> None:
        self.real, self.calls = real, 0

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            from mlflow.exceptions import MlflowException
            from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

            self.calls += 1
            batch = (
                [vars(x) for k in ("metrics", "params", "tags") for x in named.get(k, [])]
                if name == "log_batch"
                else []
            )
            if "'bad" in str(batch):
                raise MlflowException("no such name", error_code=INVALID_PARAMETER_VALUE)
            return getattr(self.real, name)(*args, **named)

        return call


def test_what_the_store_refuses_is_kept_told_once_and_takes_nothing_along(
    tracker: MlflowTracker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = Refusing(tracker._client)
    tracker._client = refusing
    with caplog.at_level(logging.WARNING):
        run = tracker.start("t")
        run.metrics({**{f"good{i}": i for i in range(300)}, "bad1": 1, "bad2": 2})
        run.params({"good": 1, "bad": 2})
        run.tags({"good": "1", "bad": "2"})
        run.files([tmp_path / "gone.png"], "training")
        run.end()
        tracker.close()
    stored = refusing.real.get_run(run.run_id)
    assert len(stored.data.metrics) == 300
    assert stored.data.params == {"good": "1"}
    assert stored.data.tags["good"] == "1"
    assert stored.info.status == "FINISHED"
    (file,) = tmp_path.rglob("refused.jsonl")
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(n for k in kept for n in k["entry"].get("values", {})) == ["bad", "bad", "bad1", "bad2"]
    assert [k["entry"]["kind"] for k in kept] == ["metrics", "metrics", "params", "tags", "files"]
    assert refusing.calls < 60, "a batch is halved, not taken apart"
    told = [r.getMessage() for r in caplog.records if "refuse" in r.getMessage()]
    assert len(told) == 2, told
    assert "no such name" in told[0]
    assert "5 entries" in told[1]


def test_a_run_of_another_store_ends_nothing(tracker: MlflowTracker, tmp_path: Path) -> None:
    run = tracker.resume("0123456789abcdef0123456789abcdef", monitor=True)
    run.metrics({"a": 1.0})
    run.end()
    assert not tracker.is_open(run.run_id)
    tracker.end_run(run.run_id, "FINISHED")
    (file,) = tmp_path.rglob("refused.jsonl")
    kinds = [json.loads(line)["entry"]["kind"] for line in file.read_text().splitlines()]
    assert kinds == ["resume", "metrics", "end", "end"]


def test_a_run_that_is_not_started_keeps_what_is_written_to_it(
    tracker: MlflowTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("no runs today")

    monkeypatch.setattr(tracker._client, "create_run", refuse)
    run = tracker.start("t", monitor=True)
    run.metrics({"a": 1.0})
    run.end()
    assert run.run_id == ""
    (file,) = tmp_path.rglob("refused.jsonl")
    assert [json.loads(line)["entry"]["kind"] for line in file.read_text().splitlines()] == ["start", "metrics", "end"]
