"""`decision.device` and `decision.devices`: which machine's measurements decide, and what every device demands.

A device is a machine that finalists were measured on by a bundle, known by the name its results were imported under.
It need not have a record when a sweep is started: nothing can be measured before something is trained.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from src.common import backends
from src.common.errors import UserError
from src.records.sweep_folder import is_name

OWN = "sweep"  # the machine of the sweep, where devices are named
PROCESSOR = re.compile(r"(cpu|gpu|cuda|mps|npu)(:\d+)?")  # of the sweep's machine, as runtimes call them
CURRENCY = re.compile(r"[^\W\d_]{1,8}|[€$£¥₹]")  # EUR, CHF, Fr, €
LATENCIES = ("mean", "p50", "p90", "p95", "p99")
SCOPES = ("model_only", "end_to_end")
LIMITS = ("max_latency_ms", "min_throughput_ips", "max_memory_mb", "max_size_mb")  # that every device has of its own
KEYS = (*LIMITS, "latency", "scope", "batch", "runtime", "price_per_hour")
EXAMPLE = "decision.devices={pi5: {max_latency_ms: 80}, server: {max_latency_ms: 10}}"


def is_processor(name: str) -> bool:
    """Whether `decision.device` names a processor of the sweep's machine, and no other machine."""
    return PROCESSOR.fullmatch(name) is not None


def check_device(name: object) -> None:
    """Refuse what can name neither a processor nor a device.

    Raises:
        UserError: naming the key, the value and the remedy.
    """
    if name is None or (isinstance(name, str) and (is_processor(name) or is_name(name))):
        return
    remedy = f"decision.device=NAME as its results were imported, {OWN} for the sweep's own machine, or null"
    raise UserError("decision.device is no name of a device", value=name, remedy=remedy)


def check_devices(devices: object) -> None:
    """Refuse limits of devices that are none.

    Raises:
        UserError: naming the first offending key, its value and the remedy.
    """
    if devices is None:
        return
    if not isinstance(devices, Mapping) or not devices:
        remedy = f"{EXAMPLE}, or null"
        raise UserError("decision.devices must hold a name and limits for each device", value=devices, remedy=remedy)
    for name, limits in devices.items():
        _check_name(name)
        if not isinstance(limits, Mapping):
            raise UserError(f"decision.devices.{name} must hold limits", value=limits, remedy=EXAMPLE)
        for key, value in limits.items():
            _check_limit(f"decision.devices.{name}.{key}", str(key), value)


CURRENCY_IDLE = "is of a price, and none is given"  # follows the key


def check_currency(value: object) -> None:
    """Refuse what can't stand behind a price.

    Raises:
        UserError: naming the key, the value and the remedy.
    """
    if not isinstance(value, str) or CURRENCY.fullmatch(value) is None:
        raise UserError(
            "decision.currency must be a short word or sign", value=value, remedy="decision.currency=EUR, or USD"
        )


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not is_name(name) or is_processor(name):
        why = "decision.devices holds what is no name of a device (letters, digits, '.', '_', '-')"
        raise UserError(why, value=name, remedy=f"the name that its results were imported under; {EXAMPLE}")


def _check_limit(where: str, key: str, value: Any) -> None:
    if key not in KEYS:
        raise UserError(f"{where} is no limit of a device", value=value, remedy=f"one of: {', '.join(KEYS)}")
    if value is None:
        return
    if key in (*LIMITS, "price_per_hour"):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value < math.inf:
            raise UserError(f"{where} must be a finite number above 0", value=value, remedy=f"{key}: 80, or null")
        return
    if key == "batch":
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{where} must be a number of images, at least 1", value=value, remedy="batch: 1")
        return
    known = {"latency": LATENCIES, "scope": SCOPES, "runtime": tuple(backends.RUNTIMES)}[key]
    if value not in known:
        raise UserError(f"{where} holds an unknown value", value=value, remedy=f"one of: {', '.join(known)}")
