"""Measures the model files beside it on this machine. `python run.py --help` says how; README.txt says more."""

# A bundle has this file as `run.py`. It must be understood by any Python 3, if only to say that it is too old.
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Check what must be there before anything can be imported, and run the bundle."""
    if sys.version_info < (3, 9):  # noqa: UP036 - only where it is met is it told
        sys.stderr.write("error: Python 3.9 or newer is needed\n  value:  " + sys.version.split()[0] + "\n")
        return 2
    # Where a disk fills up, some versions of Python leave torn bytecode, and no import would work any more.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    try:
        import numpy  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            return _refuse("numpy can't be imported (" + str(error) + ")", "install it again")
        return _refuse("numpy is not installed", sys.executable + " -m pip install numpy")
    except ImportError as error:
        return _refuse("numpy can't be imported (" + str(error).strip().splitlines()[0] + ")", "install it again")
    sys.path.insert(0, str(HERE / "code"))
    try:
        from src.benchmark.bundle.run import main as run
    except (ImportError, SyntaxError, ValueError, EOFError) as error:
        return _refuse("the bundle's own code is not whole (" + str(error) + ")", "copy the bundle again")
    return run(HERE, sys.argv[1:])


def _refuse(what: str, remedy: str) -> int:
    sys.stderr.write("error: " + what + "\n  remedy: " + remedy + "\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
