"""What the service can be told, and which values make sense."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from src.common.errors import UserError
from src.config.idle_keys import Idle, refuse_idle
from src.config.ranges import PORTS, refuse_outside
from src.config.schema import TrackingConfig
from src.machine.environment import cores
from src.monitor.settings import MonitorConfig
from src.monitor.settings import check as check_monitor
from src.track.ui import is_local

TOKEN = "DETSWEEP_SERVE_TOKEN"
SHORTEST = 16  # characters of a token
REGISTERED = "models:/"


@dataclass
class LiveConfig:
    """Keys of `live`: a challenger beside the champion."""

    challenger: str | None = None  # as `model`; null = none
    folder: str = "outputs/live"  # of the comparison's records
    name: str = "live"  # decides which key meets which model
    mode: str = "split"  # split: each answers a share; shadow: both answer, the champion is shown; canary: in steps
    share: float = 0.5  # of the challenger, in a split
    steps: list[float] = field(default_factory=lambda: [0.01, 0.05, 0.2, 0.5])  # its shares, in a canary
    step_images: int = 200  # that it answers before the next step of a canary
    margin: float = 0.01  # F1 that the challenger may be worse by


@dataclass
class ServeArgs:
    """Arguments of the command."""

    model: str = "models:/detsweep@champion"  # models:/NAME@ALIAS, models:/NAME/VERSION, or a file
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1  # processes, each with the model and a share of the cores
    threads: int = 0  # of each process's engine; 0 = as measured for a registered model, else its share of the cores
    runtime: str | None = None  # null = as measured, else the first engine here that runs the file
    device: str = "cpu"
    conf: float | None = None  # lowest score; null = the registered model's own threshold, else 0.25
    iou: float = 0.7  # overlap above which two boxes of a class are one
    max_det: int = 300  # per picture
    names: str | None = None  # data.yaml with the names, where the file has none
    batch: int = 1  # most pictures in one call of the network
    wait_ms: float = 2.0  # longest wait for a batch to fill
    queue: int = 64  # pictures that may wait in a process; further ones are told to come again (429)
    max_bytes: int = 20_000_000  # of a request
    max_pixels: int = 50_000_000  # of a picture, read from its header before it is decoded
    max_held: int = 512_000_000  # bytes of requests and decoded pictures that a process holds at once
    max_connections: int = 512  # of a process
    timeout_s: float = 30.0  # for a request to arrive, and for its answer
    drain_s: float = 20.0  # for requests under way when the service is asked to end
    poll_s: float = 5.0  # between two looks at where the alias points
    monitor_log: str | None = None  # folder for a line about every answer; null = none
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    live: LiveConfig = field(default_factory=LiveConfig)
    outputs: str = "outputs"
    tracking: TrackingConfig = field(default_factory=lambda: TrackingConfig(name="local"))

    @property
    def registered(self) -> bool:
        """Whether the model comes from the registry."""
        return self.model.startswith(REGISTERED)


def token() -> str:
    """What requests must bring; "" where none is set."""
    return os.environ.get(TOKEN, "")


def _follows(a: ServeArgs) -> bool:
    """Whether an alias is looked at again and again; a live comparison pins its versions."""
    return a.registered and "@" in a.model and a.live.challenger is None


def _from_registry(a: ServeArgs) -> bool:
    return a.registered or (a.live.challenger or "").startswith(REGISTERED)


_LIVE = "is about a live comparison, and there is no challenger"
IDLE: list[Idle[ServeArgs]] = [
    Idle("wait_ms", lambda a: a.batch > 1, "is the wait for a batch to fill, and pictures run singly", "batch=4"),
    Idle(
        "poll_s",
        _follows,
        "is how often an alias is looked at, and what is served is fixed",
        "model=models:/NAME@ALIAS without live.challenger, or leave it out",
    ),
    Idle(
        "live.folder live.name live.mode live.share live.steps live.step_images live.margin",
        lambda a: a.live.challenger is not None,
        _LIVE,
        "live.challenger=models:/detsweep@challenger",
    ),
    Idle("live.share", lambda a: a.live.mode == "split", "is the challenger's in a split", "live.mode=split"),
    Idle("live.steps live.step_images", lambda a: a.live.mode == "canary", "is about a canary", "live.mode=canary"),
    Idle(
        "monitor.log_mb monitor.file_mb monitor.pictures monitor.pictures_mb",
        lambda a: a.monitor_log is not None,
        "is about the log of answers, which is not kept",
        "monitor_log=DIR",
    ),
    Idle(
        "monitor.false_alarms_per_day monitor.window_s monitor.window_images monitor.most_images",
        lambda a: a.registered,
        "needs the look of val, which a registered model alone brings along",
        "model=models:/NAME@ALIAS, or python -m src.monitor log=DIR profile=FILE afterwards",
    ),
    Idle("monitor.workers", lambda _: False, "is as many as the service has processes", "workers=2"),
    Idle(
        "tracking.uri", _from_registry, "says where the registry is, and a file is served", "model=models:/NAME@ALIAS"
    ),
    Idle(
        "names",
        lambda a: not a.registered or not (a.live.challenger or REGISTERED).startswith(REGISTERED),
        "names the classes of a file, and a registered model has its own",
        "leave it out",
    ),
]


def check_arguments(args: ServeArgs) -> None:
    """Refuse values that make no sense, and an address that others can reach without a token.

    Raises:
        UserError: naming the key, its value and the remedy.
    """
    ranges = {
        "port": (args.port, *PORTS),
        "workers": (args.workers, 1, cores()),
        "threads": (args.threads, 0, cores()),
        "conf": (0 if args.conf is None else args.conf, 0, 1),
        "iou": (args.iou, 0, 1),
        "max_det": (args.max_det, 1, 10_000),
        "batch": (args.batch, 1, 256),
        "wait_ms": (args.wait_ms, 0, 1000),
        "queue": (args.queue, 1, 100_000),
        "max_bytes": (args.max_bytes, 1000, 1 << 30),
        "max_pixels": (args.max_pixels, 1000, 1 << 30),
        "max_held": (args.max_held, 1000, 1 << 40),
        "max_connections": (args.max_connections, 1, 100_000),
        "timeout_s": (args.timeout_s, 0.1, 3600),
        "drain_s": (args.drain_s, 0, 3600),
        "poll_s": (args.poll_s, 0.1, 86_400),
    }
    refuse_outside(ranges)
    if args.workers > 1 and args.threads * args.workers > cores():
        share = cores() // args.workers
        raise UserError(
            f"{args.workers} processes of {args.threads} threads want more than the {cores()} cores here",
            value=f"threads={args.threads}",
            remedy=f"threads={share}, or threads=0",
        )
    check_monitor(args.monitor)
    refuse_idle(args, IDLE)
    _check_token(args.host)


def _check_token(host: str) -> None:
    word = token()
    if word and (len(word) < SHORTEST or not word.isascii() or not word.isprintable() or " " in word):
        raise UserError(f"{TOKEN} must be at least {SHORTEST} printable characters", remedy="openssl rand -hex 24")
    if not word and not is_local(host):
        raise UserError(
            f"others can reach this address, so {TOKEN} must be set",
            value=f"host={host}",
            remedy=f"export {TOKEN}=… (what `openssl rand -hex 24` prints), or leave host out",
        )
