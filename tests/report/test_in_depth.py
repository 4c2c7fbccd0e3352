"""What evaluations in depth add: intervals over images, errors, sensitivity, the page, the check, the comparison."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.decide.choice import Decision
from src.decide.judgement import smallest_difference
from src.decide.sensitivity import sensitivity
from src.decide.uncertainty import gap
from src.report import Options, load_decision, write_report
from src.report.check import check_report
from src.report.compare import compare
from tests.decide.test_load import command
from tests.report.factory import DATASET, HOST, ONNX, Sweep, deep_study, finalist, study, trial
from tests.report.test_report import whole


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Outputs and reports of a study with evaluations in depth."""
    tmp = tmp_path_factory.mktemp("deep")
    write_report(deep_study().write(tmp / "outputs"), tmp / "reports")
    return tmp / "outputs", tmp / "reports"


def decision_of(deep: tuple[Path, Path]) -> Decision:
    return load_decision(deep[0] / "sweeps" / "friday")


def test_the_document_shows_the_evaluation(deep: tuple[Path, Path]) -> None:
    text = whole(deep[1] / "friday/decision.md")
    for said in (
        "Evaluation in depth",
        "Localisation",
        "3 taken for 8 (7)",
        "test can't resolve differences",
        "T9",
        "figures/errors.png",
    ):
        assert said in text, said
    assert "Export costs class 9 most" in text


def test_images_join_the_seeds_in_differences(deep: tuple[Path, Path]) -> None:
    decision = decision_of(deep)
    assert decision.best is not None
    other = next(c.other for c in decision.comparisons if c.other.configuration is not decision.best.configuration)
    both = gap(decision.best.model, other.model)
    seeds = gap(replace(decision.best.model, images=None), other.model)
    assert (both.method, seeds.method) == ("seeds and images", "seeds")
    assert both.se > seeds.se


def test_a_candidate_does_not_differ_from_itself(deep: tuple[Path, Path]) -> None:
    for c in decision_of(deep).candidates:
        assert gap(c.model, c.model).bounds(0.95) == (0.0, 0.0)


def test_smallest_difference_follows_the_paired_noise(deep: tuple[Path, Path]) -> None:
    decision = decision_of(deep)
    depths = [c.best.test_depth for c in decision.candidates if c.best.test_depth]
    paired, alone = smallest_difference(depths[0], depths[1:]), smallest_difference(depths[0], [])
    assert 0 < paired < alone


def test_resamples_of_other_data_are_not_paired(deep: tuple[Path, Path]) -> None:
    decision = decision_of(deep)
    depths = [c.best.test_depth for c in decision.candidates if c.best.test_depth]
    foreign = [replace(d, dataset_fingerprint="0" * 64) for d in depths[1:]]
    assert smallest_difference(depths[0], foreign) == smallest_difference(depths[0], [])


def test_sensitivity_names_every_case(deep: tuple[Path, Path]) -> None:
    outcomes = sensitivity(decision_of(deep))
    keys = [o.scenario.key for o in outcomes]
    assert keys == ["case_slower", "case_slower_winner", *["case_seed"] * 3, *["case_limit"] * 2]
    # v11n leads v8n at 320 px by 0.002 alone: without some seed it does not, and that is said.
    assert {o.scenario.key for o in outcomes if o.changed} == {"case_seed"}


def test_sensitivity_sees_a_limit_that_binds(tmp_path: Path) -> None:
    """The winner takes 16.13 ms: 10 % more breaks a limit of 17 ms, and so does a limit 10 % lower."""
    sweep = study(decision={"max_export_loss": 0.02, "max_latency_ms": 17.0, "latency": "p95"})
    outcomes = sensitivity(load_decision(sweep.write(tmp_path)))
    changed = [(o.scenario.key, o.scenario.values.get("value")) for o in outcomes if o.changed]
    assert changed == [("case_slower", None), ("case_slower_winner", None), ("case_limit", 15.3)]


def test_the_page_is_self_contained(deep: tuple[Path, Path]) -> None:
    pages = {name: (deep[1] / f"friday/{name}.html").read_text() for name in ("decision", "appendix")}
    assert {name: page.count('src="data:image/png;base64,') for name, page in pages.items()} == {
        "decision": 3,
        "appendix": 5,
    }
    for name, page in pages.items():
        found = set(re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page))
        assert found == {"appendix.html" if name == "decision" else "decision.html"}
        assert "<script" not in page
    assert pages["decision"].count("<h2>") == 6


def test_french(tmp_path: Path) -> None:
    path = write_report(deep_study().write(tmp_path), tmp_path / "reports", Options(language="fr"))
    text = path.read_text()
    assert "## Modèle recommandé" in text
    assert '<html lang="fr">' in path.with_suffix(".html").read_text()
    assert "not established" not in text
    decision = json.loads((path.parent / "decision.json").read_text())
    assert decision["reasons"][0].startswith("Every hard limit")


