"""The processor's name, from what each system shows of it."""

from __future__ import annotations

import platform
import subprocess
import sys
import types
from pathlib import Path

import pytest

from src.machine.processor import processor_name

PI5 = "processor\t: {}\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0b\n\n"
ROCK = (
    "processor\t: {}\nCPU implementer\t: 0x41\nCPU part\t: 0xd05\n\n",
    ("processor\t: {}\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\n"),
)
X86 = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\n\n"
ARMV7 = "processor\t: 0\nmodel name\t: ARMv7 Processor rev 3 (v7l)\n\nHardware\t: BCM2711\nModel\t\t: Raspberry Pi 4\n"


@pytest.mark.parametrize(
    ("cpuinfo", "board", "name"),
    [
        (X86, "", "Intel(R) Xeon(R) CPU @ 2.20GHz"),
        (PI5 * 4, "", "Cortex-A76"),
        (PI5 * 4, "Raspberry Pi 5 Model B Rev 1.0\0", "Raspberry Pi 5 Model B Rev 1.0 (Cortex-A76)"),
        (ROCK[0] * 4 + ROCK[1] * 4, "Radxa ROCK 5B\0", "Radxa ROCK 5B (Cortex-A55 + Cortex-A76)"),
        (ARMV7, "", "Raspberry Pi 4 (ARMv7 Processor rev 3 (v7l))"),
        ("CPU implementer\t: 0xc0\nCPU part\t: 0xac3\n", "", "Ampere part 0xac3"),
        ("CPU implementer\t: 0x99\nCPU part\t: odd\n", "", "maker 0x99 part 0x000"),
        (None, "VisionFive 2\0", "VisionFive 2"),
    ],
)
def test_the_name_is_what_linux_shows(tmp_path: Path, cpuinfo: str | None, board: str, name: str) -> None:
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    if board:
        (tmp_path / "device-tree").mkdir()
        (tmp_path / "device-tree" / "model").write_text(board)
    assert processor_name(tmp_path) == name


def test_macos_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, "Apple M2\n" if command[0] == "sysctl" else "")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", run)
    assert processor_name(tmp_path) == "Apple M2"


def test_windows_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Key:
        def __enter__(self) -> Key:
            return self

        def __exit__(self, *_: object) -> None: ...

    registry = types.SimpleNamespace(
        HKEY_LOCAL_MACHINE=1,
        OpenKey=lambda root, place: Key(),
        QueryValueEx=lambda key, name: (f"{name} of AMD  ", 1),
    )
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "winreg", registry)
    assert processor_name(tmp_path) == "ProcessorNameString of AMD"


@pytest.mark.parametrize("system", ["darwin", "linux"])
def test_where_nothing_tells_it_is_the_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert processor_name(tmp_path) == "riscv64"
