"""The words `pack` and `import` of `python -m src.benchmark`, and `remote=…`: both, with the measuring between."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import MISSING

from src.cli.command import application, quote_paths
from src.common.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, UserError
from src.config.checks import check_benchmark
from src.config.idle_keys import Idle, refuse_idle
from src.config.schema import BenchmarkConfig
from src.config.strictness import refuse_unwritable

if TYPE_CHECKING:
    from src.benchmark.bundle.candidates import Asked
    from src.benchmark.bundle.remote import Device
    from src.records.schema import DeviceRecord

PLAIN_PATH = re.compile(r"[A-Za-z0-9._/][A-Za-z0-9._/-]*")
GROUPS = {"benchmark": "standard"}


@dataclass
class PackArgs:
    """Arguments of `pack`."""

    sweep: str = "latest"  # name of a sweep, or latest
    out: str | None = None  # new folder
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    engines: list[str] = field(default_factory=list)  # [] = those that the sweep verified with
    targets: list[str] = field(default_factory=list)  # format/precision; [] = all that the finalists have
    trials: list[int] = field(default_factory=list)  # [] = all finalists
    images: int | None = None  # of the accuracy check; null = as many as fit into `megabytes`
    megabytes: float = 50.0  # for all pictures
    pictures: str = "bytes"  # bytes | references: private pictures stay where they are and are found by name and hash
    processor: str = "cpu"  # that engines are asked for there: cpu, cuda or cuda:N
    threads: int = 0  # 0 = all cores there
    seed: int = 0
    outputs: str = "outputs"


@dataclass
class RemoteArgs(PackArgs):
    """Arguments of `remote=…`."""

    remote: str = MISSING  # ssh://[user@]host[:port], several with commas
    device: str | None = None  # names that the devices are decided by, in this order; null = those of the hosts
    folder: str = "detsweep"  # there, relative to the home folder: bundles get a folder each in it
    install: bool = False  # make an environment with the runtimes in the bundle's folder there
    replace: bool = False  # forget what earlier results under these names brought
    python: str = "python3"  # there
    ssh_config: str | None = None  # for ssh's -F; null = the user's own


@dataclass
class ImportArgs:
    """Arguments of `import`."""

    sweep: str = "latest"
    results: str | None = None  # results.json, as the device left it
    device: str | None = None  # name that the device is decided by
    replace: bool = False  # forget what an earlier import under this name brought
    outputs: str = "outputs"


OF_PACK: list[Idle[PackArgs]] = [
    Idle("megabytes", lambda a: a.pictures != "references", "bounds pictures, and none travel", "pictures=bytes"),
    Idle("megabytes", lambda a: a.images is None, "is for a number of pictures that is open", "leave out images"),
]
OF_REMOTE: list[Idle[RemoteArgs]] = [
    Idle("out", lambda a: False, "is heeded by pack; the bundle lies in the folder `outputs` here", "leave it out"),
]


def run_pack(args: PackArgs) -> int:
    """Write a bundle, and say what is in it."""
    from src.benchmark.bundle.pack import pack
    from src.decide.load import load_sweep
    from src.records.find_sweep import find_sweep

    check_benchmark(args.benchmark)
    refuse_idle(args, OF_PACK)
    if not args.out:
        raise UserError("pack needs a new folder", remedy="out=DIR")
    refuse_unwritable(out=args.out)
    folder = find_sweep(Path(args.outputs), args.sweep)
    made = pack(load_sweep(folder), Path(args.out), asked_of(args), print)
    plan = made.plan
    for item in plan.left_out:
        print(f"left out {item.target}: {item.reason}")
    print(
        f"{len(plan.candidates)} candidates, {len(plan.pictures)} of {plan.images_in_split} images of {plan.split}; "
        f"model files {made.artifact_bytes / 1e6:.1f} MB, all else {made.other_bytes / 1e6:.1f} MB"
    )
    print(f"bundle {made.sha256[:12]} written to {args.out}; there: python run.py")
    return EXIT_OK


def asked_of(args: PackArgs) -> Asked:
    """What a bundle should hold, from the arguments of `pack` or `remote`."""
    from src.benchmark.bundle.candidates import Asked
    from src.benchmark.bundle.plan import check_processor

    check_processor(args.processor)
    return Asked(
        args.benchmark,
        args.engines,
        args.targets,
        args.trials,
        args.images,
        args.megabytes,
        args.pictures,
        args.processor,
        args.threads,
        args.seed,
    )


def run_import(args: ImportArgs) -> int:
    """Take results over, and print what they say."""
    from src.benchmark.bundle.incoming import import_results
    from src.decide.load import load_sweep
    from src.records.find_sweep import find_sweep

    if not args.results or not args.device:
        key = "results=FILE" if not args.results else "device=NAME"
        raise UserError(
            f"import needs {key}", remedy="python -m src.benchmark import results=FILE sweep=NAME device=NAME"
        )
    folder = find_sweep(Path(args.outputs), args.sweep)
    record = import_results(load_sweep(folder), Path(args.results), args.device, replace_old=args.replace)
    show(record)
    return EXIT_OK


def run_remote(args: RemoteArgs) -> int:
    """Measure on devices behind ssh, and print what each says."""
    from src.benchmark.bundle.remote import Trip, measure_on, packed
    from src.decide.load import load_sweep
    from src.records.find_sweep import find_sweep

    check_benchmark(args.benchmark)
    devices = devices_of(args)
    if args.pictures != "bytes":
        raise UserError(
            "remote sends the pictures along", value=f"pictures={args.pictures}", remedy="pack, and carry it"
        )
    refuse_idle(args, OF_PACK)
    refuse_idle(args, OF_REMOTE)
    folder = find_sweep(Path(args.outputs), args.sweep)
    saved = load_sweep(folder)
    trip = Trip(
        saved, packed(saved, asked_of(args), Path(args.outputs), print), args.folder, args.install, args.replace
    )
    left = trip.open_devices(devices)
    for device in devices:
        if device not in left:
            print(f"{device.name}: measured already, by this very bundle; replace=true measures again")
    records, failed = measure_on(left, trip, lambda text: print(text, flush=True))
    for record in records:
        show(record)
    for name, error in failed:
        print(f"error: {name}: {error}", file=sys.stderr)
    if not failed:
        return EXIT_OK
    return EXIT_USAGE if any(isinstance(error, UserError) for _, error in failed) else EXIT_FAILED


def devices_of(args: RemoteArgs) -> list[Device]:
    """The devices that the arguments name.

    Raises:
        UserError: an address, name, folder or program is none.
    """
    from src.benchmark.bundle.remote import Device
    from src.benchmark.bundle.ssh import Link, host_of

    hosts = [host_of(word.strip()) for word in args.remote.split(",")]
    names = [word.strip() for word in args.device.split(",")] if args.device else [host.name for host in hosts]
    if len(names) != len(hosts):
        raise UserError("device must name as many devices as remote", value=args.device, remedy="device=pi5,jetson")
    if len(set(names)) != len(names):
        raise UserError("two devices have the same name", value=",".join(names), remedy="device=pi5,jetson")
    if len({(host.name, host.port) for host in hosts}) != len(hosts):
        what = "remote names a device twice, and two runs on one would measure each other"
        raise UserError(what, value=args.remote, remedy="each device once")
    for key, value in (("folder", args.folder), ("python", args.python)):
        if not PLAIN_PATH.fullmatch(value):
            what = f"{key} must be a plain path there (letters, digits, '.', '_', '-', '/')"
            raise UserError(what, value=value, remedy=f"{key}={getattr(RemoteArgs, key)}")
    if args.ssh_config is not None and not Path(args.ssh_config).is_file():
        raise UserError("ssh_config names a file that does not exist", value=args.ssh_config)
    return [
        Device(name, Link(host, args.python, args.ssh_config or "")) for name, host in zip(names, hosts, strict=True)
    ]


def show(record: DeviceRecord) -> None:
    """Print a device's record as a table."""
    from rich.console import Console

    from src.benchmark.results import render, rows

    console = Console(width=None if sys.stdout.isatty() else 160)
    names = {m.artifact_sha256: f"{m.format}/{m.precision} {m.artifact_sha256[:8]}" for m in record.measurements}
    console.print(render(rows(record.measurements, record.verifications, names), wide=console.width >= 150))
    lines = [f"{key}: {value}" for key, value in record.facts.items()] + [f"note: {note}" for note in record.notes]
    lines += [f"skipped {f.target} ({f.stage}): {f.message}" for f in record.failures]
    lines.append(
        f"{record.device} is a device of sweep {record.sweep} now; decision.device={record.device} decides on it"
    )
    for line in lines:
        console.print(line, highlight=False, markup=False)


COMMANDS: dict[str, Callable[[], None]] = {
    "pack": lambda: application(run_pack, "benchmark", PackArgs, GROUPS),
    "import": lambda: application(run_import, "benchmark", ImportArgs),
    "remote": lambda: application(run_remote, "benchmark", RemoteArgs, GROUPS),
}


def main(word: str) -> None:
    """Run one of the commands with the words after its own, and exit."""
    quote_paths(("out", "results", "outputs", "remote", "device", "folder", "python", "ssh_config"))
    COMMANDS[word]()
