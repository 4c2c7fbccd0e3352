"""A decision for a merge request: what a reviewer reads, what a tests' page reads, and when a policy fails it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from src.common.errors import EXIT_FAILED, EXIT_OK, UserError
from src.decide.verdict import verdict
from src.report import load_decision
from src.report.__main__ import ReportArgs, run
from src.report.decision import decision_json
from src.report.merge_request import broken, comment, junit, read_decision
from tests.report.factory import Sweep, failed, study, trial

Json = dict[str, Any]


def decided(sweep: Sweep, folder: Path) -> Json:
    """The decision of a sweep as it is written."""
    decision = load_decision(sweep.write(folder))
    told: Json = json.loads(json.dumps(decision_json(decision, verdict(decision), [], [])))
    return told


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return decided(study(), tmp_path_factory.mktemp("now"))


@pytest.fixture
def before(now: Json) -> Json:
    """A decision for another file."""
    found = copy.deepcopy(now)
    found["recommended"]["artifact"]["sha256"] = "0" * 64
    found["recommended"]["imgsz"] = 999
    return found


def test_a_reviewer_reads_what_ships_and_what_shipped(now: Json, before: Json) -> None:
    text = comment(now, before, "")
    assert f"{now['recommended']['imgsz']} px" in text
    assert "before:" in text
    assert "999 px" in text
    assert "same file" not in text
    assert "Ships the same file as before" in comment(now, now, "")
    assert len(text.splitlines()) <= 35


def test_figures_of_other_machines_or_data_are_not_compared(now: Json, before: Json) -> None:
    assert now["machines"]
    assert "don't compare" not in comment(now, before, "")
    assert "don't compare their latencies" in comment(now, before | {"machines": ["another"]}, "")
    del before["datasets"]  # of an earlier version
    assert "don't compare their accuracies" in comment(now, before, "")


def test_the_tests_page_has_the_verdict_and_every_limit(now: Json) -> None:
    limits = [
        {
            "name": "max_latency_ms",
            "limit": 5.0,
            "unit": "ms",
            "metric": "p90 <latency>",
            "measured": 7.5,
            "holds": False,
        },
        {"name": "min_map", "limit": 0.4, "unit": "", "metric": "mAP", "measured": None, "holds": None},
        {"name": "licence", "limit": "permissive", "unit": "", "metric": "SPDX", "measured": "MIT", "holds": True},
    ]
    suite = ElementTree.fromstring(junit(now | {"constraints": limits}, "").split("\n", 1)[1])
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "skipped": "1",
    }
    cases = {case.get("name"): case for case in suite}
    failure = cases["max_latency_ms 5.0 ms"].find("failure")
    assert failure is not None
    assert failure.get("message") == "p90 <latency>: 7.5"
    assert cases["min_map 0.4"].find("skipped") is not None
    assert list(cases["licence permissive"]) == []


@pytest.mark.parametrize(
    ("word", "policy", "fails"),
    [
        ("reject", "never", False),
        ("reject", "reject", True),
        ("conditional", "reject", False),
        ("conditional", "conditional", True),
        ("approve", "conditional", False),
    ],
)
def test_a_policy_fails_what_it_says(now: Json, word: str, policy: str, fails: bool) -> None:
    assert bool(broken(now | {"verdict": word}, None, policy)) is fails


def test_another_file_fails_where_that_is_asked(now: Json, before: Json) -> None:
    assert broken(now, before, "changed")
    assert not broken(now, now, "changed")
    with pytest.raises(UserError, match="hold against"):
        broken(now, None, "changed")
    with pytest.raises(UserError, match="fail_on"):
        broken(now, None, "always")


def test_a_sweep_of_which_nothing_can_be_shipped_is_told_too(tmp_path: Path) -> None:
    for sweep in (Sweep([failed(0)]), Sweep([trial(0)])):  # no survivor; nothing exported
        told = decided(sweep, tmp_path / str(len(sweep.trials)) / sweep.trials[0].state)
        assert "Ships" in comment(told, None, "")
        ElementTree.fromstring(junit(told, "").split("\n", 1)[1])


def test_the_command_writes_both_and_ends_by_policy(now: Json, tmp_path: Path) -> None:
    file = tmp_path / "decision.json"
    file.write_text(json.dumps(now | {"verdict": "reject"}))
    assert run(ReportArgs(merge_request=str(file))) == EXIT_FAILED
    assert run(ReportArgs(merge_request=str(file), fail_on="never")) == EXIT_OK
    assert (tmp_path / "merge_request.md").is_file()
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().tag == "testsuite"


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 1}', "[" * 9999])
def test_what_is_no_decision_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "decision.json"
    file.write_text(text)
    with pytest.raises(UserError, match=r"decision\.json"):
        read_decision(file)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "rejected"),  # no policy would fail it
        (("verdict",), None),
        (("recommended", "runtime"), "DELETED"),
        (("candidates", 0), None),
        (("candidates", 0, "metrics", "size_mb"), "x"),
        (("candidates", 0, "metrics", "size_mb"), 10**400),
    ],
)
def test_a_damaged_decision_is_refused_before_its_policy(
    now: Json, path: list[str], value: Any, tmp_path: Path
) -> None:
    altered = json.loads(json.dumps(now))
    place = altered
    for step in path[:-1]:
        place = place[step]
    if value == "DELETED":
        del place[path[-1]]
    else:
        place[path[-1]] = value
    (tmp_path / "decision.json").write_text(json.dumps(altered))
    with pytest.raises(UserError, match=r"decision\.json"):
        read_decision(tmp_path / "decision.json")


def test_a_rejected_decision_ships_nothing(now: Json) -> None:
    rejected = {**now, "verdict": "reject"}
    assert "Ships: **nothing (" in comment(rejected, None, "")
    assert "the same file" not in comment(rejected, now, "")
