"""`python -m src.predict model=PATH source=…`: run any checkpoint or exported file on pictures, videos and streams."""

from __future__ import annotations

import os
import sys

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from src.cli import guarded
from src.errors import Unavailable, UserError
from src.predict.arguments import PredictArgs, check_arguments

HYDRA = {
    "output_subdir": None,
    "run": {"dir": "."},
    "job": {"chdir": False, "name": "predict"},
    "help": {"app_name": "python -m src.predict"},
}
PATHS = ("model", "source", "out", "names")


def run(args: PredictArgs) -> int:
    """Check everything, predict, write, print what was found."""
    from src.predict.job import execute

    check_arguments(args)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our own message tells what is wrong
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        return execute(args)
    except Unavailable as reason:
        raise UserError(str(reason), value=f"runtime={args.runtime} device={args.device}") from None


def quoted(word: str) -> str:
    """A word whose value is a path or an address, quoted: brackets and equals signs mean something to Hydra."""
    key, equals, value = word.partition("=")
    if key not in PATHS or not equals or value[:1] in ("'", '"') or value in ("", "null"):
        return word
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{escaped}'"


def main() -> None:
    """Compose the arguments with Hydra and exit with the contract's code."""
    store = ConfigStore.instance()
    store.store(name="predict_schema", node=PredictArgs)
    # Not a file in conf/: there, `model=` and `runtime=` would be choices of a group.
    store.store(name="predict", node={"defaults": ["predict_schema", "_self_"], "hydra": HYDRA})
    sys.argv[1:] = map(quoted, sys.argv[1:])
    os.environ["HYDRA_FULL_ERROR"] = "1"

    def work() -> int:
        jobs: list[DictConfig] = []
        hydra.main(config_path=None, config_name="predict")(jobs.append)()
        if not jobs:  # --help and --cfg leave no job
            return 0
        for key in ("model", "source"):
            if OmegaConf.is_missing(jobs[0], key):
                raise UserError(f"{key} is not set", remedy="python -m src.predict model=PATH source=…")
        args = OmegaConf.to_object(jobs[0])
        assert isinstance(args, PredictArgs)
        return run(args)

    sys.exit(guarded(work))


if __name__ == "__main__":
    main()
