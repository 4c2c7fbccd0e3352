"""`python -m src.serve`: the champion, or any model file, over HTTP."""

from __future__ import annotations

import os
from pathlib import Path

from src.cli.command import application, quote_paths
from src.config.strictness import refuse_unwritable
from src.serve.options import ServeArgs, check_arguments

# The library would try a registry that is away for minutes, eight times each.
MLFLOW = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
PATHS = ("model", "names", "outputs", "monitor_log", "live.folder", "live.challenger")


def run(args: ServeArgs) -> int:
    """Check everything, find the model, serve."""
    check_arguments(args)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # a picture that can't be read is told to the client
    for name, value in MLFLOW.items():
        os.environ.setdefault(name, value)
    from src.serve.live import laid_down
    from src.serve.model_source import Source
    from src.serve.process import run as serve

    Source(args).check()  # what is wrong is told before a process is started
    args = laid_down(args)
    if args.monitor_log is not None:
        refuse_unwritable(monitor_log=str(Path(args.monitor_log).expanduser()))
    host = f"[{args.host}]" if ":" in args.host else args.host
    print(f"http://{host}:{args.port} (model {args.model}, {args.workers} process(es))", flush=True)
    return serve(args)


def main() -> None:
    """Compose the arguments with Hydra and exit with the contract's code."""
    quote_paths(PATHS)
    application(run, "serve", ServeArgs, writes=())  # a container's file system may be read-only


if __name__ == "__main__":
    main()
