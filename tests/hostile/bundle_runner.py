"""`run.py FOLDER OPTION…`, as a module that the harness can start."""

from __future__ import annotations

import sys
from pathlib import Path

from src.benchmark.bundle.run import main as run


def main() -> int:
    """Run the bundle in the folder of the first word."""
    return run(Path(sys.argv[1]), sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
