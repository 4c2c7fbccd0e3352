"""`python -m src.loadtest url=http://127.0.0.1:8000 image=FILE p99_ms=100`: the capacity of a service."""

from __future__ import annotations

import asyncio
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from src.cli.command import application, quote_paths
from src.common.errors import EXIT_FAILED, EXIT_OK, UserError
from src.common.image_files import IMAGE_SUFFIXES
from src.common.json_values import plain
from src.common.whole_files import read_regular, write_text
from src.config.strictness import refuse_unwritable_file
from src.loadtest.capacity import Capacity, Step, capacity_of
from src.loadtest.client import PATIENCE_S, Connections, Sent, patient, saturate, target_of
from src.loadtest.options import LoadtestArgs, check_arguments
from src.loadtest.search import CLIENTS, PROBE_S, Search, steps_of

TOKEN = "DETSWEEP_SERVE_TOKEN"
MOST_IMAGES = 64
PATHS = ("image", "out", "url")


def run(args: LoadtestArgs) -> int:
    """Find the capacity (or try one rate), print it; returns the exit code."""
    check_arguments(args)
    contents = pictures(Path(args.image).expanduser())
    target = target_of(args.url, os.environ.get(TOKEN, ""))
    if args.out:  # before minutes of measuring
        refuse_unwritable_file(out=str(Path(args.out).expanduser()))
    steps, raw = asyncio.run(_measure(args, Connections(target), contents))
    capacity = capacity_of(steps)
    print("\n".join(told(args, steps, capacity)))
    if args.out:
        facts = {
            "arguments": asdict(args),
            "steps": [asdict(s) for s in steps],
            "capacity": asdict(capacity),
            "raw": raw,
        }
        write_text(Path(args.out).expanduser(), json.dumps(plain(facts), indent=1) + "\n")
    return EXIT_OK if any(step.requests > step.failed for step in steps) else EXIT_FAILED


def pictures(path: Path) -> list[bytes]:
    """The bytes of the pictures to send.

    Raises:
        UserError: there are none.
    """
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise UserError("image holds no pictures", value=path, remedy="image=FILE or a folder of JPEG or PNG files")
    return [read_regular(file) for file in files[:MOST_IMAGES]]


async def _measure(
    args: LoadtestArgs, connections: Connections, contents: list[bytes]
) -> tuple[list[Step], list[dict[str, Any]]]:
    """All rates that were tried, in order, and what each request took."""
    await _check(connections, contents[0], args.url)
    raw: list[dict[str, Any]] = []
    most = args.rate or await saturate(connections, contents, CLIENTS, PROBE_S)
    if args.rate is None:
        print(
            f"about {most:.1f} answers a second with {CLIENTS} clients; now at rates that are fixed beforehand",
            flush=True,
        )

    def tell(step: Step, sent: Sent) -> None:
        raw.append(_raw(step.rate, sent))
        print(line_of(step, args.p99_ms), flush=True)

    search = Search(args.p99_ms, args.seconds, args.precision, args.steps, args.seed)
    steps = await steps_of(search, connections, contents, most, tell, args.rate)
    connections.close()
    return steps, raw


async def _check(connections: Connections, content: bytes, url: str) -> None:
    """Ask once.

    Raises:
        UserError: nobody answers, or the picture is refused.
    """
    status = await patient(connections.post(connections.target.request(content)), PATIENCE_S)
    if status == 0:
        raise UserError("no service answers there", value=url, remedy="python -m src.serve, or another url=")
    if status == 401:
        raise UserError("the service wants a token", value=url, remedy=f"export {TOKEN}=…")
    if not 200 <= status < 300:
        raise UserError(
            f"the service refuses the picture (status {status})", value=url, remedy="image=FILE of a JPEG or PNG"
        )


def _raw(rate: float, sent: Sent) -> dict[str, Any]:
    return {
        "rate": rate,
        "due_s": sent.due.round(6).tolist(),
        "latency_ms": (sent.latency * 1000).round(3).tolist(),
        "status": sent.status.tolist(),
    }


def line_of(step: Step, promise_ms: float) -> str:
    """One rate as a line."""
    verdict = "keeps" if step.keeps else "breaks"
    sure = "" if step.high <= 0.01 or step.low > 0.01 else " (not sure)"
    behind = "; the client fell behind, so that this is a lower bound" if step.behind else ""
    return (
        f"{step.rate:8.1f}/s  p50 {step.p50_ms:7.1f} ms  p99 {step.p99_ms:7.1f} ms  over {promise_ms:g} ms: "
        f"{step.broken:6.2%} [{step.low:.2%}; {step.high:.2%}]  {step.failed} failed  {verdict}{sure}{behind}"
    )


def told(args: LoadtestArgs, steps: list[Step], capacity: Capacity) -> list[str]:
    """The conclusion in words."""
    if args.rate is not None:
        return []
    promise = f"p99 of {args.p99_ms:g} ms"
    if capacity.rate == 0:
        return [f"no rate was found that keeps a {promise}"]
    high = "" if math.isinf(capacity.high) else f"; surely too many: {capacity.high:.1f}"
    low = f"surely kept up to {capacity.low:.1f}" if capacity.low else "no rate is established (more seconds=)"
    lines = [f"capacity at a {promise}: {capacity.rate:.1f} requests a second ({low}{high})"]
    if args.demand is not None:
        needed = capacity.replicas(args.demand)
        what = "not established: measure for longer" if needed is None else f"{needed} replica(s)"
        lines.append(f"for {args.demand:g} requests a second: {what}")
    if len(steps) == args.steps:
        lines.append("the search ended at steps=; more would narrow it")
    return lines


def main() -> None:
    """Compose the arguments with Hydra and exit with the contract's code."""
    quote_paths(PATHS)
    application(run, "loadtest", LoadtestArgs)


if __name__ == "__main__":
    main()