def test_a_sound_report_passes_the_check(tmp_path: Path) -> None:
    for language in ("en", "fr"):
        folder = deep_study().write(tmp_path)
        write_report(folder, tmp_path / "reports", Options(language=language))
        assert check_report(folder, tmp_path / "reports") == []


@pytest.mark.parametrize(
    "name",
    ["decision.md", "appendix.md", "decision.json", "trials.csv", "benchmark.csv", "benchmark.json", "decision.html"],
)
def test_one_altered_digit_fails_the_check(name: str, tmp_path: Path) -> None:
    folder = deep_study().write(tmp_path)
    path = write_report(folder, tmp_path / "reports").parent / name
    text = path.read_text()
    place = text.index("0.56") + 3
    path.write_text(f"{text[:place]}9{text[place + 1 :]}")
    problems = check_report(folder, tmp_path / "reports")
    assert [p.split(":")[0] for p in problems] == [name]


def test_an_altered_record_fails_the_check(tmp_path: Path) -> None:
    folder = deep_study().write(tmp_path)
    write_report(folder, tmp_path / "reports")
    path = folder / "trials/0009/record.json"
    path.write_text(path.read_text().replace("0.571", "0.575"))
    assert {p.split(":")[0] for p in check_report(folder, tmp_path / "reports")} >= {
        "decision.md",
        "decision.json",
        "trials.csv",
    }


def test_a_missing_figure_fails_the_check(tmp_path: Path) -> None:
    folder = deep_study().write(tmp_path)
    report = write_report(folder, tmp_path / "reports").parent
    (report / "figures/latency.png").unlink()
    assert "figures/latency.png: missing" in check_report(folder, tmp_path / "reports")


def test_the_check_command(tmp_path: Path) -> None:
    folder = study().write(tmp_path)
    assert command(tmp_path, "sweep=friday", "check=true").returncode == 2  # no report yet
    report = write_report(folder, tmp_path / "reports").parent
    assert command(tmp_path, "sweep=friday", "check=true").returncode == 0
    (report / "trials.csv").write_text("trial\n")
    done = command(tmp_path, "sweep=friday", "check=true")
    assert done.returncode == 1
    assert "trials.csv:1" in done.stderr


def other(**changes: object) -> Sweep:
    sweep = study()
    sweep.changes = {"sweep": "monday"}
    for key, value in changes.items():
        setattr(sweep, key, value)
    return sweep


def test_sweeps_of_one_machine_are_compared_without_warning(tmp_path: Path) -> None:
    text = compare([study().write(tmp_path), other().write(tmp_path)], tmp_path / "r").read_text()
    assert "friday" in text
    assert "monday" in text
    assert "must not be compared" not in text


def test_machines_are_not_mixed_in_silence(tmp_path: Path) -> None:
    away = replace(HOST, host="feedface" * 2)
    sweep = other()
    sweep.finalists = [replace(f, environment=away) for f in sweep.finalists]
    text = compare([study().write(tmp_path), sweep.write(tmp_path)], tmp_path / "r").read_text()
    assert "different machines" in text
    assert "@ feedface" in text
    assert "@ 5e1f00d5" in text


def test_data_are_not_mixed_in_silence(tmp_path: Path) -> None:
    sweep = other()
    sweep.trials = [replace(t, dataset=replace(DATASET, fingerprint="0" * 64)) for t in sweep.trials]
    text = compare([study().write(tmp_path), sweep.write(tmp_path)], tmp_path / "r", "fr").read_text()
    assert "données différentes" in text


def test_one_sweep_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two different sweeps"):
        compare([study().write(tmp_path)], tmp_path / "r")


def test_the_compare_command(tmp_path: Path) -> None:
    study().write(tmp_path)
    other().write(tmp_path)
    done = command(tmp_path, 'compare="friday,monday"')
    assert done.returncode == 0, done.stderr
    assert "monday" in done.stdout
    assert command(tmp_path, 'compare="friday,sunday"').returncode == 2


def test_two_machines_in_one_sweep_are_refused(tmp_path: Path) -> None:
    trials = [trial(0), trial(1, seed=2, model="v11n")]
    away = replace(HOST, host="feedface" * 2)
    sweep = Sweep(trials, [finalist(trials[0]), finalist(trials[1], (ONNX,), environment=away)])
    with pytest.raises(UserError, match="different machines"):
        load_decision(sweep.write(tmp_path))


def test_reopened_test_is_a_risk(tmp_path: Path) -> None:
    sweep = study()
    sweep.changes = {"test_openings": ["2026-11-21T08:00:00+00:00", "2026-11-22T08:00:00+00:00"]}
    text = whole(write_report(sweep.write(tmp_path), tmp_path / "r"))
    assert "The test split was opened 2 times" in text
    assert "2026-11-22" in text
