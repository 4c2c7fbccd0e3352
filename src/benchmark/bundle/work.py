"""What a run on a device has done so far, in the folder `work`: after an interruption the same command goes on from it.

Every block, every accuracy pass and the state are files of their own, written whole. A run is bound to its bundle, its
machine and its libraries: blocks of two machines, or of two versions of an engine, are not one measurement.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from src.common.errors import UserError, is_disk_full
from src.common.whole_files import clear_asides, lock, text_of, write_text
from src.records.parsing import RecordError, parse

Answer = dict[str, Any]


@dataclass
class State:
    """What a run was begun with."""

    bundle_sha256: str
    host: str  # fingerprint of the machine
    python: str
    libraries: dict[str, str]  # that engines run with
    options: dict[str, str]  # of the command line that decide what is measured
    candidates: list[str]  # ids of those that take part
    starts: list[str] = field(default_factory=list)  # when it was started, ISO 8601; the first, and after interruptions
    finished: bool = False  # whether its results were written: to start it again is no interruption


class Work:
    """The folder of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls: dict[str, int] = {}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs of the same bundle away: two at a time would measure each other.

        Raises:
            UserError: another one is going on, or nothing can be written there.
        """
        with self._lock_file() as stream:
            if not lock(stream.fileno(), wait=False):
                raise UserError(
                    "another run of this bundle is going on",
                    value=f"process {text_of(self.folder / 'pid') or 'unknown'}",
                    remedy="wait for it, or end that process and give the same command again",
                )
            write_text(self.folder / "pid", str(os.getpid()))
            clear_asides(self.folder.glob(".*"))
            with self._temporary():
                yield

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[None]:
        """Files that processes exchange lie here too: the system's own place may be full, or not be there."""
        place, names = self.folder / "tmp", ("TMPDIR", "TEMP", "TMP")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        before, kept = tempfile.tempdir, {name: value for name, value in os.environ.items() if name in names}
        tempfile.tempdir = str(place.absolute())
        os.environ.update(dict.fromkeys(names, tempfile.tempdir))
        try:
            yield
        finally:
            tempfile.tempdir = before
            for name in names:
                del os.environ[name]
            os.environ.update(kept)
            shutil.rmtree(place, ignore_errors=True)

    def _lock_file(self) -> TextIO:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return open(self.folder / "lock", "a+", encoding="ascii")
        except OSError as error:
            if is_disk_full(error):
                raise
            raise UserError(
                f"nothing can be written there ({error.strerror})",
                value=self.folder,
                remedy="--into DIR, a folder that can be written",
            ) from None

    def begin(self, state: State, now: str = "") -> State:
        """Begin a run, or go on with one of the same kind; returns what it was begun with.

        Raises:
            UserError: what lies here is of another bundle, machine, library or option.
        """
        earlier = self.state()
        if earlier is not None:
            _same(earlier, state, self.folder)
        kept = state if earlier is None else earlier
        if not kept.finished:
            kept.starts.append(now or datetime.now(timezone.utc).isoformat(timespec="seconds"))
        self._keep(kept)
        return kept

    def finish(self, state: State) -> None:
        """The results are written."""
        self._keep(replace(state, finished=True))

    def _keep(self, state: State) -> None:
        write_text(self.folder / "state.json", json.dumps(asdict(state), indent=1, sort_keys=True))

    def state(self) -> State | None:
        """The state of a run that was begun; None where there is none.

        Raises:
            UserError: it is damaged.
        """
        path = self.folder / "state.json"
        if not path.is_file():
            return None
        try:
            return parse(State, json.loads(path.read_text(encoding="utf-8")), str(path))
        except (ValueError, RecordError) as error:
            raise UserError(
                f"the state of an earlier run is damaged ({error})", remedy="python run.py --fresh"
            ) from None

    def clear(self) -> None:
        """Forget what was done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def next_block(self, candidate: str, make: Callable[[], Answer]) -> Answer:
        """The next block of a candidate: from its file where an earlier start made it already, else made and kept."""
        turn = self._calls.get(candidate, 0)
        self._calls[candidate] = turn + 1
        return self.once(f"blocks/{candidate}-{turn:03d}", make)

    def once(self, name: str, make: Callable[[], Answer]) -> Answer:
        """The answer kept under a name, or made and kept."""
        path = self.folder / f"{name}.json"
        kept = text_of(path)
        if kept:
            with contextlib.suppress(ValueError):
                found: Answer = json.loads(kept)
                if isinstance(found, dict):
                    return found
        answer = make()
        write_text(path, json.dumps(answer, sort_keys=True))
        return answer

    def path(self, name: str) -> Path:
        """Where a file of the run lies."""
        return self.folder / name


def _same(earlier: State, now: State, folder: Path) -> None:
    """Raises UserError where a run can't go on."""
    changes = {
        "bundle": (earlier.bundle_sha256[:12], now.bundle_sha256[:12]),
        "machine": (earlier.host, now.host),
        "Python": (earlier.python, now.python),
        **{name: (version, now.libraries.get(name, "none")) for name, version in earlier.libraries.items()},
        **{f"--{name}": (value, now.options.get(name, "")) for name, value in earlier.options.items()},
    }
    for what, (before, after) in changes.items():
        if before != after:
            raise UserError(
                f"an earlier run lies in {folder}, of another {what}: its blocks and new ones are not one measurement",
                value=f"{before or 'none'} then, {after or 'none'} now",
                remedy="python run.py --fresh starts again and forgets it, --into DIR keeps both",
            )
