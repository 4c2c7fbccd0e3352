"""A key that does nothing beside the others is refused by every command, and heeded ones pass."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from src.benchmark.__main__ import IDLE as OF_BENCHMARK
from src.benchmark.__main__ import BenchArgs
from src.benchmark.bundle.commands import OF_PACK, PackArgs, RemoteArgs, run_pack, run_remote
from src.common.errors import UserError
from src.config.idle_keys import Idle, refuse_idle
from src.config.schema import (
    AppConfig,
    DataConfig,
    DecisionConfig,
    Pruner,
    ReportConfig,
    RuntimeConfig,
    StudyConfig,
)
from src.config.unused_keys import refuse_unused_data
from src.data.__main__ import run as run_data
from src.data.options import DatasetArgs
from src.evaluate.options import EvaluateArgs
from src.evaluate.options import check_arguments as check_evaluate
from src.loadtest.options import LoadtestArgs
from src.loadtest.options import check_arguments as check_loadtest
from src.monitor.__main__ import MonitorArgs
from src.monitor.__main__ import run as run_monitor
from src.monitor.settings import MonitorConfig
from src.predict.options import PredictArgs, check_source
from src.predict.options import check_arguments as check_predict
from src.promote.__main__ import PromoteArgs
from src.promote.__main__ import check as check_promote
from src.report.__main__ import ReportArgs
from src.report.__main__ import run as run_report
from src.run import IDLE as OF_ONE_TRIAL
from src.run import run_single
from src.serve.options import LiveConfig, ServeArgs
from src.serve.options import check_arguments as check_serve


def check_benchmark(args: BenchArgs) -> None:
    refuse_idle(args, OF_BENCHMARK)


def check_pack(args: PackArgs) -> None:
    refuse_idle(args, OF_PACK)


def check_files(args: PredictArgs) -> None:
    check_source(args, live=False, clips=False)


DIGITS, ALL = DataConfig(name="digits", kind="digits"), RuntimeConfig(name="all")


def evaluate(**given: Any) -> EvaluateArgs:
    return EvaluateArgs(**{"data": DIGITS, "runtime": ALL, **given})


def data(command: str, **given: Any) -> DatasetArgs:
    return DatasetArgs(**{"command": command, "data": DIGITS, **given})


@pytest.mark.parametrize(
    ("check", "args", "key"),
    [
        (check_predict, PredictArgs(overlap=0.3), "overlap"),
        (check_predict, PredictArgs(merge="smaller"), "merge"),
        (check_predict, PredictArgs(nms="none", iou=0.5), "iou"),
        (check_predict, PredictArgs(nms="soft", iou=0.5), "iou"),
        (check_files, PredictArgs(frames=10), "frames"),
        (check_files, PredictArgs(attempts=1), "attempts"),
        (check_files, PredictArgs(every=2), "every"),
        (check_evaluate, evaluate(tile=640), "tile"),
        (check_evaluate, evaluate(artifacts="a.onnx", overlap=0.3), "overlap"),
        (check_evaluate, evaluate(artifacts="a.onnx", sweep="other"), "sweep"),
        (check_evaluate, evaluate(artifacts="a.onnx", confirm="train"), "confirm"),
        (check_evaluate, evaluate(artifacts="a.onnx", data=DataConfig(kind="digits", path="x")), "data.path"),
        (check_evaluate, evaluate(miss=5.0, false_alarm=1.0), "miss"),
        (check_evaluate, evaluate(limit=5), "limit"),
        (check_evaluate, evaluate(split="test"), "split"),
        (check_evaluate, evaluate(suspects=5, trial=3), "trial"),
        (check_evaluate, evaluate(data=DataConfig(kind="yolo", path="x")), "data"),
        (check_evaluate, evaluate(runtime=RuntimeConfig(name="onnxruntime")), "runtime"),
        (check_benchmark, BenchArgs(merge="smaller"), "merge"),
        (run_pack, PackArgs(out="x", images=9, megabytes=5.0), "megabytes"),
        (run_pack, PackArgs(out="x", pictures="references", megabytes=5.0), "megabytes"),
        (run_remote, RemoteArgs(remote="ssh://pi", images=9, megabytes=5.0), "megabytes"),
        (run_remote, RemoteArgs(remote="ssh://pi", out="x"), "out"),
        (run_single, AppConfig(sweep="x"), "sweep"),
        (run_single, AppConfig(store="s3://bucket/x"), "store"),
        (run_single, AppConfig(study=StudyConfig(workers=2)), "study.workers"),
        (run_single, AppConfig(study=StudyConfig(pruner=Pruner.median)), "study.pruner"),
        (run_single, AppConfig(study=StudyConfig(until="decided", max_trainings=9)), "study.until"),
        (run_single, AppConfig(study=StudyConfig(constraints=["size_mb <= 10"])), "study.constraints"),
        (run_single, AppConfig(decision=DecisionConfig(confirm_seeds=3)), "decision.confirm_seeds"),
        (run_single, AppConfig(report=ReportConfig(language="fr")), "report.language"),
        (check_loadtest, LoadtestArgs(rate=3.0, demand=50.0), "demand"),
        (check_loadtest, LoadtestArgs(rate=3.0, steps=3), "steps"),
        (run_report, ReportArgs(fail_on="changed"), "fail_on"),
        (run_report, ReportArgs(fail_on="reject"), "fail_on"),  # a 0 would be taken for the policy's answer
        (run_report, ReportArgs(merge_request="x", sweep="other"), "sweep"),
        (run_report, ReportArgs(compare="a,b", sweep="other"), "sweep"),
        (check_serve, ServeArgs(wait_ms=5.0), "wait_ms"),
        (check_serve, ServeArgs(model="a.onnx", poll_s=1.0), "poll_s"),
        (check_serve, ServeArgs(model="models:/detsweep/3", poll_s=1.0), "poll_s"),
        (check_serve, ServeArgs(live=LiveConfig(mode="shadow")), "live.mode"),
        (check_serve, ServeArgs(live=LiveConfig("b.onnx", mode="shadow", share=0.1)), "live.share"),
        (check_serve, ServeArgs(live=LiveConfig("b.onnx", steps=[0.1])), "live.steps"),
        (check_serve, ServeArgs(monitor=MonitorConfig(pictures=True)), "monitor.pictures"),
        (check_serve, ServeArgs(model="a.onnx", monitor=MonitorConfig(window_s=9.0)), "monitor.window_s"),
        (check_serve, ServeArgs(monitor=MonitorConfig(workers=2)), "monitor.workers"),
        (check_serve, ServeArgs(names="data.yaml"), "names"),
        (run_monitor, MonitorArgs(experiment="x", log="y"), "log"),
        (run_monitor, MonitorArgs(log="x", profile="y", monitor=MonitorConfig(log_mb=2.0)), "monitor.log_mb"),
        (check_promote, PromoteArgs(rollback=True, accept="conditional"), "accept"),
        (check_promote, PromoteArgs(outcome="x", sweep="other"), "sweep"),
        (check_promote, PromoteArgs(challenger=True, reference=True), "reference"),
        (run_data, data("check", to="coco"), "to"),
        (run_data, data("resize", copies=3), "copies"),
        (run_data, data("resize", link=True), "link"),
        (run_data, data("download", origin="kaggle", limit=3), "limit"),
        (run_data, data("download", origin="openimages", max_gb=3.0), "max_gb"),
        (run_data, data("frames", data=DataConfig(kind="yolo")), "frames"),
        (run_data, data("check", data=DataConfig(kind="digits", path="x")), "data.path"),
        (run_data, data("check", data=DataConfig(kind="yolo", path="x", n_train=9)), "data.n_train"),
    ],
)
def test_a_key_without_effect_is_refused(check: Callable[[Any], object], args: Any, key: str) -> None:
    with pytest.raises(UserError) as refused:
        check(args)
    assert refused.value.what.split()[0] == key
    assert str(refused.value.value).startswith(key.split()[0].partition(" ")[0]) or key == "frames"
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("check", "args"),
    [
        (check_predict, PredictArgs(tile=640, overlap=0.3, merge="smaller")),
        (check_predict, PredictArgs(tile=640, nms="none", iou=0.5)),
        (check_evaluate, evaluate(suspects=5, split="test")),
        (check_evaluate, evaluate(artifacts="a.onnx", miss=5.0, false_alarm=1.0, confirm="train", limit=3)),
        (check_pack, PackArgs(megabytes=5.0)),
        (check_pack, PackArgs(pictures="references", images=9)),
        (check_loadtest, LoadtestArgs(rate=3.0, p99_ms=50.0)),
        (check_serve, ServeArgs(batch=4, wait_ms=5.0, poll_s=1.0)),
        (check_serve, ServeArgs(live=LiveConfig("b.onnx", mode="canary", steps=[0.1], step_images=9))),
        (check_serve, ServeArgs(model="a.onnx", names="data.yaml", monitor_log="x", monitor=MonitorConfig(log_mb=3.0))),
        (check_promote, PromoteArgs(challenger=True, accept="conditional")),
        (refuse_unused_data, DataConfig(kind="tiny_person", source="x", n_train=40)),
        (refuse_unused_data, DataConfig(kind="voc", path="x", one_based=True)),
    ],
)
def test_a_key_that_counts_passes(check: Callable[[Any], object], args: Any) -> None:
    check(args)


def test_what_one_trial_heeds_is_not_of_sweeps() -> None:
    own = StudyConfig(trial_timeout=60.0, budget="minutes", minutes=3.0)
    refuse_idle(AppConfig(study=own, decision=DecisionConfig(finalists=5, margin=0.02)), OF_ONE_TRIAL)


def test_a_study_without_its_flag_is_refused_before_it_trains_one_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["src.run", "seed=2", "sweeps=sizes"])
    with pytest.raises(UserError, match="sweeps names a study") as refused:
        run_single(AppConfig())
    assert refused.value.remedy == "python -m src.run -m sweeps=sizes"


def test_a_default_given_by_hand_is_no_key() -> None:
    refuse_idle(LiveConfig(share=0.5), [Idle("share steps", lambda _: False, "is idle", "leave it out")])
    with pytest.raises(UserError, match=r"live\.steps is idle"):
        refuse_idle(LiveConfig(steps=[0.2]), [Idle("share steps", lambda _: False, "is idle", "")], "live.")
