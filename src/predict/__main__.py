"""`python -m src.predict model=PATH source=…`: run any checkpoint or exported file on pictures, videos and streams."""

from __future__ import annotations

import os

from src.cli.command import application, quote_paths
from src.common.errors import Unavailable, UserError
from src.predict.options import PredictArgs, check_arguments

PATHS = ("model", "source", "out", "names")


def run(args: PredictArgs) -> int:
    """Check everything, predict, write, print what was found."""
    from src.predict.command import execute

    check_arguments(args)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our own message tells what is wrong
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        return execute(args)
    except Unavailable as reason:
        raise UserError(str(reason), value=f"runtime={args.runtime} device={args.device}") from None


def main() -> None:
    """Compose the arguments with Hydra and exit with the contract's code."""
    quote_paths(PATHS)
    application(run, "predict", PredictArgs)


if __name__ == "__main__":
    main()
