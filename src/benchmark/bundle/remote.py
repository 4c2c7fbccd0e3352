"""`python -m src.benchmark remote=ssh://user@host sweep=NAME`: pack, send, measure there, fetch and import.

Each step goes on where an earlier try of the same command stopped: the bundle is packed once, files that are there and
whole are not sent again, and finished blocks are kept on the device. Several devices are measured at the same time.
Nothing is installed on a device, unless `install=true` makes an environment in the bundle's own folder there.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from src.benchmark.bundle.candidates import Asked, candidates_of
from src.benchmark.bundle.checked import printable
from src.benchmark.bundle.contents import MODULES, PYTHON, file_of
from src.benchmark.bundle.incoming import check_name, import_results
from src.benchmark.bundle.pack import pack
from src.benchmark.bundle.plan import FILE, PROTOCOL, Plan, altered, read_plan
from src.benchmark.bundle.results import FILE as RESULTS
from src.benchmark.bundle.ssh import LOST, NO_CONNECTION, Link
from src.common.errors import EXIT_OK, EXIT_USAGE, LEAST_FREE, StageError, UserError
from src.common.hashes import hash_of, sha256_file
from src.decide.load import Saved
from src.records.schema import DeviceRecord
from src.records.sweep_folder import SweepFolder

SMALL = 1 << 18  # bytes; files below travel in one archive
SPARE = 32 << 20  # bytes that must be left beside the bundle, for detections, samples and results
RUNNER = "run.py"
Say = Callable[[str], None]
Failed = tuple[str, Exception]  # name of the device, and why


@dataclass(frozen=True)
class Device:
    """A device to measure on."""

    name: str  # that its results are imported under
    link: Link


@dataclass(frozen=True)
class Trip:
    """What all devices share."""

    saved: Saved
    bundle: Path
    folder: str  # there; a folder of the bundle's own is made in it
    install: bool
    replace: bool

    def open_devices(self, devices: Sequence[Device]) -> list[Device]:
        """Devices that have no results of this very bundle yet.

        Raises:
            UserError: one has results of another bundle.
        """
        _, sha256 = read_plan(self.bundle)
        place = SweepFolder(self.saved.folder)
        left = []
        for device in devices:
            known = self.saved.devices.get(device.name)
            if known is not None and known.bundle_sha256 == sha256 and not self.replace:
                continue
            check_name(device.name, place, self.replace)
            left.append(device)
        return left


def packed(saved: Saved, asked: Asked, outputs: Path, say: Say) -> Path:
    """The bundle for these wishes: packed once, and taken again by the same command."""
    chosen, _ = candidates_of(saved, asked)
    identity = [
        PROTOCOL,
        saved.sweep.sweep,
        [[c.artifact.sha256, c.runtime] for c in chosen],
        vars(asked) | {"benchmark": vars(asked.benchmark)},
        [sha256_file(file_of(module)) for module in MODULES],
    ]
    folder = outputs / "bundles" / f"{saved.sweep.sweep}-{hash_of(identity)}"
    if folder.exists() and not _whole(folder):
        say(f"{folder} is not as it was packed; it is packed again")
        shutil.rmtree(folder)
    if not folder.exists():
        pack(saved, folder, asked, say)
    say(f"bundle: {folder}")
    return folder


def _whole(folder: Path) -> bool:
    try:
        plan, _ = read_plan(folder)
    except UserError:
        return False
    return not altered(plan, folder)


def measure_on(devices: Sequence[Device], trip: Trip, say: Say) -> tuple[list[DeviceRecord], list[Failed]]:
    """Measure on all devices at once; what one lacks does not stop the others.

    Returns:
        Records of those that came through, and the others with the reason.
    """
    records: list[DeviceRecord] = []
    failed: list[Failed] = []
    lock = threading.Lock()

    def one(device: Device) -> None:
        def told(text: str) -> None:
            with lock:
                say(f"{device.name}: {printable(text)}")

        try:
            with tempfile.TemporaryDirectory(prefix="detsweep-results-") as home:
                file = _there(device, trip, Path(home), told)
                with lock:
                    records.append(import_results(trip.saved, file, device.name, replace_old=trip.replace))
        except (UserError, StageError, OSError) as error:
            with lock:
                failed.append((device.name, error))

    with ThreadPoolExecutor(max(len(devices), 1)) as pool:
        try:
            list(pool.map(one, devices))
        except BaseException:
            for device in devices:
                device.link.stop()
            raise
    return records, failed


def _there(device: Device, trip: Trip, home: Path, say: Say) -> Path:
    """Send the bundle, run it, fetch its results."""
    plan, sha256 = read_plan(trip.bundle)
    link = device.link
    # With the device's name, since machines may share their home folders.
    there = f"{trip.folder.rstrip('/')}/{device.name}-{sha256[:12]}"
    files = {**plan.files, FILE: sha256}
    found = link.ask("look", folder=there, files=files)
    if tuple(found["python"][:2]) < PYTHON:
        version = ".".join(map(str, found["python"]))
        what = "Python 3.9 or newer is needed on the device"
        raise UserError(what, value=f"{link.host.name}: {version}", remedy="python=PATH")
    if not found["numpy"] and not trip.install:
        raise UserError(
            "numpy is not installed on the device, and nothing is installed there unasked",
            value=link.host.name,
            remedy="install=true, which makes an environment in the bundle's own folder there; or python=PATH",
        )
    _send(link, trip.bundle, there, {name: files[name] for name in found["missing"]}, int(found["free"]), say)
    python = _installed(link, plan, there, bool(found["venv"]), say) if trip.install else link.python
    code, err = link.follow(there, [python, RUNNER, "--with-parent"], say)
    if code == NO_CONNECTION:
        raise StageError("remote", link.host.name, f"the connection was lost; {LOST}")
    if code != EXIT_OK:
        text = err.removeprefix("error: ") or f"the runner ended with {code}; {LOST}"
        raise UserError(text) if code == EXIT_USAGE else StageError("remote", link.host.name, text)
    link.fetch(f"{there}/{RESULTS}", home / RESULTS)
    return home / RESULTS


def _send(link: Link, bundle: Path, there: str, missing: dict[str, str], free: int, say: Say) -> None:
    """Send the files that are missing, the small ones together.

    Raises:
        UserError: the device has no room for them.
    """
    sizes = {name: (bundle / name).stat().st_size for name in missing}
    total = sum(sizes.values())
    if free < total + SPARE:
        raise UserError(
            "the device has no room for the bundle",
            value=f"{link.host.name}: {free / 1e6:.0f} MB free, {(total + SPARE) / 1e6:.0f} MB needed",
            remedy="folder=DIR on a larger disk, megabytes=10 for fewer pictures, or targets=[…] for fewer files",
        )
    small = [name for name, size in sizes.items() if size < SMALL]
    if small:
        say(f"sends {len(small)} small files, {sum(sizes[n] for n in small) / 1e6:.1f} MB")
        with tempfile.TemporaryDirectory(prefix="detsweep-send-") as home:
            archive = Path(home) / "small.tar"
            with tarfile.open(archive, "w") as stream:
                for name in small:
                    stream.add(bundle / name, name)
            _put(link, archive, there, "", {name: missing[name] for name in small})
    done = sum(sizes[name] for name in small)
    for name in sorted(sizes.keys() - set(small)):
        say(f"sends {name}, {sizes[name] / 1e6:.1f} MB; {done / 1e6:.0f} of {total / 1e6:.0f} MB are there")
        _put(link, bundle / name, there, name, {name: missing[name]})
        done += sizes[name]


def _put(link: Link, source: Path, there: str, name: str, files: dict[str, str]) -> None:
    """Send one file under a name of its own, and have it put in place there."""
    try:
        link.send(source, f"{there}/sent")
        wrong = link.ask("place", folder=there, name=name, files=files)["wrong"]
    except StageError as error:  # scp doesn't say that it is for want of room
        free = int(link.ask("look", folder=there, files={})["free"])
        if free < LEAST_FREE:
            what = f"its disk is full ({free / 1e6:.1f} MB free); with some room, {LOST}"
            raise StageError("remote", link.host.name, what) from None
        raise error
    if wrong:
        raise StageError("remote", link.host.name, f"{wrong[0]} did not arrive whole; {LOST}")


def _installed(link: Link, plan: Plan, there: str, made: bool, say: Say) -> str:
    """An environment in the bundle's folder there, with the runtimes of the plan; returns its Python.

    Raises:
        StageError: it could not be made.
    """
    python = "venv/bin/python"
    # One that was stopped while it was made has a Python and no pip.
    if not made or link.run_guarded(there, [python, "-m", "pip", "--version"])[0]:
        say("makes an environment in the bundle's folder")
        _step(link, there, [link.python, "-m", "venv", "--clear", "venv"])
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    for package in ("numpy", *sorted(set(plan.packages.values()))):
        say(f"installs {package}")
        name, pinned, _ = package.partition("==")
        try:
            _step(link, there, [*pip, package])
        except StageError as error:
            if package == "numpy":
                raise
            # The Python there may be older than that version wants.
            if not pinned or link.run_guarded(there, [*pip, name])[0]:
                say(f"{package} can't be installed there and is skipped: {error.message}")
            else:
                say(f"{package} can't be installed there: another version of it is taken, and told in the report")
    return python


def _step(link: Link, there: str, words: list[str]) -> None:
    code, err = link.run_guarded(there, words)
    if code:
        reason = err.splitlines()[-1] if err else f"it ended with {code}"
        raise StageError("remote", link.host.name, f"{' '.join(words)}: {reason}")
