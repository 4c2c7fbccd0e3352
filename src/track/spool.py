"""The spool: what is written to runs, on disk, until a tracking server has taken it.

A run is a folder with its entries as JSON lines, in order. Writers append whole lines under a lock of the kernel's,
one sender at a time takes them off, and `state.json` says how far it is. A kill loses nothing: an unfinished line is
cut off by the next writer, and an entry whose answer was lost is sent again, which changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from src.common.whole_files import lock, write_text
from src.records.relative_paths import absolute, moved
from src.track.entries import EPOCH_METRIC
from src.track.refusals import Entry

LOCAL = "-local-"  # stands in the id of a run that no server has named yet, before the time of its start
SYSTEM = "system/"
_TAIL = 1 << 16


def is_local(run_id: str) -> bool:
    """Whether a run id is one of ours."""
    return LOCAL in run_id


@dataclass
class State:
    """How far a run's entries have reached the server."""

    run_id: str = ""  # the server's; "" = not started there
    tried: bool = False  # starting it was tried: look for it before trying again
    sent: int = 0  # bytes of the entries that the server has
    steps: dict[str, int] = field(default_factory=dict)  # highest step sent: epochs, system metrics
    open: bool = True

    def note(self, entry: Entry) -> None:
        """Remember what later questions need, so that entries may be dropped once they are sent."""
        kind = entry["kind"]
        if kind == "metrics":
            for name in {SYSTEM if key.startswith(SYSTEM) else key for key in entry["values"]} & {SYSTEM, EPOCH_METRIC}:
                self.steps[name] = max(self.steps.get(name, 0), int(entry["step"]))
        elif kind in ("start", "resume", "end"):
            self.open = kind != "end" or entry.get("status") == "KILLED"  # an interrupted run is not at its end


class SpooledFolder:
    """The entries of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = path.name
        self._records = path / "records.jsonl"

    def append(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            OSError: the disk takes no more; what was there before is whole.
        """
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
        with self._locked() as stream:
            end = _whole(stream)
            os.ftruncate(stream, end)
            try:
                while line:
                    line = line[os.write(stream, line) :]
            except OSError:
                os.ftruncate(stream, end)
                raise

    @property
    def outputs(self) -> Path:
        """The outputs folder that this lies in: `outputs/tracking/<server>/<run>`."""
        return absolute(self.path).parents[2]

    def placed(self, entry: Entry) -> Entry:
        """An entry that names files, with the outputs folder of now."""
        return {**entry, "outputs": str(self.outputs)} if entry["kind"] in ("files", "folder") else entry

    def found(self, entry: Entry) -> Entry:
        """An entry with the places where its files are now: the folder may have been moved or copied since."""
        then = entry.get("outputs", "")
        if "paths" in entry:
            return {**entry, "paths": [moved(path, then, self.outputs) for path in entry["paths"]]}
        return {**entry, "path": moved(entry["path"], then, self.outputs)} if "path" in entry else entry

    def pending(self) -> bool:
        """Whether entries wait."""
        try:
            size = self._records.stat().st_size
            return size > 0 and size > self.state().sent
        except OSError:
            return False

    def entries(self, begin: int = 0) -> Iterator[tuple[Entry, int]]:
        """Entries from a position on, each with the position after it."""
        if not self._records.is_file():
            return
        with open(self._records, "rb") as stream:
            stream.seek(begin)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                begin += len(line)
                yield json.loads(line), begin

    def state(self) -> State:
        """As saved; fresh where there is none that can be read, so that everything is sent again."""
        try:
            return State(**json.loads((self.path / "state.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return State(run_id="" if is_local(self.key) else self.key)

    def save(self, state: State) -> None:
        """Save how far the sender is. Without a flush to the disk: what is lost with the power is sent again."""
        write_text(self.path / "state.json", json.dumps(asdict(state)), sync=False)

    def now(self) -> State:
        """The state as it will be when everything has been sent."""
        state = self.state()
        for entry, _ in self.entries(state.sent):
            state.note(entry)
        return state

    def compact(self, state: State) -> None:
        """Drop the entries when all of them have been sent."""
        with self._locked() as stream:
            if os.lseek(stream, 0, os.SEEK_END) != state.sent or not state.sent:
                return
            state.sent = 0
            self.save(state)  # first: killed between the two, everything is sent again
            os.ftruncate(stream, 0)

    @contextlib.contextmanager
    def sending(self) -> Iterator[bool]:
        """Hold the right to send this run's entries; false while another process has it."""
        stream = os.open(self.path / "send.lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            yield lock(stream, wait=False)
        finally:
            os.close(stream)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        stream = os.open(self._records, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o644)
        try:
            lock(stream)
            yield stream
        finally:
            os.close(stream)


def _whole(stream: int) -> int:
    """Where the last whole line of a file ends."""
    end = os.lseek(stream, 0, os.SEEK_END)
    while end > 0:
        begin = max(end - _TAIL, 0)
        cut = os.pread(stream, end - begin, begin).rfind(b"\n")
        if cut >= 0:
            return begin + cut + 1
        end = begin
    return 0


class Spool:
    """The runs of one server, in a folder.

    Args:
        root: the folder; `ids/` in it says which run the server knows by which id.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "ids").mkdir(parents=True, exist_ok=True)

    def create(self, entry: Entry) -> SpooledFolder:
        """A new run that begins with `entry`."""
        folder = SpooledFolder(self.root / f"{secrets.token_hex(4)}{LOCAL}{time.time_ns():019d}")
        folder.path.mkdir()
        folder.append(entry)
        return folder

    def find(self, run_id: str) -> SpooledFolder | None:
        """The run known by an id, its own or the server's; None where this spool has never seen it."""
        if (self.root / run_id).is_dir():
            return SpooledFolder(self.root / run_id)
        link = self.root / "ids" / run_id
        return SpooledFolder(self.root / link.read_text(encoding="utf-8")) if link.is_file() else None

    def adopt(self, run_id: str) -> SpooledFolder:
        """A run that the server has, and that this spool sees for the first time."""
        folder = SpooledFolder(self.root / run_id)
        folder.path.mkdir(exist_ok=True)
        return folder

    def name(self, folder: SpooledFolder, state: State, run_id: str) -> None:
        """Note the id that the server gave."""
        write_text(self.root / "ids" / run_id, folder.key)
        state.run_id = run_id
        folder.save(state)

    def waiting(self) -> list[SpooledFolder]:
        """Runs with entries that wait, the first started first."""
        found = (SpooledFolder(Path(item.path)) for item in os.scandir(self.root) if item.name != "ids")
        return sorted(
            (folder for folder in found if folder.pending()), key=lambda folder: folder.key.rpartition(LOCAL)[2]
        )

    def left(self) -> int:
        """Number of entries that wait."""
        return sum(1 for folder in self.waiting() for _ in folder.entries(folder.state().sent))
