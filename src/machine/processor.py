"""The name of the processor, on whatever system: results of two machines are told apart by it.

x86 has a name in /proc/cpuinfo. Of an ARM core Linux tells numbers, which `lscpu` knows names for, and of a small board
what it is called. macOS and Windows keep the name elsewhere.
"""

from __future__ import annotations

import contextlib
import importlib
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

PROC = Path("/proc")
MAKERS = {
    0x41: "ARM",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x50: "APM",
    0x51: "Qualcomm",
    0x53: "Samsung",
    0x61: "Apple",
    0xC0: "Ampere",
}  # "CPU implementer" of /proc/cpuinfo, from the register MIDR_EL1
CORES = {
    0xB76: "ARM1176",
    0xC07: "Cortex-A7",
    0xC09: "Cortex-A9",
    0xC0F: "Cortex-A15",
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse-N1",
    0xD0D: "Cortex-A77",
    0xD40: "Neoverse-V1",
    0xD41: "Cortex-A78",
    0xD42: "Cortex-A78AE",
    0xD44: "Cortex-X1",
    0xD46: "Cortex-A510",
    0xD47: "Cortex-A710",
    0xD48: "Cortex-X2",
    0xD49: "Neoverse-N2",
    0xD4D: "Cortex-A715",
    0xD4E: "Cortex-X3",
    0xD4F: "Neoverse-V2",
    0xD80: "Cortex-A520",
    0xD81: "Cortex-A720",
    0xD82: "Cortex-X4",
}  # "CPU part" of ARM's own


def processor_name(proc: Path = PROC) -> str:
    """What the processor is called; with the board's name in front where there is one; the architecture otherwise."""
    rows = _rows(proc / "cpuinfo")
    names = [value for key, value in rows if key == "model name"][:1] or _arm_cores(rows)
    core = " + ".join(names)
    board = _text(proc / "device-tree" / "model") or next((value for key, value in rows if key == "Model"), "")
    if board and core:
        return f"{board} ({core})"
    return board or core or _elsewhere() or platform.processor() or platform.machine()


def _rows(cpuinfo: Path) -> list[tuple[str, str]]:
    pairs = (line.partition(":") for line in _text(cpuinfo).splitlines())
    return [(key.strip(), value.strip()) for key, colon, value in pairs if colon]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def _arm_cores(rows: list[tuple[str, str]]) -> list[str]:
    """The kinds of cores, each once: small ones come before large ones."""
    makers = [_number(value) for key, value in rows if key == "CPU implementer"]
    parts = [_number(value) for key, value in rows if key == "CPU part"]
    return list(dict.fromkeys(_core(maker, part) for maker, part in zip(makers, parts)))


def _core(maker: int, part: int) -> str:
    if maker == 0x41 and part in CORES:
        return CORES[part]
    return f"{MAKERS.get(maker, f'maker {maker:#04x}')} part {part:#05x}"


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _elsewhere() -> str:
    """The name as macOS or Windows keep it; "" on other systems, and where it can't be had."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
        if sys.platform == "win32":
            registry: Any = importlib.import_module("winreg")
            place = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
            with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, place) as key:
                return str(registry.QueryValueEx(key, "ProcessorNameString")[0]).strip()
    return ""
