"""What speaks for and against the first candidates, each a statement found in the evidence."""

from __future__ import annotations

from src.decide.candidates import Candidate
from src.decide.choice import Decision
from src.decide.limits import broken
from src.decide.notes import Note, note
from src.decide.speed import cost
from src.decide.uncertainty import gap


def top_three(ranking: Decision) -> list[Candidate]:
    """The winner, then the best candidates of other configurations, then whatever comes next."""
    order = sorted(ranking.candidates, key=lambda c: c is not ranking.recommended)
    seen: set[str] = set()
    first = [c for c in order if not (c.configuration.config_id in seen or seen.add(c.configuration.config_id))]  # type: ignore[func-returns-value]
    return [*first, *(c for c in order if c not in first)][:3]


def pros(c: Candidate, ranking: Decision) -> list[Note]:
    """What speaks for a candidate."""
    found = []
    if c is ranking.recommended:
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


def cons(c: Candidate, ranking: Decision) -> list[Note]:
    """What speaks against a candidate."""
    found = []
    if c.key not in ranking.feasible:
        lost = ", ".join(broken(c, ranking.settings))
        found.append(note("con_infeasible", limits=lost or "—"))
    if ranking.best is not None and c is not ranking.best and c.verified:
        lead = gap(ranking.best.model, c.model)
        low, high = lead.bounds(ranking.level)
        found.append(note("con_score" if low > 0 else "con_tied", delta=lead.delta, low=low, high=high))
    if ranking.recommended is not None and c is not ranking.recommended and c.measured and ranking.recommended.measured:
        ratio = cost(c, ranking.statistic) / cost(ranking.recommended, ranking.statistic)
        if ratio > 1:
            found.append(note("con_slower", ratio=ratio, statistic=ranking.statistic))
    if len(c.configuration.trials) < 2:
        found.append(note("con_one_seed"))
    if c.gate in ("warn", "fail"):
        found.append(note("con_gate", loss=100 * c.loss))
    if c.key not in ranking.pareto and c.measured:
        found.append(note("con_dominated"))
    return found
