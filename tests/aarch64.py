"""An aarch64 user-space under qemu: another processor's Python, numpy and ONNX Runtime on this machine.

    python -m tests.aarch64 DIR        # makes it; then: DIR/python3 BUNDLE/run.py

Debian's packages and the wheels are fetched (100 MB) and unpacked (500 MB); nothing is installed on this machine.
Needed beforehand: `apt-get install qemu-user-static debootstrap`, and root, which debootstrap insists on.

Nothing of it is run but Python, so neither a second stage, nor chroot, nor binfmt_misc is needed: qemu looks below the
folder first for every absolute path (-L), and Python finds itself under the name of the script that starts qemu (-0),
so that processes which it starts go through qemu too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

VARIABLE = "DETSWEEP_AARCH64"  # the folder, for tests
RELEASE, PYTHON = "bookworm", "3.11"
PACKAGES = ("numpy", "onnxruntime")
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
CORE = """processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
BOARD = "Emulated board"
STARTER = """#!/bin/sh
# Python of the aarch64 user-space beside this file.
export PYTHONHOME={root}/usr PYTHONPATH={site}${{PYTHONPATH:+:$PYTHONPATH}}
exec {qemu} -cpu cortex-a76 -0 {starter} -L {root} {root}/usr/bin/python{python} "$@"
"""


def qemu() -> str:
    """Path of the emulator; "" where there is none."""
    return shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64") or ""


def missing() -> str:
    """Why there can be no aarch64 here; "" where there can."""
    folder = os.environ.get(VARIABLE)
    if not qemu():
        return "qemu is not installed (apt-get install qemu-user-static)"
    if not folder:
        return f"{VARIABLE}=DIR is not set: a folder with an aarch64 user-space, which is fetched the first time"
    if (Path(folder) / "python3").exists():
        return ""
    if shutil.which("debootstrap") is None or shutil.which("dpkg-deb") is None:
        return "debootstrap is not installed (apt-get install debootstrap)"
    return "" if os.geteuid() == 0 else "debootstrap must be started as root"


def make(folder: Path) -> Path:
    """Make the user-space where it is not there yet; returns its Python."""
    home = folder.absolute()
    starter, root, site = home / "python3", home / "root", home / "site"
    if starter.exists():
        return starter
    _run("debootstrap", "--foreign", "--arch=arm64", "--variant=minbase", "--include=python3", RELEASE, str(root))
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(root))
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    kind = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    _run(sys.executable, "-m", "pip", "download", "-q", "-d", str(home / "wheels"), *kind, *platforms, *PACKAGES)
    for wheel in sorted((home / "wheels").glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    # qemu shows the machine's own cpuinfo otherwise, and ONNX Runtime dies of one that is not ARM's.
    (root / "proc").mkdir(exist_ok=True)
    cores = "".join(CORE.format(number=number) for number in range(os.cpu_count() or 1))
    (root / "proc" / "cpuinfo").write_text(f"{cores}Model\t\t: {BOARD}\n")
    text = STARTER.format(root=root, site=site, qemu=qemu(), starter=starter, python=PYTHON)
    starter.write_text(text)
    starter.chmod(0o755)
    return starter


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])}: {(done.stderr or done.stdout).strip()[-500:]}")


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
