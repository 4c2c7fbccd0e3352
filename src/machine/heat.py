"""How warm the processor is, how fast it runs and whether it is held back, where the system shows it.

A small device slows down when it is hot: what it does in the first minute it does not keep up. Read after a block,
while the processor is still as the block left it. Nothing shown is not the same as cool.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

SYS = Path("/sys")
SLOWED = 0.9  # share of the highest frequency below which a busy processor counts as slowed down
PI_NOW = 0xF  # of the Raspberry Pi's flags: low voltage, frequency capped, throttled, soft limit, at this moment
PI_FILE = "devices/platform/soc/soc:firmware/get_throttled"


def look(sys: Path = SYS) -> dict[str, float]:
    """What is shown now.

    Returns:
        `temperature_c`: of the hottest zone; `frequency`: mean of the cores' present frequency as a share of the
        highest that each can have; `held_back`: events that the system counted so far of a processor throttled for its
        temperature; `limited`: 1 while a Raspberry Pi says that it is capped, throttled or short of voltage. What the
        system doesn't show is missing.
    """
    found = {
        "temperature_c": _highest(_numbers(sys.glob("class/thermal/thermal_zone*/temp"))),
        "frequency": _frequency(sys),
        "held_back": _sum(_numbers(sys.glob("devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count"))),
        "limited": _limited(sys / PI_FILE),
    }
    return {name: value for name, value in found.items() if value is not None}


def _numbers(files: Iterable[Path]) -> list[float]:
    found = []
    for file in sorted(files):
        with contextlib.suppress(OSError, ValueError):
            found.append(float(file.read_text(encoding="ascii")))
    return found


def _highest(milli: Sequence[float]) -> float | None:
    """Of temperatures in thousandths of a degree; zones that are not wired say 0 or nonsense."""
    likely = [value / 1000 for value in milli if 0 < value < 150_000]
    return max(likely, default=None)


def _sum(values: Sequence[float]) -> float | None:
    return sum(values) if values else None


def _frequency(sys: Path) -> float | None:
    shares = []
    for folder in sys.glob("devices/system/cpu/cpu[0-9]*/cpufreq"):
        now, most = _numbers([folder / "scaling_cur_freq"]), _numbers([folder / "cpuinfo_max_freq"])
        if now and most and most[0] > 0:
            shares.append(now[0] / most[0])
    return sum(shares) / len(shares) if shares else None


def _limited(file: Path) -> float | None:
    try:
        return float(bool(int(file.read_text(encoding="ascii"), 16) & PI_NOW))
    except (OSError, ValueError):
        return None


def facts_of(looks: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What the looks after all blocks of a run say, for people; empty where the system shows nothing."""
    out = {}
    if warm := [float(item["temperature_c"]) for item in looks if "temperature_c" in item]:
        out["temperature"] = f"{min(warm):.0f} to {max(warm):.0f} °C after blocks"
    if speeds := [float(item["frequency"]) for item in looks if "frequency" in item]:
        out["frequency"] = f"{min(speeds):.0%} to {max(speeds):.0%} of the highest"
        if slow := sum(speed < SLOWED for speed in speeds):
            out["slowed"] = (
                f"after {slow} of {len(speeds)} blocks the processor ran below {SLOWED:.0%} of its frequency"
            )
    counts = [float(item["held_back"]) for item in looks if "held_back" in item]
    if counts and counts[-1] > counts[0]:
        out["throttled"] = f"{counts[-1] - counts[0]:.0f} times for its temperature, by the processor's own count"
    if limited := sum(float(item.get("limited", 0)) > 0 for item in looks):
        out["limited"] = f"after {limited} of {len(looks)} blocks: voltage, temperature or frequency cap (Raspberry Pi)"
    return out
