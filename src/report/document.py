"""The contents of the document as tables and sentences of one language, ready for the template.

Every figure stands beside the trial and run that it comes from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from src.records import TrialRecord
from src.report.candidates import PERCENTILES, Candidate
from src.report.configurations import Configuration
from src.report.decision import skipped
from src.report.depth import Depth, resolvable
from src.report.difference import difference
from src.report.limits import broken, limits_of
from src.report.markdown import Raw, code, escape, table
from src.report.rank import Ranking, cost
from src.report.risks import Risk, Step
from src.report.sensitivity import sensitivity
from src.report.text import Catalogue, Note, note
from src.report.verdict import Verdict, from_scratch

MOST_ROWS = 25  # of a table in the document; the CSV files hold everything
SPLITS = ("train", "val", "test")
MOST_RUNS = 4  # named in one cell


class Document:
    """Builds the fragments that `decision.md.j2` puts in order."""

    def __init__(
        self, ranking: Ranking, judged: Verdict, risks: list[Risk], steps: list[Step], words: Catalogue
    ) -> None:
        self.ranking, self.judged, self.found, self.steps, self.words = ranking, judged, risks, steps, words

    def say(self, what: Note | str, /, **values: Any) -> Raw:
        """A sentence of the catalogue, escaped."""
        return escape(self.words.say(what, **values))

    def context(self) -> dict[str, Any]:
        """Everything that the template uses."""
        return {
            "say": self.say,
            "sweep": self.ranking.saved.sweep,
            "verdict": self.judged,
            "facts": self.facts(),
            "space": self.space(),
            "limits": self.limits(),
            "recommended": self.recommended(),
            "accuracy": self.accuracy(),
            "worth": self.worth(),
            "chosen_by": self.chosen_by(),
            "configurations": self.configurations(),
            "formats": self.formats(),
            "top": self.top(),
            "risks": self.risks(),
            "steps": {h: [self.say(s.what) for s in self.steps if s.horizon == h] for h in ("short", "medium", "long")},
            "skipped": self.skipped(),
            "depth": Depth(self.ranking, self.words).context(),
            "sensitivity": self.sensitivity(),
            "reasons": [self.say(n) for n in self.judged.reasons],
            "conditions": [self.say(n) for n in self.judged.conditions],
        }

    # --- objectives and constraints

    def facts(self) -> Raw:
        """What was run, on what, and what it cost."""
        sweep, trials = self.ranking.saved.sweep, self.ranking.saved.trials
        states = {s: sum(t.state == s for t in trials) for s in ("complete", "failed", "pruned")}
        rows: list[list[object]] = [
            [self.say("fact_objective"), code(sweep.objective)],
            [self.say("fact_command"), code(sweep.command)],
            [self.say("fact_trials"), self.say("trial_counts", total=len(trials), **states)],
            *self._dataset_rows(),
            *self._machine_rows(),
            [self.say("fact_cost"), self.say("search_cost", hours=self._hours(), wall=self._wall())],
            [self.say("fact_run"), code(sweep.run_id)],
        ]
        if sweep.test_openings:
            opened = note("test_opened", n=len(sweep.test_openings), when=", ".join(sweep.test_openings))
            rows.append([self.say("fact_test"), self.say(opened)])
        return table([self.say("col_what"), self.say("col_value")], rows)

    def _dataset_rows(self) -> Iterable[list[object]]:
        dataset = next((t.dataset for t in self.ranking.saved.trials if t.dataset), None)
        if dataset is None:
            return
        sizes = ", ".join(f"{k} {dataset.split_sizes[k]}" for k in SPLITS if k in dataset.split_sizes)
        names = ", ".join(dataset.class_names[:12]) + (" …" if len(dataset.class_names) > 12 else "")
        yield [
            self.say("fact_dataset"),
            Raw(f"{escape(dataset.name)} ({escape(sizes)}), {code(dataset.fingerprint[:16])}"),
        ]
        yield [self.say("fact_classes"), f"{len(dataset.class_names)}: {names}"]

    def _machine_rows(self) -> Iterable[list[object]]:
        environments = {t.environment.host: t.environment for t in self.ranking.saved.trials}
        for env in environments.values():
            gpu = env.gpu or self.words.say("no_gpu")
            machine = self.say("machine", cpu=env.cpu, cores=env.cores, memory=env.memory_gb, gpu=gpu)
            yield [self.say("fact_machine"), Raw(f"{machine}, {code(env.host[:16])}")]
        if environments:
            env = next(iter(environments.values()))
            names = ("ultralytics", "torch", "onnxruntime", "openvino", "optuna", "mlflow")
            versions = ", ".join(f"{n} {env.libraries[n]}" for n in names if n in env.libraries)
            dirty = f" ({self.words.say('dirty')})" if env.git_dirty else ""
            yield [self.say("fact_software"), f"Python {env.python}" + (f", {versions}" if versions else "")]
            yield [self.say("fact_commit"), Raw(f"{code(env.git_commit[:12])} {escape(dirty)}".rstrip())]
            yield [self.say("fact_lock"), code(env.lock_sha256[:16])]

    def _hours(self) -> float:
        return sum(sum(t.timings_s.values()) for t in self.ranking.saved.trials) / 3600

    def _wall(self) -> float:
        """Hours from the sweep's start to its end, NaN while it runs."""
        sweep = self.ranking.saved.sweep
        try:
            begun, ended = datetime.fromisoformat(sweep.started_at), datetime.fromisoformat(sweep.finished_at)
            return (ended - begun).total_seconds() / 3600
        except (ValueError, TypeError):
            return math.nan

    def space(self) -> Raw:
        """The swept keys."""
        rows: list[list[object]] = [[code(k), code(v)] for k, v in self.ranking.saved.sweep.space.items()]
        return table([self.say("col_key"), self.say("col_values")], rows) if rows else self.say("no_space")

    def limits(self) -> Raw:
        """Hard limits, measured on the winner or on what came closest."""
        judged = self.ranking.winner or self.ranking.closest
        set_limits = limits_of(judged, self.ranking.decision) if judged else []
        if judged is None or not set_limits:
            return self.say("no_limits")
        holds = {True: "yes", False: "no", None: "not_established"}
        rows: list[list[object]] = [
            [
                code(x.key),
                x.metric,
                ("≤ " if x.at_most else "≥ ") + f"{x.limit:g} {x.unit}".rstrip(),
                self.number(x.measured, 4 if not x.unit else 2),
                self.say(holds[x.holds]),
                runs([e.trial for e in judged.evidence]),
            ]
            for x in set_limits
        ]
        return table([self.say(f"col_{c}") for c in ("limit", "metric", "bound", "measured", "holds", "runs")], rows)

    # --- recommended model

    def recommended(self) -> Raw:
        """The configuration and the artifact, with where they are."""
        chosen = self._chosen()
        if chosen is None:
            return self.say("nothing_recommended")
        winner = self.ranking.winner
        rows: list[list[object]] = [
            [self.say("col_model"), f"{chosen.model}, {chosen.imgsz} px, lr {chosen.lr:g}"],
            [self.say("col_seeds"), ", ".join(str(t.seed) for t in chosen.trials)],
            [self.say("col_runs"), runs(list(chosen.trials), most=50)],
        ]
        rows[1:1] = [[code(k), code(v)] for k, v in chosen.extra.items()]
        if winner:
            rows += self._artifact_rows(winner)
        return table([self.say("col_what"), self.say("col_value")], rows)

    def _chosen(self) -> Configuration | None:
        if self.ranking.winner:
            return self.ranking.winner.configuration
        return None if self.ranking.candidates or not self.ranking.finished else self.ranking.finished[0]

    def _artifact_rows(self, winner: Candidate) -> list[list[object]]:
        batch = self.ranking.decision.batch
        rows: list[list[object]] = [
            [self.say("col_format"), f"{winner.format}/{winner.precision}"],
            [self.say("col_runtime"), Raw(f"{escape(winner.runtime)}, {self.say('batch_of', n=batch)}")],
        ]
        if artifact := winner.best.artifact:
            rows.append([self.say("fact_artifact"), code(artifact.path)])
            rows.append([self.say("fact_hash"), code(f"sha256:{artifact.sha256}")])
        return rows

    def accuracy(self) -> Raw:
        """The recommended model's figures with intervals and runs."""
        chosen, winner = self._chosen(), self.ranking.winner
        if chosen is None:
            return Raw("")
        objective = self.ranking.saved.sweep.objective
        rows: list[list[object]] = [
            [self.say("fig_objective", objective=objective), self.interval(chosen.spread), runs(list(chosen.trials))]
        ]
        if winner:
            mine = runs([e.trial for e in winner.evidence])
            rows += [[label, value, mine] for label, value in self._figures(winner)]
        return table([self.say("col_metric"), self.say("col_value"), self.say("col_runs")], rows)

    def _figures(self, c: Candidate) -> Iterable[tuple[Raw, object]]:
        depth = Depth(self.ranking, self.words)
        val, test = c.best.val_depth, c.best.test_depth
        yield (
            self.say("fig_val", target=f"{c.format}/{c.precision}"),
            depth.interval(val) if val else self.number(c.val_map),
        )
        yield self.say("fig_test"), depth.interval(test) if test else self.number(c.test_map)
        if math.isfinite(smallest := resolvable(self.ranking)[0]):
            yield self.say("fig_resolvable"), self.number(smallest)
        if val:
            yield self.say("fig_threshold"), self.number(val.figures.get("threshold"))
        yield self.say("fig_retention"), self.number(100 * c.retention, 2)
        for name in PERCENTILES:
            if name in c.latency:
                yield self.say("fig_latency", name=name), self.latency(c, name)
        yield self.say("fig_throughput"), self.number(c.throughput_ips, 1)
        yield self.say("fig_memory"), self.number(c.memory_mb, 1)
        yield self.say("fig_size"), self.number(c.size_mb, 2)

    def worth(self) -> list[Raw]:
        """How much the figures are worth, said plainly."""
        chosen = self._chosen()
        if chosen is None:
            return []
        dataset = chosen.trials[0].dataset
        checkpoint = chosen.trials[0].checkpoint
        val = dataset.split_sizes.get("val", 0) if dataset else 0
        notes = []
        if checkpoint:
            key = "worth_scratch" if from_scratch(chosen) else "worth_pretrained"
            notes.append(note(key, start=checkpoint.start, epochs=checkpoint.epochs))
        if val:
            notes.append(note("worth_val" if val < 100 else "worth_val_large", n=val))
        notes.append(note("worth_seeds" if len(chosen.trials) > 1 else "worth_one_seed", n=len(chosen.trials)))
        return [self.say(n) for n in notes]

    def chosen_by(self) -> list[Raw]:
        """The steps from all candidates to the one."""
        r = self.ranking
        if r.best is None or r.winner is None:
            return []
        steps = [
            note("chosen_feasible", n=len(r.candidates), k=len(r.feasible)),
            note("chosen_best", label=r.best.label, score=r.best.score.mean),
            note("chosen_tied", n=len(r.tied)),
            note("chosen_cheapest", label=r.winner.label, statistic=r.statistic, value=cost(r.winner, r.statistic)),
        ]
        return [self.say(n) for n in steps]

    # --- comparative analysis

    def configurations(self) -> Raw:
        """Configurations by mean objective."""
        shown = self.ranking.configurations[:MOST_ROWS]
        rows: list[list[object]] = [
            [
                c.label,
                len(c.trials),
                self.interval(c.spread),
                self.number(c.spread.sd, 4),
                self.number(self._test_mean(c)),
                len(c.lost),
                runs(list(c.trials or c.lost)),
            ]
            for c in shown
        ]
        columns = [self.say(f"col_{c}") for c in ("configuration", "seeds", "mean", "sd", "test", "lost", "runs")]
        return self._cut(table(columns, rows), len(self.ranking.configurations))

    def _test_mean(self, c: Configuration) -> float:
        finalists = self.ranking.saved.finalists
        found = [finalists[t.trial].test_metrics.get("test/mAP50-95") for t in c.trials if t.trial in finalists]
        values = [v for v in found if v is not None]
        return math.fsum(values) / len(values) if values else math.nan

    def formats(self) -> Raw:
        """Candidates: configuration x artifact x runtime."""
        if not self.ranking.candidates:
            return self.say("no_candidates")
        rows: list[list[object]] = [self._format_row(c) for c in self.ranking.candidates[:MOST_ROWS]]
        names = (
            "candidate",
            "val",
            "test",
            "gate",
            "latency",
            "throughput",
            "memory",
            "size",
            "feasible",
            "pareto",
            "runs",
        )
        columns = [self.say(f"col_{c}", statistic=self.ranking.statistic) for c in names]
        return self._cut(table(columns, rows), len(self.ranking.candidates))

    def _format_row(self, c: Candidate) -> list[object]:
        r = self.ranking
        lost = ", ".join(broken(c, r.decision))
        verdict = self.say("yes") if c.key in r.feasible else self.say("no_because", limits=lost or "—")
        star = Raw("**") if c is r.winner else Raw("")
        return [
            Raw(f"{star}{escape(c.label)}{star}"),
            self.number(c.val_map),
            self.number(c.test_map),
            c.gate or "—",
            self.latency(c, r.statistic),
            self.number(c.throughput_ips, 1),
            self.number(c.memory_mb, 1),
            self.number(c.size_mb, 2),
            verdict,
            self.say("yes") if c.key in r.pareto else self.say("no"),
            runs([e.trial for e in c.evidence]),
        ]

    def top(self) -> list[dict[str, Any]]:
        """The first three candidates with what speaks for and against each."""
        return [
            {
                "label": escape(c.label),
                "runs": runs([e.trial for e in c.evidence]),
                "pros": [self.say(n) for n in pros(c, self.ranking)] or [self.say("none_found")],
                "cons": [self.say(n) for n in cons(c, self.ranking)] or [self.say("none_found")],
            }
            for c in top_three(self.ranking)
        ]

    def sensitivity(self) -> Raw:
        """What is chosen when something small changes."""
        rows: list[list[object]] = [
            [
                self.say(o.scenario),
                self.say("case_same" if not o.changed else "case_other"),
                o.winner.label if o.winner else self.say("case_none"),
                runs([o.winner.best.trial]) if o.winner else "—",
            ]
            for o in sensitivity(self.ranking)
        ]
        columns = [self.say(f"col_{c}") for c in ("case", "choice", "candidate", "runs")]
        return table(columns, rows) if rows else Raw("")

    def skipped(self) -> Raw:
        """What failed or could not be run."""
        found = skipped(self.ranking)
        if not found:
            return self.say("none_skipped")
        rows: list[list[object]] = [
            [s["where"], s["stage"], s["target"], self.say(f"kind_{s['kind']}"), s["reason"]] for s in found[:MOST_ROWS]
        ]
        columns = [self.say(f"col_{c}") for c in ("where", "stage", "target", "kind", "reason")]
        return self._cut(table(columns, rows), len(found))

    # --- risks

    def risks(self) -> Raw:
        """Risks with their evidence and mitigation."""
        rows: list[list[object]] = [
            [self.say(f"level_{r.level}"), self.say(r.evidence), self.say(r.mitigation)] for r in self.found
        ]
        return table([self.say("col_level"), self.say("col_evidence"), self.say("col_mitigation")], rows)

    # --- cells

    def number(self, value: float | None, digits: int = 3) -> Raw:
        """A number in the document's language."""
        return Raw(self.words.number(value, digits))

    def interval(self, s: Any) -> Raw:
        """Mean with its 95 % interval where there is one."""
        if not math.isfinite(s.low):
            return self.number(s.mean)
        return Raw(f"{self.number(s.mean)} [{self.number(s.low)}; {self.number(s.high)}]")

    def latency(self, c: Candidate, name: str) -> Raw:
        """A latency in ms with its 95 % interval where there is one."""
        value = self.number(c.latency.get(name), 2)
        if name not in c.latency_interval:
            return value
        low, high = c.latency_interval[name]
        return Raw(f"{value} [{self.number(low, 2)}; {self.number(high, 2)}]")

    def _cut(self, text: Raw, total: int) -> Raw:
        more = total - MOST_ROWS
        return Raw(f"{text}\n\n{self.say('more_rows', n=more)}") if more > 0 else text


