"""Any folder of model files: what is found in it, and what is written about it."""

from __future__ import annotations

import csv
import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from src.benchmark import model_files, results
from src.benchmark.__main__ import BenchArgs, run
from src.benchmark.figures import draw, pareto
from src.benchmark.summary import Blocks, Summary
from src.common.errors import UserError
from src.decide.round_values import rounds_of
from src.records.model_io import Input, Output
from src.records.schema import Artifact, Measurement, Verification
from tests.conftest import run_command
from tests.exported_models import artifact_of


def test_files_are_told_apart_by_what_they_hold(
    onnx: Artifact, pytorch: Artifact, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    targets = ["torchscript/fp32", "onnx/fp16", "onnx/int8", "onnx/int8-dynamic"]
    if importlib.util.find_spec("openvino"):
        targets += ["openvino/fp16", "openvino/fp32"]
    made = [onnx, pytorch, *(artifact_of(tmp_path_factory, target) for target in targets)]
    for i, artifact in enumerate(made):
        path = Path(artifact.path)
        target = tmp_path / f"{i}{path.suffix}"
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copy(path, target)
    found = model_files.discover(tmp_path, imgsz=64).artifacts
    assert [a.label for a in found] == [a.label for a in made]
    assert {tuple(a.input_shape[1:]) for a in found} == {(3, 64, 64)}
    assert all(a.input == Input(64, 64) for a in found)
    assert all(a.output == Output(classes=3, task="detect") for a in found)
    assert {a.source_sha256 for a in found} == {pytorch.sha256}


@pytest.mark.parametrize("name", ["a.onnx", "a.torchscript", "a.pt"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"junk" * 50)
    with pytest.raises(UserError, match=name):
        model_files.discover(tmp_path)


def test_one_bad_file_among_others_is_a_row(onnx: Artifact, tmp_path: Path) -> None:
    shutil.copy(onnx.path, tmp_path / "good.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"junk" * 50)
    found = model_files.discover(tmp_path)
    assert [Path(a.path).name for a in found.artifacts] == ["good.onnx"]
    assert found.artifacts[0].names == ["a", "b", "c"]
    assert found.artifacts[0].output == Output(classes=3, task="detect")
    assert [f.target for f in found.failures] == ["bad.onnx"]
    assert found.failures[0].message.startswith("failed, because")
    (tmp_path / "good.onnx").write_bytes(b"junk")
    with pytest.raises(UserError, match=r"(?s)none of the 2 .*bad\.onnx.*good\.onnx"):
        model_files.discover(tmp_path)


def test_an_export_belongs_to_the_checkpoint_of_its_name(onnx: Artifact, pytorch: Artifact, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copy(pytorch.path, tmp_path / f"{name}.pt")
        with open(tmp_path / f"{name}.pt", "ab") as stream:
            stream.write(name.encode())
    shutil.copy(onnx.path, tmp_path / "two.onnx")
    shutil.copy(onnx.path, tmp_path / "stray.onnx")
    found = {Path(a.path).name: a for a in model_files.discover(tmp_path, imgsz=64).artifacts}
    assert found["two.onnx"].source_sha256 == found["two.pt"].sha256
    assert found["stray.onnx"].source_sha256 == "", "no checkpoint of its name, and more than one"


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model files"):
        model_files.discover(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        model_files.discover(tmp_path / "missing")


def _block(artifact: Artifact, factor: float) -> Blocks:
    """Two rounds, the second of a slower machine."""
    rounds = []
    for drift in (1.0, 1.5):
        samples = [factor * drift * (1 + 0.01 * (i % 5)) for i in range(80)]
        part = {"samples_ms": samples, "warmup_calls": 3, "stages_ms": {}, "peak_mb": 150.0, "digest": []}
        rounds.append(
            {"load_ms": 5.0, "cold_ms": 9.0, "runtime_version": "1", "device": "cpu"}
            | {"model_only/1": part, "model_only/4": {**part, "samples_ms": [3 * s for s in samples]}}
        )
    return Blocks(artifact, "onnxruntime", rounds)


@pytest.fixture
def measurements(tmp_path: Path) -> list[Measurement]:
    """A float32 file and an int8 file that takes twice as long."""
    fp32 = Artifact("onnx", "fp32", "x.onnx", "a" * 64, 10**6, [-1, 3, 64, 64], 1.0, "s")
    int8 = Artifact("onnx", "int8", "y.onnx", "b" * 64, 10**6, [-1, 3, 64, 64], 1.0, "s")
    summary = Summary(tmp_path, tmp_path, 10**6, "cpu", {64: 100.0}, 100.0, {"s": 0.5})
    return summary.measurements([_block(fp32, 10.0), _block(int8, 20.0)])


def test_measurements_are_compared_with_float32_and_the_peak(measurements: list[Measurement]) -> None:
    fp32, _, int8, _ = measurements
    assert "ratio_to_fp32" not in fp32.extra
    assert int8.extra["ratio_to_fp32"] == pytest.approx(2.0)
    assert int8.extra["slower_than_fp32"] == 1.0
    assert fp32.memory_mb == 50.0
    assert fp32.extra["gemm_share"] == pytest.approx(0.5 / (fp32.latency.p50 / 1e3) / 100)
    assert fp32.extra["offline_batch"] == 4  # four images in three times the time
    assert fp32.extra["offline_ips"] > fp32.throughput_ips


@pytest.mark.parametrize(("factor", "slower"), [(1.03, 0.0), (1.2, 1.0)])
def test_a_tie_of_speed_is_not_slower_than_float32(factor: float, slower: float, tmp_path: Path) -> None:
    """Both are surely slower: the rounds agree to the last digit. But 3 % matter to nobody."""
    fp32 = Artifact("onnx", "fp32", "x.onnx", "a" * 64, 10**6, [-1, 3, 64, 64], 1.0, "s")
    int8 = replace(fp32, precision="int8", sha256="b" * 64)
    summary = Summary(tmp_path, tmp_path, 1, "cpu", {64: 100.0}, 0.0, {})
    extra = summary.measurements([_block(fp32, 10.0), _block(int8, 10.0 * factor)])[2].extra
    assert extra["ratio_to_fp32_low"] > 1.02
    assert extra["slower_than_fp32"] == slower


def test_measurements_keep_their_rounds_and_what_disturbed_them(tmp_path: Path) -> None:
    block = _block(Artifact("onnx", "fp32", "x.onnx", "a" * 64, 10**6, [-1, 3, 64, 64], 1.0, "s"), 10.0)
    summary = Summary(tmp_path, tmp_path, 1, "cpu", {64: 100.0}, 0.0, {})
    unknown = summary.measurements([block])[0]
    assert not {"foreign_cpu", "contaminated_rounds"} & set(unknown.extra)
    for answer, share in zip(block.answers, (0.02, 0.3), strict=True):
        answer["model_only/1"]["foreign_cpu"] = share
    block.retakes = 2
    found = summary.measurements([block])[0]
    names = ("foreign_cpu", "contaminated_rounds", "remeasured_blocks")
    assert [found.extra[name] for name in names] == pytest.approx([0.16, 1, 2])
    assert set(found.rounds) == {"mean", "p50", "p90", "p95"}
    assert found.rounds["p50"] == pytest.approx([10.2, 15.3])
    assert rounds_of(replace(found, rounds={}), tmp_path) == found.rounds


def test_names_are_no_formulas(measurements: list[Measurement], tmp_path: Path) -> None:
    row = {**results.rows(measurements, [])[0], "format": "=cmd|' /C calc'!A0"}
    results.write_csv(tmp_path / "b.csv", [row])
    with open(tmp_path / "b.csv", encoding="utf-8") as stream:
        assert next(csv.DictReader(stream))["format"] == "'=cmd|' /C calc'!A0"


def test_rows_are_written_and_drawn(measurements: list[Measurement], tmp_path: Path) -> None:
    checked = Verification("onnx", "int8", "b" * 64, "onnxruntime", "val", {"mAP50-95": 0.4}, 0.5, "fail", "x.npz")
    table = results.rows(measurements, [checked])
    results.write_csv(tmp_path / "b.csv", table)
    with open(tmp_path / "b.csv", encoding="utf-8") as stream:
        read = list(csv.DictReader(stream))
    assert len(read) == 4
    assert read[2]["gate"] == "fail"
    assert float(read[2]["map_share"]) == pytest.approx(0.8)
    assert read[0]["gate"] == ""
    assert read[0]["p99_ms"] == ""
    assert results.render(table).row_count == 4
    names = [p.name for p in draw(table, tmp_path / "figures")]
    assert names == ["latency.png", "accuracy_latency.png", "throughput_batch.png", "memory.png"]
    assert all((tmp_path / "figures" / name).stat().st_size > 5000 for name in names)


@pytest.mark.parametrize(
    ("points", "front"),
    [([(1, 1), (2, 2), (3, 1.5)], [0, 1]), ([(1, 1), (1, 2)], [1]), ([(2, 5), (1, 1)], [1, 0]), ([], [])],
)
def test_pareto(points: list[tuple[float, float]], front: list[int]) -> None:
    assert pareto(points) == front


@pytest.mark.slow
def test_the_command(onnx: Artifact, tmp_path: Path) -> None:
    words = ["runtime=onnxruntime", "data.n_train=8", "data.n_val=4", "data.n_test=4", "benchmark=quick"]
    places = [f"artifacts={onnx.path}", f"out={tmp_path}/out", f"outputs={tmp_path}/outputs"]
    done = run_command("src.benchmark", *words, *places)
    assert done.returncode == 0, done.stderr
    assert "onnx/fp32" in done.stdout
    assert "model.onnx" in done.stdout
    with open(tmp_path / "out" / "benchmark.csv", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert {row["file"] for row in table} == {"model.onnx"}
    assert {row["gate"] for row in table} == {"none"}, "only a checkpoint is a reference"
    assert (tmp_path / "out" / "benchmark.csv").is_file()
    assert (tmp_path / "out" / "figures" / "latency.png").is_file()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"junk")
    done = run_command("src.benchmark", f"artifacts={broken}")
    assert done.returncode == 2
    assert "broken.onnx" in done.stderr


@pytest.mark.parametrize("word", ["imgsz=-1", "limit=0", "threads=-2", "seed=-1"])
def test_numbers_that_make_no_sense_are_refused_before_the_folder_is_read(word: str, tmp_path: Path) -> None:
    key, _, value = word.partition("=")
    args = BenchArgs(artifacts=str(tmp_path / "missing"), **{key: int(value)})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=f"{key} must be"):
        run(args)
