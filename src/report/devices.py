"""Devices side by side: what every candidate costs on each, where a ranking turns over, and one model for all."""

from __future__ import annotations

from dataclasses import replace

from src.common.speed import Comparison as Speed
from src.common.speed import compare_rounds
from src.config.devices import OWN
from src.decide.across import OnDevice, Price
from src.decide.candidates import Candidate, candidates
from src.decide.choice import Decision, Key
from src.decide.speed import rounds_of
from src.decide.turnover import Turnover, turnovers
from src.report.markdown import Raw, escape, table
from src.report.names import short
from src.report.running_costs import RunningCosts
from src.report.section import MOST_SHOWN, Section

MOST_TURNOVERS = 5  # sentences in the document
TWO_SIDED = 0.975  # each bound of a 95 % interval


def machines(decision: Decision) -> dict[str, list[Candidate]]:
    """The candidates that are shown, as every machine measured them, the sweep's own first; {} without devices."""
    saved, settings = decision.saved, replace(decision.settings, devices=None)
    if not saved.devices:
        return {}
    first = list(dict.fromkeys([*_ranked(decision), *_chosen(decision)]))
    found = {}
    for name in (OWN, *sorted(saved.devices)):
        there = candidates(decision.configurations, saved, replace(settings, device=name), decision.models)
        by_key = {c.key: c for c in there}
        found[name] = [by_key[key] for key in first if key in by_key]
    return found


def _ranked(decision: Decision) -> list[Key]:
    """The first of the candidates that some device measured. How fast they are there has no part in it."""
    known = {(m.artifact_sha256, m.runtime) for d in decision.saved.devices.values() for m in d.measurements}
    files = [(c.key, {(e.artifact.sha256, c.runtime) for e in c.evidence if e.artifact}) for c in decision.candidates]
    return [key for key, pairs in files if pairs & known][:MOST_SHOWN]


def _chosen(decision: Decision) -> list[Key]:
    """What is recommended, for all devices or for one."""
    alone = [d.choice.recommended for d in decision.across.devices] if decision.across else []
    return [c.key for c in (decision.recommended, *alone) if c is not None]


def turned_over(decision: Decision, found: dict[str, list[Candidate]]) -> list[Turnover]:
    """Where rankings turn over; what is shown for its speed alone is left out, since that would pick what is tested."""
    n = len(_ranked(decision))
    return turnovers({name: [rounds_of(c, decision.statistic) for c in there[:n]] for name, there in found.items()})


def against_own(c: Candidate, own: Candidate, statistic: str) -> Speed | None:
    """Latency on a device over that on the sweep's machine: rounds of two machines are independent."""
    here, there = rounds_of(own, statistic), rounds_of(c, statistic)
    if here and there:
        return compare_rounds(there, here, paired=False)
    if statistic not in c.latency or statistic not in own.latency:
        return None
    low, high = c.latency_interval.get(statistic, (0.0, float("inf")))
    least, most = own.latency_interval.get(statistic, (0.0, float("inf")))
    ratio = c.latency[statistic] / own.latency[statistic]
    return Speed(ratio, low / most, high / least if least else float("inf"), "no decision")