def runs(trials: list[TrialRecord], most: int = MOST_RUNS) -> Raw:
    """Trials with the start of their run ids."""
    names = [f"T{t.trial}" + (f" {code(t.run_id[:8])}" if t.run_id else "") for t in trials[:most]]
    return Raw(", ".join(names) + (f" +{len(trials) - most}" if len(trials) > most else "") or "—")


def top_three(ranking: Ranking) -> list[Candidate]:
    """The winner, then the best candidates of other configurations, then whatever comes next."""
    order = sorted(ranking.candidates, key=lambda c: c is not ranking.winner)
    seen: set[str] = set()
    first = [c for c in order if not (c.configuration.config_id in seen or seen.add(c.configuration.config_id))]  # type: ignore[func-returns-value]
    return [*first, *(c for c in order if c not in first)][:3]


def pros(c: Candidate, ranking: Ranking) -> list[Note]:
    """What speaks for a candidate."""
    found = []
    if c is ranking.winner:
        found.append(note("pro_winner"))
    if c is ranking.best:
        found.append(note("pro_best", score=c.score.mean))
    known = [o for o in ranking.candidates if o.measured]
    if c.measured and cost(c, ranking.statistic) == min(cost(o, ranking.statistic) for o in known):
        found.append(note("pro_fastest", value=cost(c, ranking.statistic), statistic=ranking.statistic))
    if len(known) > 1 and c.measured and c.size_mb == min(o.size_mb for o in known):
        found.append(note("pro_smallest", value=c.size_mb))
    if c.gate == "pass":
        found.append(note("pro_gate", retention=100 * c.retention))
    if c.key in ranking.pareto:
        found.append(note("pro_pareto"))
    return found


def cons(c: Candidate, ranking: Ranking) -> list[Note]:
    """What speaks against a candidate."""
    found = []
    if c.key not in ranking.feasible:
        lost = ", ".join(broken(c, ranking.decision))
        found.append(note("con_infeasible", limits=lost or "—"))
    if ranking.best is not None and c is not ranking.best and c.verified:
        gap = difference(ranking.best, c, ranking.noise)
        found.append(
            note("con_tied" if not gap.separated else "con_score", delta=gap.delta, low=gap.low, high=gap.high)
        )
    if ranking.winner is not None and c is not ranking.winner and c.measured and ranking.winner.measured:
        ratio = cost(c, ranking.statistic) / cost(ranking.winner, ranking.statistic)
        if ratio > 1:
            found.append(note("con_slower", ratio=ratio, statistic=ranking.statistic))
    if len(c.configuration.trials) < 2:
        found.append(note("con_one_seed"))
    if c.gate in ("warn", "fail"):
        found.append(note("con_gate", loss=100 * c.loss))
    if c.key not in ranking.pareto and c.measured:
        found.append(note("con_dominated"))
    return found
