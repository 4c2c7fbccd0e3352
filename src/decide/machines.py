"""Whose measurements decide: the machine of the sweep, or a device that its finalists were measured on.

Costs never stand in for those of another machine. What was not measured where the decision asks for it has no latency,
no throughput and no memory there, and limits on them are not established.
"""

from __future__ import annotations

from collections.abc import Iterable

from src.common.errors import UserError
from src.config.devices import OWN, is_processor
from src.config.schema import DecisionConfig
from src.decide.load import Saved
from src.records.schema import DeviceRecord, Measurement, Verification

Pair = tuple[str, str]  # an artifact's hash and a runtime: what pairs a device's figures with those of the sweep


def device_name(settings: DecisionConfig) -> str | None:
    """The device that decides; None where it is the machine of the sweep."""
    name = settings.device
    return None if name is None or name == OWN or is_processor(name) else name


def device_record(saved: Saved, settings: DecisionConfig) -> DeviceRecord | None:
    """What was measured on the device that decides; None where that is the sweep's machine, or nothing was yet."""
    name = device_name(settings)
    return saved.devices.get(name) if name is not None else None


def measurements(saved: Saved, settings: DecisionConfig) -> dict[Pair, Measurement]:
    """The measurements that decide, by artifact and runtime; of equal files one for all of them."""
    if device_name(settings) is None:
        found = (m for record in saved.finalists.values() for m in record.measurements)
        return {(m.artifact_sha256, m.runtime): m for m in found if _counts(m, settings) and _processor(m, settings)}
    record = device_record(saved, settings)
    known = record.measurements if record is not None else []
    return {(m.artifact_sha256, m.runtime): m for m in known if _counts(m, settings)}


def checks(saved: Saved, settings: DecisionConfig) -> dict[Pair, Verification]:
    """What the artifacts find on the device that decides; empty where that is the sweep's machine."""
    record = device_record(saved, settings)
    found = sorted(record.verifications, key=lambda v: v.gate == "fail") if record is not None else []
    return {(v.artifact_sha256, v.runtime): v for v in found}  # of several splits, one that fails counts


def _counts(m: Measurement, settings: DecisionConfig) -> bool:
    return m.scope == settings.scope and m.batch == settings.batch


def _processor(m: Measurement, settings: DecisionConfig) -> bool:
    return settings.device in (None, OWN, m.device)


def require_devices(saved: Saved, device: str | None, devices: Iterable[str]) -> None:
    """Refuse to decide again for a device that nothing was measured on: a name that is wrong is told.

    Raises:
        UserError: naming the device, and those that there are.
    """
    keys = {name: f"decision.devices.{name}" for name in devices}
    if device is not None and not is_processor(device):
        keys[device] = "decision.device"
    known = sorted(saved.devices)
    for name, key in keys.items():
        if name not in (OWN, *known):
            pack = f"python -m src.benchmark pack sweep={saved.sweep.sweep} out=DIR"
            there = f"one of: {', '.join([*known, OWN])}; or measure there: {pack}"
            raise UserError(f"{key}: no finalist was measured on a device of this name", value=name, remedy=there)
