"""A sweep's finalists become a bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.benchmark.bundle.candidates import Asked, candidates_of, packages_of
from src.benchmark.bundle.pack import pack
from src.benchmark.bundle.plan import Candidate, altered, read_plan
from src.common import encryption
from src.common.errors import UserError
from src.decide.load import Saved
from src.records.sweep_folder import SweepFolder
from tests.benchmark.bundle.conftest import QUICK


def test_the_plan_holds_what_a_runner_needs(home: Path, saved: Saved) -> None:
    plan, sha256 = read_plan(home / "bundle")
    assert [(c.id, c.runtime) for c in plan.candidates] == [("01", "onnxruntime")]
    assert (plan.statistic, plan.part) == ("p50", "model_only/1")  # as the sweep decides
    assert [p.index for p in plan.pictures] == list(range(12))
    assert len(plan.candidates[0].digests) == 12
    assert [item.target for item in plan.left_out] == ["T0 pytorch/pytorch/fp32"]
    assert SweepFolder(saved.folder).bundle(sha256).is_file()
    there = {p.relative_to(home / "bundle").as_posix() for p in (home / "bundle").rglob("*") if p.is_file()}
    made = {name for name in there if name.startswith("work/") or "__pycache__" in name} | {"plan.json", "results.json"}
    assert there - made == plan.files.keys()
    assert altered(plan, home / "bundle") == []


def test_nothing_of_this_machine_is_in_a_bundle(home: Path) -> None:
    text = (home / "bundle" / "plan.json").read_text()
    assert str(home) not in text
    assert str(Path.cwd()) not in text
    assert "/" not in json.loads(text)["pictures"][0]["name"]


def test_pictures_take_no_more_room_than_they_may(home: Path, saved: Saved) -> None:
    made = pack(saved, home / "small", Asked(QUICK, megabytes=0.004))
    assert [p.index for p in made.plan.pictures] == list(range(8))  # the ring is always there
    made = pack(saved, home / "ten", Asked(QUICK, images=10))
    assert len(made.plan.pictures) == 10
    assert made.plan.images_in_split == 12


def test_a_part_of_the_split_is_compared_with_the_same_part(
    home: Path, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.benchmark.bundle import run
    from src.benchmark.bundle.incoming import import_results
    from tests.benchmark.bundle.conftest import MEASURE, in_this_process

    monkeypatch.setattr(MEASURE, "run_job", in_this_process)
    pack(saved, home / "ten", Asked(QUICK, images=10, seed=3))
    assert run.main(home / "ten", []) == 0
    record = import_results(saved, home / "ten" / "results.json", "pi5")
    assert record.verifications[0].metrics["mAP50-95"] == record.verifications[0].reference_map == 1.0
    assert record.verifications[0].extra["digests_equal"] == 1.0
    assert record.notes == ["accuracy there is that of 10 of 12 images of val"]


def test_a_folder_that_holds_something_is_not_written_to(home: Path, saved: Saved) -> None:
    with pytest.raises(UserError, match="not empty"):
        pack(saved, home / "bundle", Asked(QUICK))
    (home / "file").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        pack(saved, home / "file", Asked(QUICK))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked(QUICK, engines=["pytorch"]), "engines"),
        (Asked(QUICK, targets=["onnx/int7"]), "targets"),
        (Asked(QUICK, trials=[4]), "trials"),
        (Asked(QUICK, images=0), "images"),
        (Asked(QUICK, megabytes=0), "megabytes"),
        (Asked(QUICK, pictures="links"), "pictures"),
        (Asked(QUICK, targets=["pytorch/fp32"]), "no finalist that another machine"),
        (Asked(QUICK, engines=["litert"]), "no finalist that another machine"),
    ],
)
def test_wishes_that_can_not_be_met_are_refused(home: Path, saved: Saved, asked: Asked, words: str) -> None:
    with pytest.raises(UserError, match=words):
        pack(saved, home / "new", asked)
    assert not (home / "new").exists()


def test_engines_that_the_sweep_did_not_run_can_be_asked_for(saved: Saved) -> None:
    chosen, _ = candidates_of(saved, Asked(QUICK, engines=["onnxruntime", "openvino"]))
    assert [(c.runtime, c.verification is not None) for c in chosen] == [("onnxruntime", True), ("openvino", False)]


def test_a_file_that_lost_its_accuracy_stays_here(saved: Saved) -> None:
    record = saved.finalists[0]
    worse = [replace(v, gate="fail" if v.gate == "pass" else v.gate) for v in record.verifications]
    chosen, left_out = candidates_of(replace(saved, finalists={0: replace(record, verifications=worse)}), Asked(QUICK))
    assert chosen == []
    assert "lost too much accuracy" in left_out[-1].reason


def test_a_file_that_is_not_the_verified_one_is_refused(home: Path, saved: Saved) -> None:
    path = Path(saved.finalists[0].artifacts[1].path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(UserError, match="not the one that the sweep verified"):
        pack(saved, home / "new", Asked(QUICK))
    assert not (home / "new").exists()


def test_encrypted_images_do_not_travel_in_clear(home: Path, saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.benchmark.bundle.pack.is_secret", lambda _: True)
    with pytest.raises(UserError, match="encrypted") as refused:
        pack(saved, home / "new", Asked(QUICK))
    assert refused.value.remedy == "pictures=references"
    assert encryption.MAGIC  # what `is_secret` looks for
    made = pack(saved, home / "new", Asked(QUICK, pictures="references"))
    assert made.plan.fitted == {}
    assert made.plan.ring == []


def test_digests_of_an_engine_that_did_not_run_here_are_none(home: Path, saved: Saved) -> None:
    made = pack(saved, home / "new", Asked(QUICK, engines=["null", "openvino"]))
    assert [c.digests for c in made.plan.candidates] == [[], []]
    assert np.isfinite([c.p50_ms for c in made.plan.candidates]).all()


@pytest.mark.parametrize(
    ("version", "package"),
    [
        ("2026.4.1-22982-e213a147257-releases/2026/4", "openvino==2026.4.1"),
        ("2026.5.0rc1", "openvino==2026.5.0rc1"),
        ("", "openvino"),
        ("custom", "openvino"),
    ],
)
def test_a_package_is_named_as_pip_knows_it(version: str, package: str) -> None:
    candidate = Candidate("01", {"format": "onnx", "precision": "fp32"}, "openvino", "T0", version, 1.0, [])
    assert packages_of([candidate]) == {"openvino": package}
