"""What closes the document: how firmly the choice stands, what was skipped, and the risks."""

from __future__ import annotations

from src.decide.sensitivity import Outcome
from src.report.decision import skipped
from src.report.markdown import Raw, escape, table
from src.report.names import short
from src.report.risks import Risk
from src.report.section import MOST_ROWS, Section, runs


class FinalDecision(Section):
    """Sensitivity, skipped and risks."""

    def sensitivity(self, outcomes: list[Outcome]) -> Raw:
        """What is chosen when something small changes."""
        rows: list[list[object]] = [
            [
                self.say(o.scenario),
                self.say("case_same" if not o.changed else "case_other"),
                short(o.recommended) if o.recommended else self.say("case_none"),
                runs([o.recommended.best.trial]) if o.recommended else "—",
            ]
            for o in outcomes
        ]
        columns = [self.say(f"col_{c}") for c in ("case", "choice", "candidate", "runs")]
        return table(columns, rows) if rows else Raw("")

    def skipped(self) -> Raw:
        """What failed or could not be run."""
        found = skipped(self.decision)
        if not found:
            return self.say("none_skipped")
        rows: list[list[object]] = [
            [
                self._where(s["where"]),
                self._stage(s["stage"]),
                s["target"],
                self.say(f"kind_{s['kind']}"),
                self.say("quoted", text=s["reason"]),
            ]
            for s in found[:MOST_ROWS]
        ]
        columns = [self.say(f"col_{c}") for c in ("where", "stage", "target", "kind", "reason")]
        return self.cut(table(columns, rows), len(found), MOST_ROWS)

    def _where(self, places: str) -> Raw:
        """Places as in decision.json, in the document's language."""
        head, found, numbers = places.partition("trial ")
        words = [self.words.say("place_sweep")] if head.startswith("sweep") else []
        return escape(", ".join([*words, *([self.words.say("place_trial", numbers=numbers)] if found else [])]))

    def _stage(self, stage: str) -> Raw:
        key = f"stage_{stage}"
        return self.say(key) if key in self.words.sentences else escape(stage)

    def risks(self, found: list[Risk]) -> Raw:
        """Risks with their evidence and mitigation."""
        rows: list[list[object]] = [
            [self.say(f"level_{r.level}"), self.say(r.evidence), self.say(r.mitigation)] for r in found
        ]
        return table([self.say("col_level"), self.say("col_evidence"), self.say("col_mitigation")], rows)
