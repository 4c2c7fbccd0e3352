"""Objectives and constraints: what was run, on what, what it cost, what was searched and what was demanded."""

from __future__ import annotations

from collections.abc import Iterable

from src.common.licences import ANY
from src.decide.candidates import Candidate
from src.decide.licence import licence_of, may_ship
from src.decide.limits import limits_of
from src.decide.machines import device_name, device_record
from src.decide.notes import Note, note
from src.records.schema import Environment
from src.report.markdown import Raw, code, escape, table
from src.report.resource_use import SearchCost, search_cost
from src.report.section import Section, runs

SPLITS = ("train", "val", "test")


class Overview(Section):
    """The first section."""

    def facts(self) -> Raw:
        """What is asked: objective, rule, data, machine, limits of the search."""
        sweep, settings = self.decision.saved.sweep, self.decision.settings
        rule = note("rule", margin=settings.margin, percent=100 * settings.confidence)
        swept = [Raw(f"{code(k)} {escape(v)}") for k, v in sweep.space.items()]
        rows: list[list[object]] = [
            [self.say("fact_objective"), code(sweep.objective)],
            [self.say("fact_rule"), self.say(rule)],
            *self._goal_rows(),
            [self.say("heading_space"), Raw("; ".join(swept)) if swept else self.say("no_space")],
            *self._budget_rows(),
            [self.say("fact_trials"), self._counts()],
            *self._dataset_rows(),
            *self._machine_rows(),
            *self._device_row(),
            *self._rate_row(),
        ]
        return table([self.say("col_what"), self.say("col_value")], rows)

    def _budget_rows(self) -> Iterable[list[object]]:
        """What every training had the same of, where that is no number of epochs."""
        used = [
            t.history[-1]["used_minutes"]
            for t in self.decision.saved.trials
            if t.history[-1:] and "used_minutes" in t.history[-1]
        ]
        minutes = {t.config.get("study", {}).get("minutes") for t in self.decision.saved.trials} - {None}
        if used and minutes:
            epochs = [len(t.history) for t in self.decision.saved.trials if t.history]
            told = note(
                "budget_minutes",
                minutes=", ".join(f"{m:g}" for m in sorted(minutes)),
                low=f"{min(used):.2f}",
                high=f"{max(used):.2f}",
                fewest=min(epochs),
                most=max(epochs),
            )
            yield [self.say("fact_budget"), self.say(told)]

    def _counts(self) -> Raw:
        trials = self.decision.saved.trials
        states = {s: sum(t.state == s for t in trials) for s in ("complete", "failed", "pruned", "infeasible")}
        return self.say("trial_counts", total=len(trials), **states)

    def record(self) -> Raw:
        """How it was run and what it cost: the appendix's table."""
        sweep, spent = self.decision.saved.sweep, search_cost(self.decision.saved)
        rows: list[list[object]] = [
            [self.say("fact_command"), code(sweep.command)],
            [self.say("fact_run"), code(sweep.run_id)],
            *self._class_rows(),
            *self._software_rows(),
            [self.say("fact_cost"), self.say(self._cost(spent))],
            [self.say("fact_energy"), self.say(spent.energy())],
        ]
        if sweep.test_openings:
            opened = note("test_opened", n=len(sweep.test_openings), when=", ".join(sweep.test_openings))
            rows.append([self.say("fact_test"), self.say(opened)])
        return table([self.say("col_what"), self.say("col_value")], rows)

    def _cost(self, spent: SearchCost) -> Note:
        hours = {"hours": spent.trial_hours, "finalists": spent.finalist_hours, "wall": spent.wall_hours}
        return note("search_cost", n=spent.trials, **hours)

    def _goal_rows(self) -> list[list[object]]:
        """What a study of several goals searched for."""
        goals = self.decision.saved.sweep.goals
        return [[self.say("fact_goals"), code(", ".join(goals))]] if len(goals) > 1 else []

    def _dataset_rows(self) -> Iterable[list[object]]:
        dataset = next((t.dataset for t in self.decision.saved.trials if t.dataset), None)
        if dataset is not None:
            sizes = ", ".join(f"{k} {dataset.split_sizes[k]}" for k in SPLITS if k in dataset.split_sizes)
            named = f"{escape(dataset.name)} ({escape(sizes)}), {code(dataset.fingerprint[:16])}"
            yield [self.say("fact_dataset"), Raw(named)]

    def _class_rows(self) -> Iterable[list[object]]:
        dataset = next((t.dataset for t in self.decision.saved.trials if t.dataset), None)
        if dataset is not None:
            names = ", ".join(dataset.class_names[:12]) + (" …" if len(dataset.class_names) > 12 else "")
            yield [self.say("fact_classes"), f"{len(dataset.class_names)}: {names}"]

    def _machine_rows(self) -> Iterable[list[object]]:
        environments = {t.environment.host: t.environment for t in self.decision.saved.trials}
        for env in environments.values():
            yield [self.say("fact_machine"), self._machine(env)]

    def _device_row(self) -> Iterable[list[object]]:
        """The device whose measurements decide, where that is not the machine of the sweep."""
        name, record = device_name(self.decision.settings), device_record(self.decision.saved, self.decision.settings)
        if name is not None and record is None:
            yield [self.say("fact_decided_on"), self.say("not_measured_yet", device=name)]
        elif record is not None:
            yield [self.say("fact_decided_on"), Raw(f"{escape(record.device)}: {self._machine(record.environment)}")]

    def _rate_row(self) -> Iterable[list[object]]:
        """The rate that prices follow from, and what a price is that of."""
        settings = self.decision.settings
        if settings.price_per_hour is not None:
            scope = note(f"scope_{settings.scope}")
            values = {"rate": f"{settings.price_per_hour:g}", "currency": settings.currency, "batch": settings.batch}
            yield [self.say("fact_rate"), self.say("rate", scope=scope, **values)]

    def _machine(self, env: Environment) -> Raw:
        gpu = env.gpu or self.words.say("no_gpu")
        machine = self.say("machine", cpu=env.cpu, cores=env.cores, memory=env.memory_gb, gpu=gpu)
        return Raw(f"{machine}, {code(env.host[:16])}")

    def _software_rows(self) -> Iterable[list[object]]:
        env = next((t.environment for t in self.decision.saved.trials), None)
        if env is None:
            return
        versions = ", ".join(f"{name} {version}" for name, version in env.libraries.items())
        dirty = f" ({self.words.say('dirty')})" if env.git_dirty else ""
        yield [self.say("fact_software"), f"Python {env.python}" + (f", {versions}" if versions else "")]
        yield [self.say("fact_commit"), Raw(f"{code(env.git_commit[:12])} {escape(dirty)}".rstrip())]
        yield [self.say("fact_lock"), code(env.lock_sha256[:16])]

    def unit(self, unit: str) -> str:
        """A unit in the document's language."""
        return self.words.say("unit_mb") if unit == "MB" else unit

    def limits(self) -> Raw:
        """Hard limits, measured on the winner or on what came closest."""
        judged = self.decision.recommended or self.decision.closest
        set_limits = limits_of(judged, self.decision.settings) if judged else []
        licence = self._licence(judged) if judged is not None else []
        if judged is None or not (set_limits or licence):
            return self.say("no_limits")
        holds = {True: "yes", False: "no", None: "not_established"}
        rows: list[list[object]] = [
            [
                code(x.key),
                self.say(x.metric),
                ("≤ " if x.at_most else "≥ ") + f"{self.words.plain(x.limit)} {self.unit(x.unit)}".rstrip(),
                self.number(x.measured, 4 if not x.unit else 2),
                self.say(holds[x.holds]),
                runs([e.trial for e in judged.evidence]),
            ]
            for x in set_limits
        ]
        heads = [self.say(f"col_{c}") for c in ("limit", "metric", "bound", "measured", "holds", "runs")]
        return table(heads, rows + licence)

    def _licence(self, judged: Candidate) -> list[list[object]]:
        """The limit on licences as a row, where there is one."""
        limit = self.decision.settings.licence
        if limit == ANY:
            return []
        told = licence_of(judged) or self.say("not_established")
        holds = self.say("yes" if may_ship(judged, self.decision.settings) else "no")
        words = limit if isinstance(limit, str) else ", ".join(limit)
        return [
            [code("licence"), self.say("limit_licence"), words, told, holds, runs([e.trial for e in judged.evidence])]
        ]
