"""What speaks for and against the first candidates, each a statement found in the evidence."""

from __future__ import annotations

from collections.abc import Callable

from src.decide.candidates import Candidate
from src.decide.choice import Comparison, Decision
from src.decide.notes import Note, note
from src.decide.speed import compare_speed, cost


def top_three(decision: Decision) -> list[Candidate]:
    """The winner, then the best candidates of other configurations, then whatever comes next."""
    order = sorted(decision.candidates, key=lambda c: c is not decision.recommended)
    seen: set[str] = set()
    first = [c for c in order if not (c.configuration.config_id in seen or seen.add(c.configuration.config_id))]  # type: ignore[func-returns-value]
    return [*first, *(c for c in order if c not in first)][:3]


def pros(c: Candidate, decision: Decision) -> list[Note]:
    """What speaks for a candidate."""
    found = []
    if c is decision.recommended:
        found.append(note("pro_winner"))
    if c is decision.best:
        found.append(note("pro_best"))
    known = [o for o in decision.candidates if o.measured]
    if c.measured and cost(c, decision.statistic) == min(cost(o, decision.statistic) for o in known):
        found.append(note("pro_fastest", value=cost(c, decision.statistic), statistic=decision.statistic))
    if len(known) > 1 and c.measured and c.size_mb == min(o.size_mb for o in known):
        found.append(note("pro_smallest", value=c.size_mb))
    if c.gate == "pass":
        found.append(note("pro_gate", retention=100 * c.retention))
    if c.key in decision.pareto:
        found.append(note("pro_pareto"))
    return found


def cons(
    c: Candidate, decision: Decision, gap: Callable[[Comparison], str], refusal: Callable[[Candidate], str]
) -> list[Note]:
    """What speaks against a candidate; `gap` writes how far it lies below the best, `refusal` why it can't ship."""
    notes = []
    if c.key not in decision.feasible:
        notes.append(note("con_infeasible", limits=refusal(c)))
    compared = decision.comparison(c)
    if compared is not None and not compared.within:
        key = "con_open" if compared.deficit.status == "open" else "con_worse"
        notes.append(note(key, gap=gap(compared)))
    chosen = decision.recommended
    speed = compare_speed(c, chosen, decision.statistic) if chosen and c is not chosen else None
    if speed is not None and speed.verdict == "slower":
        notes.append(note("con_slower", ratio=speed.ratio, statistic=decision.statistic))
    if len(c.configuration.trials) < 2:
        notes.append(note("con_one_seed"))
    if c.gate in ("warn", "fail"):
        notes.append(note("con_gate", loss=100 * c.loss))
    if c.key not in decision.pareto and c.measured:
        notes.append(note("con_dominated"))
    return notes