class Devices(Section):
    """The part of the third section on machines; empty where finalists were measured on one alone."""

    def place(self, name: str) -> str:
        """A machine by its name, in the document's language."""
        return self.words.say("sweeps_machine") if name == OWN else name

    def table(self) -> Raw:
        """Every shown candidate on every machine."""
        found = machines(self.decision)
        rows = [
            self._row(name, i, found)
            for i in range(len(found.get(OWN, [])))
            for name in found
            if any(there[i].measured for there in found.values())
        ]
        names = ("candidate", "machine", "latency", "ratio_own", "throughput", "memory", "cold_load", "there", "notes")
        columns = [self.say(f"col_{c}", statistic=self.decision.statistic) for c in names]
        return table(columns + self._running.headings(), rows) if rows else Raw("")

    @property
    def _running(self) -> RunningCosts:
        return RunningCosts(self.decision, self.words)

    def _row(self, name: str, i: int, found: dict[str, list[Candidate]]) -> list[object]:
        c, own, m = found[name][i], found[OWN][i], found[name][i].best.measurement
        if not c.measured or m is None:
            missing = self.say("not_measured") if name == OWN else self.say("not_measured_on", device=name)
            rest = [*["—"] * 4, self._there(c, name), "—", *self._running.cells(c, name)]
            return [short(c), self.place(name), missing, *rest]
        return [
            short(c),
            self.place(name),
            self.latency(c, self.decision.statistic),
            Raw("1") if name == OWN else self.ratio(against_own(c, own, self.decision.statistic)),
            self.number(c.throughput_ips, 1),
            self.number(c.memory_mb, 1),
            Raw(f"{self.number(m.cold_ms, 1)} / {self.number(m.load_ms, 1)}"),
            self._there(c, name),
            self._notes(c, own),
            *self._running.cells(c, name),
        ]

    def ratio(self, found: Speed | None) -> Raw:
        """A ratio with its interval."""
        if found is None:
            return self.say("not_established")
        return Raw(f"{self.number(found.ratio, 2)} [{self.number(found.low, 2)}; {self.number(found.high, 2)}]")

    def _there(self, c: Candidate, name: str) -> Raw:
        """Whether a file finds on a machine what its source finds."""
        gate = c.gate if name == OWN else c.device_gate
        if gate is None:
            return self.say("not_established")
        word = self.say(f"gate_{gate}")
        return Raw(f"{word} ({self.number(100 * (c.loss if name == OWN else c.loss_there), 2)} %)")

    def _notes(self, c: Candidate, own: Candidate) -> Raw:
        here, there = own.best.measurement, c.best.measurement
        if here is None or there is None or here.runtime_version == there.runtime_version:
            return Raw("—")
        return self.say("other_version", name=c.runtime, there=there.runtime_version, here=here.runtime_version)

    def notes(self) -> list[Raw]:
        """What was noted of each device's run."""
        said = {name: "; ".join(record.notes) for name, record in sorted(self.decision.saved.devices.items())}
        return [Raw(f"{escape(name)}: {self.say('quoted', text=text)}") for name, text in said.items() if text]

    def turnovers(self) -> list[Raw]:
        """Where a ranking turns over between machines, or that none is shown to."""
        found = machines(self.decision)
        if not found:
            return []
        turned, first = turned_over(self.decision, found), found[OWN]
        said = [self._turnover(t, first) for t in turned[:MOST_TURNOVERS]]
        if len(turned) > MOST_TURNOVERS:
            said.append(self.say("turnover_more", n=len(turned) - MOST_TURNOVERS))
        return said or [self.say("turnover_none")]

    def _turnover(self, t: Turnover, first: list[Candidate]) -> Raw:
        return self.say(
            "turnover",
            first=short(first[t.first]),
            second=short(first[t.second]),
            here=self.place(t.here),
            there=self.place(t.there),
            ratio_here=self.ratio(t.faster),
            ratio_there=self.ratio(t.slower),
        )

    def across(self) -> Raw:
        """The best for each device, and what one model for all costs there; "" where no devices are listed."""
        across, chosen = self.decision.across, self.decision.recommended
        if across is None:
            return Raw("")
        shared = chosen if across.shared is not None else None
        prices = {p.device.name: p for p in across.prices(shared)} if shared is not None else {}
        rows = [self._device(d, prices.get(d.name)) for d in across.devices]
        names = ("machine", "limits", "best_alone", "latency", "all_latency", "all_lost", "all_ratio")
        columns = [self.say(f"col_{c}", statistic=self.decision.statistic) for c in names]
        return table(columns, rows)

    def _device(self, d: OnDevice, price: Price | None) -> list[object]:
        alone = d.choice.recommended
        limits = ", ".join(f"{k} {v}" for k, v in (self.decision.settings.devices or {})[d.name].items()) or "—"
        if not d.measured:
            return [self.place(d.name), limits, self.say("not_measured_on", device=self.place(d.name)), *["—"] * 4]
        if alone is None:
            return [self.place(d.name), limits, self.say("case_none"), *["—"] * 4]
        return [
            self.place(d.name),
            limits,
            short(alone),
            self.latency(alone, d.statistic),
            *(
                [self.latency(price.shared, d.statistic), self.lost(price), self.ratio(price.speed)]
                if price
                else ["—"] * 3
            ),
        ]

    def lost(self, price: Price) -> Raw:
        """mAP50-95 that one model for all costs on a device, with its two-sided 95 % interval."""
        if price.shared is price.alone:
            return Raw("0")
        return self.within(price.lost.delta, *price.lost.bounds(TWO_SIDED), digits=4)

    def for_all(self) -> Raw:
        """The sentence on one model for all."""
        across, chosen = self.decision.across, self.decision.recommended
        if across is None:
            return Raw("")
        if across.shared is None:
            return self.say("all_open", devices=", ".join(map(self.place, across.missing)))
        names = ", ".join(self.place(d.name) for d in across.devices)
        if chosen is None:
            return self.say("all_none", devices=names)
        return self.say(
            "all_one", label=short(chosen.configuration), file=f"{chosen.format}/{chosen.precision}", devices=names
        )
