"""Artifact to session: one thin adapter per engine, imported only when asked for.

A module has `ENGINE` (its facts, see `src.common.backends`) and `load(artifact, threads, device, trust)`, which gives a
`Session`. It may have `check_available()`, for what the facts can't say (raises `Unavailable`), and
`load_beside_others`, which is `load` for a process whose other threads need the cores too.

An engine that is not installed raises `Unavailable` with the remedy; a file that it can't read raises `UserError` with
the file's name. Processes of engines that need no torch don't import it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.common import backends
from src.common.errors import Unavailable, UserError
from src.records.schema import Artifact
from src.runtime.protocol import Session

__all__ = ["Session", "availability", "load", "supports"]


def supports(runtime: str, fmt: str, precision: str) -> bool:
    """Whether an engine can run files of this format and precision."""
    return runtime in backends.RUNTIMES and backends.engine_facts(runtime).supports(fmt, precision)


def availability(runtime: str) -> None:
    """Check that an engine can be had here.

    Raises:
        UserError: no such engine.
        Unavailable: it is not installed, or its device is missing; the message gives the remedy.
    """
    if runtime not in backends.RUNTIMES:
        raise UserError("unknown runtime", value=runtime, remedy=f"one of: {', '.join(backends.RUNTIMES)}")
    module: Any = backends.runtime_module(runtime)
    backends.require(module.ENGINE)
    if hasattr(module, "check_available"):
        module.check_available()


def load(
    runtime: str,
    artifact: Artifact,
    *,
    threads: int,
    device: str = "cpu",
    trust: bool = False,
    beside_others: bool = False,
) -> Session:
    """Load an artifact into an engine.

    Args:
        runtime: name of the engine.
        artifact: the model file.
        threads: threads that the engine may use.
        device: cpu, cuda or cuda:N.
        trust: allow a checkpoint that needs unsafe unpickling.
        beside_others: other threads need the cores too, as in a service: an engine's threads that have nothing to do
            leave them at once, where the engine can be told so. Outputs are the same.

    Raises:
        UserError: no such engine, or the file is missing, damaged or of another kind.
        Unavailable: the engine, or the format in it, can't be had here.
    """
    availability(runtime)
    if not supports(runtime, artifact.format, artifact.precision):
        raise Unavailable(f"{runtime} does not run {artifact.label}")
    if not Path(artifact.path).exists():
        raise UserError("the model file does not exist", value=artifact.path, remedy="export it again")
    module: Any = backends.runtime_module(runtime)
    call = getattr(module, "load_beside_others", module.load) if beside_others else module.load
    session: Session = call(artifact, threads, device, trust)
    return session
