"""What printing help and the configuration costs, against a bare Hydra application with a configuration of one key.

Both run as whole processes, in turn, so that drift of the machine hits both alike.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = 15
BARE = """
import hydra

@hydra.main(config_path=".", config_name="config")
def main(cfg):
    pass

main()
"""


def seconds(command: list[str], cwd: Path) -> float:
    """Wall seconds of one process."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=cwd, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Print the medians and the ratios pair by pair."""
    with tempfile.TemporaryDirectory() as name:
        bare = Path(name)
        (bare / "bare.py").write_text(BARE)
        (bare / "config.yaml").write_text("key: 1\n")
        for words in (["--help"], ["--cfg", "job"]):
            ours, theirs = [], []
            for _ in range(RUNS + 1):
                ours.append(seconds([sys.executable, "-m", "src.run", *words], ROOT))
                theirs.append(seconds([sys.executable, "bare.py", *words], bare))
            pairs = sorted(a / b for a, b in zip(ours[1:], theirs[1:], strict=True))  # the first pair warms the cache
            print(
                f"{' '.join(words):10} detsweep {statistics.median(ours[1:]):.3f} s  bare Hydra "
                f"{statistics.median(theirs[1:]):.3f} s  ratio {statistics.median(pairs):.2f} "
                f"({pairs[0]:.2f} to {pairs[-1]:.2f}; limit 1.50)"
            )


if __name__ == "__main__":
    main()
