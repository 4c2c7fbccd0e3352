"""The outcome of a live comparison moves aliases only through the gates, and restores them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.monitor.experiment import Experiment
from src.monitor.outcome import Outcome, conclude, load_outcome
from src.monitor.plan import ExperimentPlan
from src.monitor.profile import NAME
from src.promote.__main__ import PromoteArgs, promote, run
from src.promote.gates import GateResult
from src.promote.live import conclude as act
from src.promote.live import rule_of
from src.promote.recorded_model import RecordedModel
from src.promote.registry import CHALLENGER, CHAMPION, PREVIOUS, REFERENCE, Registry
from src.report import load_decision
from tests.monitor.test_experiment import run as serve
from tests.promote.test_promote import judged, sweep_with_model

SPEAKS_FOR = Outcome("autumn", "1", "2", "better", "promote", "The challenger is better.")
SPEAKS_AGAINST = replace(SPEAKS_FOR, verdict="worse", advice="restore", said="The challenger is worse.")


class Kept(Registry):
    """A registry in memory."""

    def __init__(self, models: dict[str, RecordedModel], champion: str = "1", challenger: str = "2") -> None:
        self.name = "detsweep"
        self.aliases = {CHAMPION: champion, REFERENCE: "1", CHALLENGER: challenger}
        self.models = models
        self.tags = {
            v: {"gate.verdict": "passed: approve", "gate.loads": "passed: yes", "margin": "0.03"} for v in models
        }

    def version_of(self, alias: str) -> str | None:
        return self.aliases.get(alias)

    def recorded(self, version: str) -> RecordedModel:
        return self.models[version]

    def tags_of(self, version: str) -> dict[str, str]:
        return self.tags[version]

    def use_of(self, split: str, comparison: str) -> int:
        return 1

    def tag(self, version: str, gates: list[GateResult], tags: Any) -> None:
        self.tags[version] |= {f"gate.{g.name.replace(' ', '_')}": "passed" if g.passed else "failed" for g in gates}

    def promote(self, version: str, *, reference: bool = False) -> None:
        self.aliases |= {PREVIOUS: self.aliases[CHAMPION], CHAMPION: version}
        if reference:
            self.aliases[REFERENCE] = version

    def rollback(self) -> tuple[str, str]:
        old = self.aliases[CHAMPION]
        self.aliases |= {CHAMPION: self.aliases[PREVIOUS], PREVIOUS: old}
        return self.aliases[CHAMPION], old

    def end_challenge(self, version: str) -> bool:
        return self.aliases.get(CHALLENGER) == version and self.aliases.pop(CHALLENGER) == version


def better() -> Kept:
    return Kept({"1": judged(0.5, "a"), "2": judged(0.6)})


def test_a_challenger_that_passes_every_gate_becomes_the_champion() -> None:
    registry = better()
    assert act(registry, SPEAKS_FOR) == 0
    assert registry.aliases == {CHAMPION: "2", PREVIOUS: "1", REFERENCE: "2"}
    assert registry.tags["2"]["gate.live"] == "passed"


@pytest.mark.parametrize("tag", ["gate.verdict", "gate.loads"])
def test_a_gate_that_failed_at_registration_still_holds(tag: str) -> None:
    registry = better()
    registry.tags["2"][tag] = "failed: no"
    assert act(registry, SPEAKS_FOR) == 1
    assert registry.aliases[CHAMPION] == "1"


def test_a_live_verdict_does_not_replace_the_gates_on_test() -> None:
    registry = Kept({"1": judged(0.5, "a"), "2": judged(0.4)})
    assert act(registry, SPEAKS_FOR) == 1
    assert registry.aliases[CHAMPION] == "1"


def test_old_gates_against_the_champion_are_judged_again() -> None:
    registry = better()
    registry.tags["2"]["gate.accuracy_against_champion"] = "failed: then"
    assert act(registry, SPEAKS_FOR) == 0


def test_nothing_moves_while_the_comparison_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    registry = better()
    before = dict(registry.aliases)
    assert act(registry, replace(SPEAKS_FOR, verdict="open", advice="wait")) == 1
    assert registry.aliases == before
    assert "no alias was moved" in capsys.readouterr().out


def test_advice_that_its_verdict_does_not_bear_fails_its_gate() -> None:
    registry = better()
    assert act(registry, replace(SPEAKS_FOR, verdict="open")) == 1
    assert registry.aliases[CHAMPION] == "1"


def test_an_outcome_against_the_challenger_takes_its_alias_or_restores_the_champion() -> None:
    registry = better()
    assert act(registry, SPEAKS_AGAINST) == 0
    assert registry.aliases == {CHAMPION: "1", REFERENCE: "1"}
    registry.promote("2")
    assert act(registry, SPEAKS_AGAINST) == 0
    assert registry.aliases[CHAMPION] == "1"


def test_an_old_outcome_does_not_end_the_challenge_of_another_version(capsys: pytest.CaptureFixture[str]) -> None:
    registry = Kept({"1": judged(0.5), "2": judged(0.6), "3": judged(0.7)}, challenger="3")
    assert act(registry, SPEAKS_AGAINST) == 0
    assert registry.aliases[CHALLENGER] == "3"
    assert "no alias was moved" in capsys.readouterr().out


def test_an_outcome_against_another_champion_is_refused() -> None:
    with pytest.raises(UserError, match="not the one of the live comparison"):
        act(Kept({"1": judged(0.5), "2": judged(0.6), "3": judged(0.7)}, champion="3"), SPEAKS_FOR)


def test_a_version_without_gates_is_refused() -> None:
    registry = better()
    registry.tags["2"] = {}
    with pytest.raises(UserError, match="has passed no gate"):
        act(registry, SPEAKS_FOR)


def test_the_rule_is_the_decisions() -> None:
    assert rule_of({"margin": "0.02", "confidence": "0.9"}).margin == 0.02
    assert (rule_of({}).margin, rule_of({}).confidence) == (0.01, 0.95)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"outcome": "none.json"}, "outcome can't be read"), ({"outcome": "x", "rollback": True}, "exclude each other")],
)
def test_arguments_that_make_no_sense(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        run(PromoteArgs(outputs=str(tmp_path), **changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_from_a_sweep_through_a_live_comparison_to_the_champion_and_back(tmp_path: Path) -> None:
    """With a real store: it waits, its labels speak for it, the gates let it through, and it is restored."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry = Registry(uri, "detsweep")
    experiment = registry.client.create_experiment("detsweep", artifact_location=(tmp_path / "artifacts").as_uri())
    runs = [registry.client.create_run(experiment).info.run_id for _ in range(4)]
    better_sweep = load_decision(sweep_with_model(tmp_path, "better", runs[2:], 0.6, 0.2))
    with pytest.raises(UserError, match="no champion to challenge"):
        promote(better_sweep, registry, challenger=True)
    assert promote(load_decision(sweep_with_model(tmp_path, "first", runs[:2], 0.5, 0.0)), registry) == 0
    assert promote(better_sweep, registry, challenger=True) == 0
    assert [registry.version_of(a) for a in (CHAMPION, CHALLENGER)] == ["1", "2"]
    registry.model_of("1", tmp_path / "registered")
    assert not list((tmp_path / "registered").rglob(NAME)), "the factory's sweep has no pictures"

    folder = tmp_path / "live"
    serve(Experiment(folder, ExperimentPlan("autumn", "1", "2", mode="shadow")), 200, 0.5, 0.9)
    assert conclude(folder, None, None) == 0
    args = PromoteArgs(outcome=str(folder / "outcome" / "outcome.json"), outputs=str(tmp_path))
    args.tracking.uri = uri
    assert run(args) == 0
    assert [registry.version_of(a) for a in (CHAMPION, CHALLENGER, PREVIOUS)] == ["2", None, "1"]
    tags = registry.tags_of("2")
    assert tags["gate.live"].startswith("passed: The challenger is better")
    assert tags["experiment"] == "autumn"

    worse = tmp_path / "later"
    serve(Experiment(worse, ExperimentPlan("winter", "1", "2", mode="shadow")), 200, 0.9, 0.3)
    conclude(worse, None, None)
    assert load_outcome(worse / "outcome" / "outcome.json").advice == "restore"
    args.outcome = str(worse / "outcome" / "outcome.json")
    assert run(args) == 0
    assert registry.version_of(CHAMPION) == "1"
