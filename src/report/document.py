"""The contents of the document and of its appendix as tables and sentences of one language, ready for the templates.

Every figure stands beside the trial and run that it comes from, and in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from src.decide.choice import Decision
from src.decide.sensitivity import Outcome, sensitivity
from src.decide.verdict import Verdict, verdict
from src.report.comparative import Comparative
from src.report.devices import Devices
from src.report.final_decision import FinalDecision
from src.report.in_depth import InDepthTables
from src.report.layers import Layers
from src.report.looks import Looks
from src.report.overview import Overview
from src.report.page_one import PageOne
from src.report.recommended import Recommended
from src.report.risks import Risk, Step, next_steps, risks
from src.report.rungs import Rungs
from src.report.section import MOST_ROWS, MOST_SHOWN
from src.report.text import Catalogue


@dataclass(frozen=True)
class Judged:
    """A decision with all that follows from it, worked out once for every file of the report."""

    decision: Decision
    verdict: Verdict
    risks: list[Risk]
    steps: list[Step]
    outcomes: list[Outcome]


def judge(decision: Decision) -> Judged:
    """Work out what follows from a decision."""
    judged, found = verdict(decision), risks(decision)
    return Judged(decision, judged, found, next_steps(decision, judged, found), sensitivity(decision))


def contents(judged: Judged, words: Catalogue) -> dict[str, Any]:
    """The fragments that `decision.md.j2` puts in order."""
    decision, word = judged.decision, judged.verdict.word
    page, overview, recommended = PageOne(decision, words), Overview(decision, words), Recommended(decision, words)
    comparative, closing, say = Comparative(decision, words), FinalDecision(decision, words), page.say
    machines = Devices(decision, words)
    return {
        "say": say,
        "sweep": decision.saved.sweep,
        "verdict": judged.verdict,
        "sentence": page.sentence(judged.verdict),
        "rows": page.rows() if word != "reject" else "",  # nothing of it is recommended
        "reading": page.reading(),
        "closed": Looks(decision, words).sentence(),
        "open": page.open(),
        "command": page.command(),
        "changes": page.changes(judged.outcomes) if word != "reject" else [],
        "facts": overview.facts(),
        "limits": overview.limits(),
        "recommended": recommended.recommended(),
        "recommended_in_vain": word == "reject" and decision.recommended is not None,
        "worth": recommended.worth(),
        "configurations": comparative.configurations(),
        "unstable": comparative.unstable(),
        "confirmed": comparative.confirmed(),
        "latencies": comparative.latencies(),
        "front": comparative.on_front(),
        "recovery": comparative.recovery(),
        "devices": machines.table(),
        "devices_notes": machines.notes(),
        "turnovers": machines.turnovers(),
        "across": machines.across(),
        "for_all": machines.for_all(),
        "risks": closing.risks(judged.risks),
        "steps": {h: [say(s.what) for s in judged.steps if s.horizon == h] for h in ("short", "medium", "long")},
        "reasons": [say(n) for n in judged.verdict.reasons],
        "conditions": [say(n) for n in judged.verdict.conditions],
    }


def appendix(judged: Judged, words: Catalogue) -> dict[str, Any]:
    """The fragments that `appendix.md.j2` puts in order."""
    decision = judged.decision
    comparative, closing = Comparative(decision, words), FinalDecision(decision, words)
    return {
        "say": comparative.say,
        "sweep": decision.saved.sweep,
        "record": Overview(decision, words).record(),
        "configurations": comparative.configurations(MOST_ROWS) if len(decision.configurations) > MOST_SHOWN else "",
        "candidates": comparative.candidates(),
        "latencies": comparative.latencies(MOST_ROWS) if len(decision.candidates) > MOST_SHOWN + 1 else "",
        "looks": Looks(decision, words).table(),
        "rungs": Rungs(decision, words).table(),
        "layers": Layers(decision, words).table(),
        "layers_intro": Layers(decision, words).title(),
        "attempts": Layers(decision, words).attempts(),
        "depth": InDepthTables(decision, words).context(),
        "top": comparative.top(),
        "trends": Recommended(decision, words).trends(),
        "study": comparative.study(),
        "sensitivity": closing.sensitivity(judged.outcomes),
        "skipped": closing.skipped(),
    }
