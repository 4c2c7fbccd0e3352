"""Price and energy of 1,000 images as cells and as data; nothing at all where no rate is stated."""

from __future__ import annotations

import math
from typing import Any

from src.config.schema import DecisionConfig
from src.decide.candidates import Candidate
from src.decide.running_cost import RunningCost, asked_for, cost_of, cost_where_decided, rate_on, running_cost
from src.records.schema import Measurement
from src.report.json_values import finite
from src.report.markdown import Raw
from src.report.section import Section

DIGITS = 3  # that count: a thousand images may cost a tenth of a cent


class RunningCosts(Section):
    """Headings and cells for tables that show what a candidate costs to run."""

    @property
    def shown(self) -> bool:
        """Whether a rate is stated."""
        return asked_for(self.decision.settings)

    def headings(self) -> list[Raw]:
        """Of the two columns; none without a rate."""
        if not self.shown:
            return []
        return [self.say("col_price", currency=self.decision.settings.currency), self.say("col_energy")]

    def cells(self, c: Candidate, machine: str | None = None) -> list[Raw]:
        """Price and energy on a machine, or on the one that decides; none without a rate."""
        if not self.shown:
            return []
        settings = self.decision.settings
        cost = cost_where_decided(c, settings) if machine is None else cost_of(c, rate_on(machine, settings))
        if not c.measured:
            return [Raw("—"), Raw("—")]
        price = self._with_interval(cost.price, cost.price_low, cost.price_high)
        energy = self._with_interval(cost.energy_wh, cost.energy_low, cost.energy_high)
        return [price or self.say("no_rate"), energy or self.say("not_measured")]

    def _with_interval(self, value: float, low: float, high: float) -> Raw | None:
        if not math.isfinite(value):
            return None
        digits = decimals(value)
        if not (math.isfinite(low) and math.isfinite(high)):
            return self.number(value, digits)
        return Raw(f"{self.number(value, digits)} [{self.number(low, digits)}; {self.number(high, digits)}]")


def decimals(value: float) -> int:
    """How many decimals show so many digits of a number."""
    return max(DIGITS - 1 - math.floor(math.log10(abs(value))), 0) if value else DIGITS


def cost_json(cost: RunningCost) -> dict[str, Any]:
    """Figures of 1,000 images for programs."""
    return {"price_per_1000": finite(cost.price), "energy_wh_per_1000": finite(cost.energy_wh)}


def interval_json(cost: RunningCost) -> dict[str, Any]:
    """Their intervals."""
    return {
        "price_per_1000": [finite(cost.price_low), finite(cost.price_high)],
        "energy_wh_per_1000": [finite(cost.energy_low), finite(cost.energy_high)],
    }


def cost_columns(m: Measurement, settings: DecisionConfig, machine: str) -> dict[str, Any]:
    """Columns of a measurement in the table for programs; none without a rate."""
    if not asked_for(settings):
        return {}
    cost = running_cost([m], rate_on(machine, settings))
    return {
        "price_per_1000": finite(cost.price),
        "price_per_1000_low": finite(cost.price_low),
        "price_per_1000_high": finite(cost.price_high),
        "currency": settings.currency,
        "energy_wh_per_1000": finite(cost.energy_wh),
        "energy_wh_per_1000_low": finite(cost.energy_low),
        "energy_wh_per_1000_high": finite(cost.energy_high),
    }
