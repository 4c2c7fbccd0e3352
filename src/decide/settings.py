"""A saved sweep's own decision group, the keys that may be given again, and the decision under them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.config.decision_checks import check_rule
from src.config.devices import CURRENCY_IDLE, LATENCIES, SCOPES, check_currency, check_device, check_devices
from src.config.schema import DecisionConfig
from src.decide.choice import Decision, decide
from src.decide.load import Saved, load_sweep
from src.decide.machines import require_devices
from src.decide.plausible import REMEDY
from src.records.parsing import RecordError, parse
from src.records.sweep_folder import SweepFolder

RECORDED = "recorded"


@dataclass
class Again:
    """Group `decision` of commands that read a sweep: whose measurements decide, the limits on them, and the rate.

    `recorded` is what the sweep was started with. What is asked of accuracy (the margin, its confidence) is not among
    them: a rule that follows the result promises nothing.
    """

    device: Any = RECORDED
    devices: Any = RECORDED
    latency: Any = RECORDED
    scope: Any = RECORDED
    batch: Any = RECORDED
    runtime: Any = RECORDED
    max_latency_ms: Any = RECORDED
    min_throughput_ips: Any = RECORDED
    max_memory_mb: Any = RECORDED
    max_size_mb: Any = RECORDED
    price_per_hour: Any = RECORDED
    currency: Any = RECORDED


def given_again(group: Again) -> dict[str, Any]:
    """The keys that were given, checked.

    Raises:
        UserError: naming the key, the value and the remedy.
    """
    found = {k: v for k, v in dataclasses.asdict(group).items() if v != RECORDED}
    for key, value in found.items():
        check_again(key, value)
    return found


def check_again(key: str, value: object) -> None:
    """Refuse a value that a key of `Again` can't have.

    Raises:
        UserError: naming the key, the value and the remedy.
    """
    where = f"decision.{key}"
    if key == "device":
        check_device(value)
    elif key == "devices":
        check_devices(value)
    elif key == "currency":
        check_currency(value)
    elif key in (choices := {"latency": LATENCIES, "scope": SCOPES}):
        if value not in choices[key]:
            raise UserError(f"{where} holds an unknown value", value=value, remedy=f"one of: {', '.join(choices[key])}")
    elif key == "batch":
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{where} must be a number of images, at least 1", value=value, remedy=f"{where}=1")
    elif key == "runtime":
        if value is not None and not isinstance(value, str):
            raise UserError(f"{where} must be the name of a runtime", value=value, remedy=f"{where}=null")
    elif value is not None and not _is_limit(value):
        raise UserError(f"{where} must be a finite number above 0", value=value, remedy=f"{where}=null, or a number")


def _is_limit(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def decision_of(saved: Saved) -> DecisionConfig:
    """The decision group that the sweep was started with; keys that it did not know have their defaults.

    Raises:
        UserError: a value of the wrong type, or one that makes no sense.
    """
    file = SweepFolder(saved.folder).record
    known = {f.name for f in dataclasses.fields(DecisionConfig)}
    given = {key: value for key, value in saved.sweep.decision.items() if key in known}
    try:
        found = parse(DecisionConfig, {"name": "recorded", **given}, f"{file}: decision")
    except RecordError as error:
        raise UserError(str(error), remedy=REMEDY) from None
    check_rule(found)
    for key in ("device", "devices", "currency", "latency", "scope", "batch"):
        check_again(key, getattr(found, key))
    return found


def load_decision(sweep_dir: Path, again: Mapping[str, Any] | None = None) -> Decision:
    """Read a sweep and decide under its own decision group.

    Args:
        sweep_dir: folder of the sweep.
        again: keys of the group that take the place of the recorded ones, see `Again`.

    Raises:
        UserError: malformed records, a limit that can't be judged, or a device that is not known.
    """
    saved = load_sweep(sweep_dir)
    given = again or {}
    require_devices(saved, given.get("device"), given.get("devices") or {})  # what was recorded may be yet to measure
    alone = {"devices": None} if given.get("device") is not None else {}  # asks for this one device
    settings = replace(decision_of(saved), **{**alone, **given})
    if "currency" in given and settings.price_per_hour is None:
        raise UserError(
            f"decision.currency {CURRENCY_IDLE}",
            value=f"decision.currency={given['currency']}",
            remedy="decision.price_per_hour=0.40",
        )
    return decide(saved, settings)
