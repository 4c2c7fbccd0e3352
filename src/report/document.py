"""The contents of the document as tables and sentences of one language, ready for the template.

Every figure stands beside the trial and run that it comes from.
"""

from __future__ import annotations

from typing import Any

from src.decide.choice import Decision
from src.decide.verdict import Verdict
from src.report.closing import Closing
from src.report.comparative import Comparative
from src.report.depth import Depth
from src.report.overview import Overview
from src.report.recommended import Recommended
from src.report.risks import Risk, Step
from src.report.text import Catalogue


def contents(
    ranking: Decision, judged: Verdict, found: list[Risk], steps: list[Step], words: Catalogue
) -> dict[str, Any]:
    """The fragments that `decision.md.j2` puts in order."""
    overview, recommended = Overview(ranking, words), Recommended(ranking, words)
    comparative, closing = Comparative(ranking, words), Closing(ranking, words)
    say = overview.say
    return {
        "say": say,
        "sweep": ranking.saved.sweep,
        "verdict": judged,
        "facts": overview.facts(),
        "space": overview.space(),
        "limits": overview.limits(),
        "recommended": recommended.recommended(),
        "recommended_in_vain": judged.word == "reject" and bool(recommended.accuracy()),
        "accuracy": recommended.accuracy(),
        "worth": recommended.worth(),
        "trends": recommended.trends(),
        "chosen_by": recommended.chosen_by(),
        "configurations": comparative.configurations(),
        "confirmed": comparative.confirmed(),
        "study": comparative.study(),
        "formats": comparative.formats(),
        "recovery": comparative.recovery(),
        "top": comparative.top(),
        "risks": closing.risks(found),
        "steps": {h: [say(s.what) for s in steps if s.horizon == h] for h in ("short", "medium", "long")},
        "skipped": closing.skipped(),
        "depth": Depth(ranking, words).context(),
        "sensitivity": closing.sensitivity(),
        "reasons": [say(n) for n in judged.reasons],
        "conditions": [say(n) for n in judged.conditions],
    }
