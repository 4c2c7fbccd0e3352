"""Peak memory of this process.

`VmHWM` belongs to the address space of the program that runs now. `ru_maxrss` would not do: Linux hands the peak of
the process that forked down to its child, so a small worker of a large parent would report the parent's size.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

MB = 1024 * 1024


def peak_rss_mb(status: Path = Path("/proc/self/status")) -> float:
    """Highest resident set so far, MB (2**20 bytes)."""
    try:
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / MB
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return float(getattr(psutil.Process().memory_info(), "peak_wset", 0) / MB)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak * 1024 / MB


def peak_vram_mb() -> float:
    """GPU memory that this process holds now, MB; 0 without an NVIDIA GPU. Engines keep what they once took."""
    if not Path("/dev/nvidiactl").exists():
        return 0.0
    try:
        import pynvml

        pynvml.nvmlInit()
        used = 0
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
                if process.pid == os.getpid():
                    used += int(process.usedGpuMemory or 0)
        return used / MB
    except Exception:  # the driver's library may be missing, or the process invisible from inside a container
        return 0.0
