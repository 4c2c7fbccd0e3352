"""Results come home: what is taken over, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from src.benchmark.bundle.candidates import Asked
from src.benchmark.bundle.incoming import import_results
from src.benchmark.bundle.pack import pack
from src.benchmark.bundle.results import checksum
from src.benchmark.results import render, rows
from src.common.errors import UserError
from src.decide.load import Saved, load_sweep
from src.decide.settings import load_decision
from src.records.schema import DeviceRecord
from src.records.store import save
from src.records.sweep_folder import SweepFolder
from tests.benchmark.bundle.conftest import QUICK

Change = Callable[[dict[str, Any]], None]


def changed(home: Path, change: Change, *, honest: bool = True) -> Path:
    """The results with a change; an honest file has a checksum that fits."""
    path = home / "bundle" / "results.json"
    content = json.loads(path.read_text())
    given = content.pop("sha256")
    change(content)
    path.write_text(json.dumps({**content, "sha256": checksum(content) if honest else given}))
    return path


def repacked(content: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
    """Change the arrays of the first candidate's detections."""
    with np.load(io.BytesIO(base64.b64decode(content["candidates"][0]["detections"]))) as saved:
        arrays = {name: saved[name] for name in saved.files}
    change(arrays)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    content["candidates"][0]["detections"] = base64.b64encode(stream.getvalue()).decode()


def part(content: dict[str, Any]) -> dict[str, Any]:
    """The model alone in the first round of the first candidate."""
    found: dict[str, Any] = content["candidates"][0]["rounds"][0]["model_only/1"]
    return found


def more_parts(content: dict[str, Any], name: str) -> None:
    for answer in content["candidates"][0]["rounds"]:
        answer[name] = answer["model_only/1"]


def test_a_device_becomes_part_of_its_sweep(home: Path, saved: Saved) -> None:
    import_results(saved, home / "bundle" / "results.json", "pi5")
    record = load_sweep(saved.folder).devices["pi5"]
    assert {(m.runtime, m.scope, m.batch) for m in record.measurements} == {
        ("onnxruntime", "model_only", 1),
        ("onnxruntime", "end_to_end", 1),
    }
    raw = json.loads((home / "bundle" / "results.json").read_text())
    one = next(m for m in record.measurements if m.scope == "model_only")
    assert one.latency.count == sum(len(r["model_only/1"]["samples_ms"]) for r in raw["candidates"][0]["rounds"])
    assert one.artifact_sha256 == saved.finalists[0].artifacts[1].sha256
    assert json.loads((saved.folder / one.samples_file).read_text())["rounds"] == raw["candidates"][0]["rounds"]
    check = record.verifications[0]
    assert (check.gate, check.metrics["mAP50-95"], check.reference_map) == ("pass", 1.0, 1.0)
    assert check.extra["digests_equal"] == 1.0
    assert (saved.folder / check.detections_file).is_file()
    assert record.bundle_sha256 == raw["bundle_sha256"]


def test_a_name_is_given_once(home: Path, saved: Saved) -> None:
    file = home / "bundle" / "results.json"
    import_results(saved, file, "pi5")
    with pytest.raises(UserError, match="of this name") as refused:
        import_results(saved, file, "pi5")
    assert "replace=true" in refused.value.remedy
    import_results(saved, file, "pi5", replace_old=True)
    assert [path.parent.name for path in SweepFolder(saved.folder).device_records()] == ["pi5"]
    assert [path.name for path in SweepFolder(saved.folder).devices.iterdir()] == ["pi5"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "cpu", "cuda:1", "sweep"])
def test_names_that_mean_something_else_are_refused(home: Path, saved: Saved, name: str) -> None:
    with pytest.raises(UserError, match="plain name"):
        import_results(saved, home / "bundle" / "results.json", name)


