"""The run of a bundle: accuracy of every candidate, then interleaved rounds; whatever is finished is kept."""

from __future__ import annotations

import argparse
import base64
import dataclasses
import os
import random
import time
import zipfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from src.benchmark.bundle import plan as plans
from src.benchmark.bundle.available import available, missing_module
from src.benchmark.bundle.plan import Candidate
from src.benchmark.bundle.references import locate
from src.benchmark.bundle.results import FILE, Found, Problem, Results, save_results
from src.benchmark.bundle.said import estimate_lines, introduction, say, table
from src.benchmark.bundle.work import Answer, State, Work
from src.benchmark.measure import Setting, measure_block, predict, zero_of
from src.benchmark.pictures import key_of
from src.benchmark.rounds import Effort, Rounds
from src.benchmark.summary import Blocks
from src.common import backends
from src.common.errors import EXIT_FAILED, EXIT_OK, StageError, Unavailable, UserError, stop_if_full
from src.inference import spec_of
from src.machine.environment import cores, environment
from src.machine.heat import facts_of


class Run:
    """One run of a bundle."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.plan, self.sha256 = plans.read_plan(folder)
        self.into = Path(options.into) if options.into else folder
        self.work = Work(self.into / "work")
        self.device: str = options.device or self.plan.device
        self.threads: int = (self.plan.threads if options.threads is None else options.threads) or cores()
        self.problems: list[Problem] = []
        # What would be done can be told without the pictures.
        self.images = [] if options.plan else locate(self.plan, folder, options.pictures)

    def work_through(self) -> int:
        """Say what will be done, do it, and write the results."""
        plans.check_processor(self.device)
        most = os.cpu_count() or self.threads
        if not 1 <= self.threads <= most:
            raise UserError(
                "--threads must be at least 1, and at most the cores of this machine",
                value=self.threads,
                remedy=f"--threads {most} or fewer",
            )
        if broken := plans.altered(self.plan, self.folder):
            more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
            raise UserError(
                "a file of the bundle is missing or was altered", value=broken[0] + more, remedy="copy the bundle again"
            )
        for line in introduction(self.plan, environment()):
            say(line)
        here, self.problems = available(self.plan)
        for line in estimate_lines(self.plan, here):
            say(line)
        if self.options.plan:
            return EXIT_OK
        if not here:
            raise UserError(
                "none of the runtimes that the bundle needs is to be had here",
                value=", ".join(sorted({c.runtime for c in self.plan.candidates})),
                remedy=f"python -m pip install {' '.join(sorted(set(self.plan.packages.values())))}",
            )
        if self.options.fresh:
            with self.work.held():
                pass
            self.work.clear()
        with self.work.held():
            return self._measure(here)

    def _measure(self, here: Sequence[Candidate]) -> int:
        state = self.work.begin(self._state(here))
        if state.finished:
            say("this run is finished; --fresh measures again")
        elif len(state.starts) > 1:
            say(f"goes on with the run of {state.starts[0]}")
        taking_part = [c for c in here if c.id in state.candidates]
        self._late([c for c in here if c.id not in state.candidates])
        detections = {c.id: kept for c in taking_part if (kept := self._accuracy(c)) is not None}
        blocks = [self._blocks(c) for c in taking_part if c.id in detections]
        done = self._rounds(blocks) if blocks else []
        zeros = {str(size): self._zero(block) for size, block in self._by_size(done).items()}
        results = self._results(state, done, detections, zeros)
        save_results(self.into / FILE, results)
        self.work.finish(state)
        for line in table(done, self.problems):
            say(line)
        for name, fact in results.facts.items():
            say(f"{name}: {fact}")
        say(f"written to {self.into / FILE}")
        return EXIT_OK if done else EXIT_FAILED

    def _state(self, here: Sequence[Candidate]) -> State:
        """What this run is, to be compared with an earlier one that it may go on with."""
        machine = environment()
        names = {name for c in here for group in backends.engine_facts(c.runtime).packages for name in group}
        return State(
            bundle_sha256=self.sha256,
            host=machine.host,
            python=machine.python,
            libraries={
                name: machine.libraries[name] for name in sorted(names | {"numpy"}) if name in machine.libraries
            },
            options={"device": self.device, "threads": str(self.threads)},
            candidates=[c.id for c in here],
        )

    def _late(self, candidates: Sequence[Candidate]) -> None:
        """Runtimes that came after the run began are told, not measured beside rounds that are over."""
        for candidate in candidates:
            reason = "its runtime was not there when the run began; --fresh measures it too"
            self.problems.append(Problem("benchmark", candidate.target, "unavailable", reason))

    def _failed(self, error: Exception) -> Answer:
        """What did not happen and why; for want of room the run stops instead."""
        stop_if_full(self.work.folder, error)
        message = error.message if isinstance(error, StageError) else str(error)
        return {"failed": message[:500], "unavailable": isinstance(error, Unavailable)}

    def _list(self, stage: str, target: str, failed: Answer) -> None:
        """Keep a failure for the results."""
        kind = "unavailable" if failed["unavailable"] else "error"
        self.problems.append(Problem(stage, target, kind, str(failed["failed"])))

    def _accuracy(self, candidate: Candidate) -> Path | None:
        """The detections of a candidate on the pictures; None where it failed."""
        out = self.work.path(f"detections-{candidate.id}.npz")
        if not zipfile.is_zipfile(out):  # a file system may have lost a part of it with the power
            say(f"accuracy · {candidate.label} · {candidate.target}")
            artifact = self.plan.artifact(candidate, self.folder)
            images = [str(path) for path in self.images] or [""] * len(self.plan.pictures)
            pictures = self._fitted().get(key_of(spec_of(artifact)[0]), "")
            try:
                predict(
                    artifact,
                    candidate.runtime,
                    images,
                    device=self.device,
                    threads=self.threads,
                    out=out,
                    pictures=pictures,
                )
            except (StageError, Unavailable, UserError) as error:
                self._list("verify", candidate.target, self._failed(error))
                return None
        return out

    def _fitted(self) -> dict[str, str]:
        return {key: str(self.folder / file) for key, file in self.plan.fitted.items()}

    def _blocks(self, candidate: Candidate) -> Blocks:
        return Blocks(self.plan.artifact(candidate, self.folder), candidate.runtime, label=candidate.label)

    def _setting(self) -> Setting:
        """What all blocks share."""
        ring = [str(path) for path in self.images] or [str(self.folder / file) for file in self.plan.ring]
        decodes = bool(ring) and not missing_module("cv2")
        if not decodes:
            reason = "the time from file to boxes takes OpenCV, which is not installed (opencv-python-headless)"
            problem = Problem("benchmark", "end_to_end", "unavailable", reason)
            if problem not in self.problems:
                self.problems.append(problem)
        return Setting(
            self.plan.times,
            ring if decodes else [],
            self.device,
            self.threads,
            False,
            decodes,
            self.plan.part,
            self._fitted(),
        )

    def _rounds(self, blocks: Sequence[Blocks]) -> list[Blocks]:
        plan, setting = self.plan, self._setting()
        ids = {(c.artifact["sha256"], c.runtime): c.id for c in plan.candidates}

        def measured(block: Blocks) -> Answer | None:
            def make() -> Answer:
                begun = time.perf_counter()
                try:
                    answer = measure_block(block, setting)
                    # With the block, since rounds that go on after an interruption reckon with it.
                    return {**answer, "took_s": time.perf_counter() - begun}
                except (StageError, Unavailable, UserError) as error:
                    return self._failed(error)

            answer = self.work.next_block(ids[block.artifact.sha256, block.runtime], make)
            if "failed" not in answer:
                return answer
            self._list("benchmark", block.target, answer)
            return None

        effort = Effort(plan.times.rounds, plan.times.precision, plan.times.extra_seconds, plan.statistic, plan.part)
        return Rounds(blocks, effort, measured, say, random.Random(plan.seed)).run()

    def _by_size(self, blocks: Sequence[Blocks]) -> dict[int, Blocks]:
        return {block.artifact.input_shape[-1]: block for block in reversed(blocks)}

    def _zero(self, block: Blocks) -> float:
        """Peak of a process without an engine, MB."""
        size = block.artifact.input_shape[-1]
        return float(self.work.once(f"zero-{size}", lambda: {"peak_mb": zero_of(block, self._setting())})["peak_mb"])

    def _results(
        self,
        state: State,
        done: Sequence[Blocks],
        detections: dict[str, Path],
        zeros: dict[str, float],
    ) -> Results:
        by_key = {(b.artifact.sha256, b.runtime): b for b in done}
        found = []
        for candidate in self.plan.candidates:
            block = by_key.get((candidate.artifact["sha256"], candidate.runtime))
            if candidate.id in detections:
                found.append(
                    Found(
                        candidate.id,
                        candidate.artifact["sha256"],
                        candidate.runtime,
                        block.answers if block else [],
                        block.retakes if block else 0,
                        base64.b64encode(detections[candidate.id].read_bytes()).decode("ascii"),
                    )
                )
        return Results(
            protocol=self.plan.protocol,
            bundle_sha256=self.sha256,
            sweep=self.plan.sweep,
            started_at=state.starts[0],
            finished_at=now(),
            environment=dataclasses.asdict(environment()),
            device=self.device,
            threads=self.threads,
            zeros=zeros,
            candidates=found,
            problems=self.problems,
            facts=facts(state, done),
        )


def facts(state: State, done: Sequence[Blocks]) -> dict[str, str]:
    """What is worth knowing of a run beside its figures."""
    parts = [part for block in done for answer in block.answers for key, part in answer.items() if "/" in key]
    out = facts_of([part["heat"] for part in parts if part.get("heat")])
    if len(state.starts) > 1:
        out["interruptions"] = f"{len(state.starts) - 1}: started again at {', '.join(state.starts[1:])}"
    return out


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
