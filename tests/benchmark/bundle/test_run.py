"""A bundle runs: what it does when it is interrupted, moved, altered or short of something."""

from __future__ import annotations

import base64
import errno
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from src.benchmark.bundle import device_run, run
from src.benchmark.bundle.candidates import Asked
from src.benchmark.bundle.incoming import import_results
from src.benchmark.bundle.pack import pack
from src.benchmark.bundle.results import load_results
from src.benchmark.bundle.work import Work
from src.common.errors import StageError, UserError
from src.config.schema import BenchmarkConfig
from src.decide.load import Saved, load_sweep
from src.records.schema import Environment
from tests.benchmark.bundle.conftest import MEASURE, QUICK, in_this_process
from tests.disks import fill, small_disk

Job = Callable[..., dict[str, Any]]


def started_again(bundle: Path, *words: str) -> int:
    return run.main(bundle, list(words))


def forget(bundle: Path) -> None:
    """As it was before it ran."""
    shutil.rmtree(bundle / "work")
    (bundle / "results.json").unlink()


@pytest.mark.usefixtures("quick")
def test_a_run_that_is_stopped_goes_on_where_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = home / "bundle"
    forget(bundle)
    blocks: list[str] = []

    def stopped(job: Mapping[str, Any], **words: object) -> dict[str, Any]:
        if job["kind"] == "measure":
            blocks.append(job["runtime"])
            if len(blocks) == 2:
                raise KeyboardInterrupt
        return in_this_process(job, **words)

    monkeypatch.setattr(MEASURE, "run_job", stopped)
    assert started_again(bundle) == 130
    assert "goes on from there" in capsys.readouterr().err
    assert not (bundle / "results.json").exists()
    first = (bundle / "work" / "blocks" / "01-000.json").read_text()
    assert started_again(bundle) == 0
    assert len(blocks) == 3  # one whole, one stopped, and that one again
    results, _ = load_results(bundle / "results.json")
    assert results.candidates[0].rounds[0] == json.loads(first)
    assert results.facts["interruptions"].startswith("1: ")


@pytest.mark.usefixtures("quick")
def test_a_finished_run_measures_nothing_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = load_results(home / "bundle" / "results.json")

    def never(job: Mapping[str, Any], **_: object) -> dict[str, Any]:
        raise AssertionError(job["kind"])

    monkeypatch.setattr(MEASURE, "run_job", never)
    assert started_again(home / "bundle") == 0
    after, _ = load_results(home / "bundle" / "results.json")
    assert after.candidates == before.candidates


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("left", [b"", b"PK\3\4torn", b"[]", b"\0" * 100])
def test_what_a_loss_of_power_left_is_made_again(home: Path, left: bytes) -> None:
    before, _ = load_results(home / "bundle" / "results.json")
    for name in ("detections-01.npz", "blocks/01-001.json"):
        (home / "bundle" / "work" / name).write_bytes(left)
    (home / "bundle" / "results.json").unlink()
    assert started_again(home / "bundle") == 0
    after, _ = load_results(home / "bundle" / "results.json")
    assert after.candidates[0].rounds[0] == before.candidates[0].rounds[0]
    assert len(after.candidates[0].rounds) == 2
    assert zipfile.is_zipfile(io.BytesIO(base64.b64decode(after.candidates[0].detections)))


def test_an_altered_file_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = next((home / "bundle" / "artifacts").rglob("*.onnx"))
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    assert started_again(home / "bundle") == 2
    assert "artifacts/01/model.onnx" in capsys.readouterr().err


def test_an_altered_plan_runs_under_another_name(home: Path, saved: Saved) -> None:
    """The plan's hash names the bundle: what an altered one measures is foreign at home."""
    bundle = home / "bundle"
    forget(bundle)
    plan = bundle / "plan.json"
    plan.write_text(plan.read_text().replace('"min_samples": 140', '"min_samples": 2'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MEASURE, "run_job", in_this_process)
        assert started_again(bundle) == 0
    with pytest.raises(UserError, match="did not pack"):
        import_results(saved, bundle / "results.json", "pi5")


def test_another_protocol_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = home / "bundle" / "plan.json"
    plan.write_text(plan.read_text().replace('"protocol": 1', '"protocol": 9'))
    assert started_again(home / "bundle") == 2
    assert "protocol 9" in capsys.readouterr().err


def test_blocks_of_two_machines_are_not_one_measurement(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Environment("other", "cpu", 1, 1.0, "", "3.9.1", "Linux", {}, "", False, "")
    monkeypatch.setattr(device_run, "environment", lambda: other)
    assert started_again(home / "bundle") == 2
    told = capsys.readouterr().err
    assert "another machine" in told
    assert "--fresh" in told


@pytest.mark.usefixtures("quick")
def test_other_threads_are_another_run_and_a_fresh_one_is_possible(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    bundle = home / "bundle"
    other = "1" if load_results(bundle / "results.json")[0].threads != 1 else "2"
    assert started_again(bundle, "--threads", other) == 2
    assert "another --threads" in capsys.readouterr().err
    assert started_again(bundle, "--threads", other, "--fresh") == 0
    assert load_results(bundle / "results.json")[0].threads == int(other)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "tpu"], "processor is none"),
        (["--threads", "-1"], "threads"),
        (["--threads", "100000"], "threads"),
    ],
)
def test_options_that_no_machine_has_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert started_again(home / "bundle", "--fresh", *words) == 2
    assert said in capsys.readouterr().err
    assert (home / "bundle" / "work" / "state.json").is_file()  # what an earlier run did is still there