def test_an_altered_sample_is_refused(home: Path, saved: Saved) -> None:
    def faster(content: dict[str, Any]) -> None:
        content["candidates"][0]["rounds"][0]["model_only/1"]["samples_ms"][0] /= 2

    with pytest.raises(UserError, match="altered"):
        import_results(saved, changed(home, faster, honest=False), "pi5")
    assert not SweepFolder(saved.folder).devices.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(protocol=0), "protocol 0"),
        (lambda c: c.update(bundle_sha256="ab" * 32), "did not pack"),
        (lambda c: c.update(bundle_sha256="../../x"), "did not pack"),
        (lambda c: c.update(sweep="other"), "did not pack"),
        (lambda c: c["candidates"][0].update(artifact_sha256="ab" * 32), "did not hold"),
        (lambda c: c["candidates"][0].update(runtime="null"), "did not hold"),
        (lambda c: c["candidates"].append(c["candidates"][0]), "did not hold"),
        (lambda c: c["candidates"][0]["rounds"].pop(), "1 of 2 rounds"),
        (lambda c: c["candidates"][0]["rounds"][0]["model_only/1"].update(samples_ms=[]), "no samples"),
        (lambda c: c["candidates"][0]["rounds"][0]["model_only/1"].update(samples_ms=[-1.0]), "no duration"),
        (lambda c: c["candidates"][0]["rounds"][0].pop("load_ms"), "load_ms"),
        (lambda c: c["candidates"][0]["rounds"][1].update({"other/1": {}}), "different parts"),
        (lambda c: c["candidates"][0].update(rounds=c["candidates"][0]["rounds"] * 100), "200 of 2 rounds"),
        (lambda c: c["candidates"][0].update(retakes=-1), "retakes is -1"),
        (lambda c: more_parts(c, "model_only/2"), "model_only/2 is no part"),
        (lambda c: more_parts(c, "model_only/²"), "is no part"),
        (lambda c: part(c).update(samples_ms=[1.0] * 10), "there was time for more"),
        (lambda c: part(c).update(samples_ms=[1.0] * 6000), "6000 samples"),
        (lambda c: part(c).update(samples_ms=[None] * 140), "None is no duration"),
        (lambda c: part(c).update(warmup_calls=-1), "warmup_calls is -1"),
        (lambda c: part(c).update(warmup_calls=10**400), "warmup_calls is 1000"),
        (lambda c: part(c).update(digest=[["x", 1]]), "digests that are none"),
        (lambda c: part(c).update(digest=[1.0]), "malformed"),
        (lambda c: part(c).update(digest=[[1.0, 1.0]] * 9), "no digests"),
        (lambda c: part(c).update(peak_mb=-1.0), "peak_mb is no size"),
        (lambda c: part(c).update(vram_mb=1e300), "vram_mb is no size"),
        (lambda c: part(c).update(stages_ms={"../x": [1.0]}), "../x is no stage"),
        (lambda c: part(c).update(foreign_cpu=-1.0), "others had"),
        (lambda c: c.update(zeros={"64": -1.0}), "zeros holds -1.0"),
        (lambda c: c["environment"].update(libraries={str(i): "" for i in range(2000)}), "libraries"),
        (lambda c: c["candidates"][0]["rounds"][0].update(cold_ms=10**400), "no duration"),
        (lambda c: c["candidates"][0]["rounds"][0].update(load_ms=1e300), "no duration"),
        (lambda c: c["candidates"][0]["rounds"][0].update(runtime_version=3), "no runtime_version"),
        (lambda c: c.update(zeros={"64": 10**400}), "malformed"),
        (lambda c: c.update(device="tpu"), "processor"),
        (lambda c: c.update(threads=0), "threads"),
        (lambda c: c["environment"].update(cores=10**30), "cores"),
        (lambda c: c.update(finished_at="yesterday"), "yesterday"),
        (lambda c: c.update(facts={str(i): "" for i in range(1000)}), "facts"),
        (lambda c: c["candidates"][0].update(detections="AAAA"), "detections of candidate 01"),
        (lambda c: c["candidates"][0].update(detections="%"), "detections of candidate 01"),
        (lambda c: c["environment"].pop("cpu"), "malformed"),
        (lambda c: c.update(candidates=3), "malformed"),
        (lambda c: c.update(candidates=[]), "no measurement"),
        (lambda c: repacked(c, lambda a: a.update(n_images=np.int64(3))), "not of 12 pictures"),
        (lambda c: repacked(c, lambda a: a.update(boxes=a["boxes"][:1])), "don't fit"),
        (lambda c: repacked(c, lambda a: a.update(image_index=a["image_index"] + 100)), "does not hold"),
        (lambda c: repacked(c, lambda a: a.update(scores=a["scores"] * np.nan)), "no number"),
    ],
)
def test_what_can_not_have_been_measured_is_refused(home: Path, saved: Saved, change: Change, words: str) -> None:
    with pytest.raises(UserError, match=words):
        import_results(saved, changed(home, change), "pi5")
    assert SweepFolder(saved.folder).device_records() == []


def test_a_slow_device_may_have_few_samples(home: Path, saved: Saved) -> None:
    """The time was up: 5 s of calls that took 0.6 s each."""

    def slow(content: dict[str, Any]) -> None:
        for answer in content["candidates"][0]["rounds"]:
            answer["model_only/1"]["samples_ms"] = [600.0] * 9

    record = import_results(saved, changed(home, slow), "pi5")
    assert next(m for m in record.measurements if m.scope == "model_only").latency.p50 == 600.0


def test_a_system_that_does_not_tell_the_peak_of_a_process_leaves_it_open(home: Path, saved: Saved) -> None:
    """The sweep can be loaded and decided on all the same."""

    def unknown(content: dict[str, Any]) -> None:
        content["zeros"] = {"64": None}
        for answer in content["candidates"][0]["rounds"]:
            answer["model_only/1"]["peak_mb"] = answer["end_to_end/1"]["peak_mb"] = None

    import_results(saved, changed(home, unknown), "pc")
    record = load_sweep(saved.folder).devices["pc"]
    assert [math.isnan(m.memory_mb) for m in record.measurements] == [True, True]
    decision = load_decision(saved.folder, {"device": "pc"})
    assert decision.recommended is not None
    assert "nan" not in str(render_text(record)).lower()
    with pytest.raises(UserError, match="limits what nobody measured"):
        load_decision(saved.folder, {"device": "pc", "max_memory_mb": 100})


