"""Measures the model files beside it on this machine. `python run.py --help` says how; README.txt says more."""

# A bundle has this file as `run.py`. It must be understood by any Python 3, if only to say that it is too old.
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Check what must be there before anything can be imported, and run the bundle."""
    if sys.version_info < (3, 9):  # noqa: UP036 - only where it is met is it told
        sys.stderr.write("error: Python 3.9 or newer is needed\n  value:  " + sys.version.split()[0] + "\n")
        return 2
    try:
        import numpy  # noqa: F401
    except ImportError:
        sys.stderr.write("error: numpy is not installed\n  remedy: " + sys.executable + " -m pip install numpy\n")
        return 2
    sys.path.insert(0, str(HERE / "code"))
    from src.benchmark.bundle.run import main as run

    return run(HERE, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