def test_what_would_be_done_is_told_without_the_pictures(
    home: Path, saved: Saved, capsys: pytest.CaptureFixture[str]
) -> None:
    pack(saved, home / "private", Asked(QUICK, pictures="references"))
    assert started_again(home / "private", "--plan") == 0
    assert "1. accuracy" in capsys.readouterr().out
    assert started_again(home / "private") == 2
    assert "--pictures DIR" in capsys.readouterr().err


def test_a_folder_that_can_not_be_written_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "file").write_text("")
    assert started_again(home / "bundle", "--into", str(home / "file")) == 2
    told = capsys.readouterr().err
    assert "nothing can be written there" in told
    assert "--into DIR" in told


def test_a_finished_run_that_is_started_again_was_not_interrupted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MEASURE, "run_job", lambda *_, **__: pytest.fail("measured again"))
    assert started_again(home / "bundle") == 0
    assert "interruptions" not in load_results(home / "bundle" / "results.json")[0].facts


def test_no_runtime_at_all_is_said_with_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "onnxruntime" else find_spec(n))
    assert started_again(home / "bundle") == 2
    told = capsys.readouterr()
    assert "python -m pip install onnxruntime" in told.err
    assert "skipped onnxruntime" in told.out


@pytest.mark.usefixtures("quick")
def test_a_block_that_fails_is_a_listed_skip(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = home / "bundle"
    forget(bundle)

    def failing(job: Mapping[str, Any], **words: object) -> dict[str, Any]:
        if job["kind"] == "measure":
            raise StageError("benchmark", "x", "the process died of SIGILL")
        return in_this_process(job, **words)

    monkeypatch.setattr(MEASURE, "run_job", failing)
    assert started_again(bundle) == 1
    results, _ = load_results(bundle / "results.json")
    assert [p.message for p in results.problems] == ["the process died of SIGILL"]
    assert results.candidates[0].rounds == []


@pytest.mark.usefixtures("quick")
def test_a_full_disk_stops_the_run_and_is_no_failure_of_a_candidate(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = home / "bundle"
    forget(bundle)

    def full(job: Mapping[str, Any], **_: object) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(MEASURE, "run_job", full)
        assert started_again(bundle) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert started_again(bundle) == 0
    assert load_results(bundle / "results.json")[0].problems == []


def test_two_runs_at_a_time_are_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Work(home / "bundle" / "work").held():
        assert started_again(home / "bundle") == 2
    assert f"process {os.getpid()}" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_private_pictures_are_found_by_name_and_hash(
    home: Path, saved: Saved, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = BenchmarkConfig(name="test", warmup=2, min_seconds=0.0, min_samples=70, max_seconds=5, rounds=1)
    pack(saved, home / "private", Asked(cfg, pictures="references"))
    assert not (home / "private" / "pictures").exists()
    assert started_again(home / "private") == 2
    assert "--pictures DIR" in capsys.readouterr().err
    images = Path(str(saved.trials[0].dataset and saved.trials[0].dataset.yaml)).parent / "images" / "val"
    copy = home / "theirs" / "deep"
    shutil.copytree(images, copy)
    assert started_again(home / "private", "--pictures", str(home / "theirs")) == 0
    record = import_results(saved, home / "private" / "results.json", "pi5")
    assert record.verifications[0].metrics["mAP50-95"] == 1.0
    first = sorted(copy.iterdir())[0]
    first.write_bytes(b"other")
    assert started_again(home / "private", "--pictures", str(home / "theirs")) == 2
    assert "differs" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_in_a_folder_with_spaces(home: Path, saved: Saved) -> None:
    cfg = BenchmarkConfig(name="test", warmup=2, min_seconds=2.0, min_samples=140, max_seconds=5, rounds=2)
    bundle = home / "a folder, with spaces ä"
    pack(saved, bundle, Asked(cfg))
    command = [sys.executable, str(bundle / "run.py")]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("round 2/2"):
            break
    time.sleep(0.5)  # in the middle of a block
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = sorted(p.name for p in (bundle / "work" / "blocks").iterdir())
    assert kept == ["01-000.json"]
    moved = home / "moved"
    bundle.rename(moved)
    done = subprocess.run([sys.executable, "run.py"], cwd=moved, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "goes on with the run" in done.stdout
    assert "round 1/2" in done.stdout
    assert len(import_results(saved, moved / "results.json", "pi5").measurements) == 2


@pytest.mark.slow
def test_the_bundle_runs_by_itself_and_starts_soon(home: Path) -> None:
    """No other import path than its own, nothing of this project's folder, and measuring begins within 3 s."""
    bundle = home / "bundle"
    forget(bundle)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(bundle / "run.py")],
        cwd=home,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("accuracy"):
            began = time.perf_counter() - begun
    assert process.wait() == 0, said
    assert began < 3


def run_alone(bundle: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The bundle in a process of its own, with bytecode as Python would write it by itself."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "run.py", *words]
    return subprocess.run(command, cwd=bundle, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_on_a_disk_that_is_full_nothing_is_torn_and_with_room_it_goes_on(home: Path, saved: Saved) -> None:
    with small_disk(home / "disk", "3m") as disk:
        bundle = disk / "bundle"
        pack(saved, bundle, Asked(QUICK))
        for left in (0, 4096, 16384, 32768):
            filler = fill(disk, left)
            done = run_alone(bundle)
            assert done.returncode == 1, (left, done.stdout)
            assert "the disk is full" in done.stderr
            assert "the same command goes on" in done.stderr
            assert "Traceback" not in done.stderr
            assert not (bundle / "results.json").exists()
            for kept in bundle.glob("work/**/*.json"):
                json.loads(kept.read_text())
            filler.unlink()
        done = run_alone(bundle)
        assert done.returncode == 0, done.stderr
        assert load_results(bundle / "results.json")[0].problems == []
        assert len(import_results(saved, bundle / "results.json", "pi5").measurements) == 2


@pytest.mark.slow
def test_a_bundle_is_packed_and_results_are_imported_whole_or_not_at_all(home: Path, saved: Saved) -> None:
    with small_disk(home / "disk", "3m") as disk:
        filler = fill(disk, 100_000)
        with pytest.raises(OSError, match="No space left"):
            pack(saved, disk / "bundle", Asked(QUICK))
        assert list(disk.iterdir()) == [filler]
        filler.unlink()
        shutil.copytree(home / "outputs" / "sweeps" / "squares", disk / "squares")
        small = load_sweep(disk / "squares")
        for left in (0, 4096, 16384):
            filler = fill(disk, left)
            with pytest.raises(OSError, match="No space left"):
                import_results(small, home / "bundle" / "results.json", "pi5")
            assert not list(disk.glob("squares/devices/*"))
            filler.unlink()
        import_results(small, home / "bundle" / "results.json", "pi5")


@pytest.mark.slow
def test_whoever_stops_reading_stops_the_run_which_goes_on(home: Path) -> None:
    bundle = home / "bundle"
    forget(bundle)
    process = subprocess.Popen(
        [sys.executable, "run.py"], cwd=bundle, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    told = process.stderr.read()
    assert process.wait(60) == 1
    assert "the same command goes on" in told
    assert "BrokenPipe" not in told
    assert run_alone(bundle).returncode == 0


@pytest.mark.usefixtures("quick")
def test_what_nobody_expected_is_told_in_words(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forget(home / "bundle")

    def broken(job: Mapping[str, Any], **_: object) -> dict[str, Any]:
        raise RuntimeError("an engine of its own kind")

    monkeypatch.setattr(MEASURE, "run_job", broken)
    assert started_again(home / "bundle") == 1
    told = capsys.readouterr().err
    assert told.startswith("error: RuntimeError: an engine of its own kind")
    assert "the same command goes on" in told


def test_processes_exchange_files_in_the_folder_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own place may be full or missing; and nothing is written outside the bundle's folder."""
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    monkeypatch.delenv("TEMP", raising=False)
    before = tempfile.tempdir
    with Work(tmp_path / "work").held():
        with tempfile.TemporaryDirectory() as folder:
            assert Path(folder).parent == tmp_path / "work" / "tmp"
        assert os.environ["TMPDIR"] == os.environ["TEMP"] == str(tmp_path / "work" / "tmp")
    assert (tempfile.tempdir, os.environ["TMPDIR"], os.environ.get("TEMP")) == (before, "/nonexistent", None)
    assert not (tmp_path / "work" / "tmp").exists()


@pytest.mark.slow
def test_a_system_that_shows_and_offers_little_is_enough(home: Path, saved: Saved) -> None:
    """Neither affinity nor groups of processes, no /proc and /sys, other locks, a terminal of an old encoding."""
    bundle = home / "bundle"
    forget(bundle)
    (home / "poor").mkdir()
    shutil.copyfile(Path(__file__).with_name("poor_system.py"), home / "poor" / "sitecustomize.py")
    env = {
        **os.environ,
        "PYTHONPATH": str(home / "poor"),
        "PYTHONIOENCODING": "cp1252",
        "PYTHONUTF8": "0",
        "LC_ALL": "C",
    }
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=bundle,
        env=env,
        capture_output=True,
        encoding="cp1252",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 candidates × 12 pictures" in done.stdout
    assert "whether the processor was quiet is not known" in done.stdout
    record = import_results(saved, bundle / "results.json", "pc")
    assert record.environment.memory_gb == 0.0
    assert len(record.measurements) == 2
    assert record.verifications[0].extra["digests_equal"] == 1.0