def render_text(record: DeviceRecord) -> str:
    """The table that an import prints."""
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(render(rows(record.measurements, record.verifications, {})))
    return console.export_text()


def test_texts_of_a_device_are_kept_as_they_may_be_shown(home: Path, saved: Saved) -> None:
    evil = "a\x1b[31mb\u202ec\nd password=hunter2hunter2"

    def change(content: dict[str, Any]) -> None:
        content["environment"].update(cpu=evil, libraries={evil: evil})
        content["facts"] = {evil: evil}
        content["problems"] = [{"stage": evil, "target": evil, "kind": evil, "message": evil * 1000}]
        for answer in content["candidates"][0]["rounds"]:
            answer["runtime_version"] = evil

    record = import_results(saved, changed(home, change), "pi5")
    clean = "a [31mb c d password=***"
    assert (record.environment.cpu, record.environment.libraries, record.facts) == (
        clean,
        {clean: clean},
        {clean: clean},
    )
    assert record.measurements[0].runtime_version == clean
    assert len(record.failures[0].message) <= 500
    assert "hunter2" not in json.dumps([str(p.read_bytes()) for p in saved.folder.rglob("devices/pi5/record.json")])


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"bundle_sha256": NaN}', b"[" * 100_000])
def test_what_is_no_file_of_results_is_refused(home: Path, saved: Saved, content: bytes) -> None:
    path = home / "results.json"
    path.write_bytes(content)
    with pytest.raises(UserError):
        import_results(saved, path, "pi5")


def test_results_of_another_bundle_of_the_same_sweep_name_are_refused(home: Path, saved: Saved) -> None:
    place = SweepFolder(saved.folder)
    raw = json.loads((home / "bundle" / "results.json").read_text())
    place.bundle(raw["bundle_sha256"]).unlink()
    pack(saved, home / "second", Asked(QUICK, seed=7))
    with pytest.raises(UserError, match="did not pack"):
        import_results(saved, home / "bundle" / "results.json", "pi5")


def test_an_altered_copy_of_the_plan_is_refused(home: Path, saved: Saved) -> None:
    raw = json.loads((home / "bundle" / "results.json").read_text())
    kept = SweepFolder(saved.folder).bundle(raw["bundle_sha256"])
    kept.write_text(kept.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UserError, match="altered"):
        import_results(saved, home / "bundle" / "results.json", "pi5")


def test_a_file_that_the_sweep_exported_again_is_foreign(home: Path, saved: Saved) -> None:
    record = saved.finalists[0]
    others = [replace(a, sha256="12" * 32) for a in record.artifacts]
    save(SweepFolder(saved.folder).trial(0).finalist, replace(record, artifacts=others))
    with pytest.raises(UserError, match="no longer have"):
        import_results(load_sweep(saved.folder), home / "bundle" / "results.json", "pi5")


def test_a_device_that_finds_less_fails_the_candidate(home: Path, saved: Saved) -> None:
    def half(arrays: dict[str, Any]) -> None:
        keep = np.arange(len(arrays["scores"])) % 2 == 0
        arrays.update({name: arrays[name][keep] for name in ("image_index", "boxes", "scores", "classes")})

    record = import_results(saved, changed(home, lambda c: repacked(c, half)), "pi5")
    assert record.verifications[0].gate == "fail"
    assert record.verifications[0].extra["map_here"] == 1.0


def test_timed_outputs_that_are_not_those_of_the_accuracy_pass_are_no_measurement(home: Path, saved: Saved) -> None:
    def other(content: dict[str, Any]) -> None:
        for answer in content["candidates"][0]["rounds"]:
            answer["model_only/1"]["digest"][0][0] += 1000

    record = import_results(saved, changed(home, other), "pi5")
    assert all(m.scope != "model_only" for m in record.measurements)
    assert "differ from those of the accuracy pass" in record.failures[-1].message


def test_another_version_of_a_runtime_is_noted(home: Path, saved: Saved) -> None:
    from src.benchmark.bundle.plan import from_text, sha256_of, to_text

    place, file = SweepFolder(saved.folder), home / "bundle" / "results.json"
    raw = json.loads(file.read_text())
    plan = from_text(place.bundle(raw["bundle_sha256"]).read_text(), "plan")
    told = to_text(replace(plan, candidates=[replace(c, runtime_version="1.2.3") for c in plan.candidates]))
    place.bundle(sha256_of(told)).write_text(told)
    record = import_results(saved, changed(home, lambda c: c.update(bundle_sha256=sha256_of(told))), "pi5")
    there = raw["candidates"][0]["rounds"][0]["runtime_version"]
    assert record.notes == [f"onnxruntime is {there} there and 1.2.3 here"]
