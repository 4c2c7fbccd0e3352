"""A sweep's folder among machines without a common file system: trials go to a store when they end, and come from it.

Beside a study in a database, which hands out the work, each machine has a sweep's folder of its own. A trial's folder
is sent whole when the trial has ended or is paused, before the study hears of it: what the study counts as done can be
fetched. What could not be sent stays here, and goes at the next start of the same command. What is fetched is verified
by its hash; of a trial that need not be exported, the record and the detections come, not the weights.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from src.common.errors import StageError, UserError
from src.common.hashes import hash_of, sha256_file
from src.common.whole_files import is_aside, whole_file, write_bytes, write_text
from src.machine.environment import environment
from src.objects import Objects
from src.objects.manifest import Manifest, Stored, content_key, manifest_key, read_manifest, trial_of_key
from src.records.schema import SweepRecord, TrialRecord
from src.records.store import load
from src.records.sweep_folder import TRIALS, SweepFolder, TrialFolder

log = logging.getLogger(__name__)

SENT = "sent.key"  # in a trial's folder: which record of it the store has
HERE = Path()
LOCAL = (SENT, "progress.json", TrialFolder(HERE).run_key.name)  # of no use elsewhere
SWEEP, DATA, DECIDES = SweepFolder(HERE).record.name, "data.json", "deciding.json"


class StoreExchange:
    """The exchange through a store.

    Args:
        objects: the store.
        name: of the sweep.
        places: the sweep's folder of this machine.
    """

    def __init__(self, objects: Objects, name: str, places: SweepFolder) -> None:
        self._objects, self._name, self._places = objects, name, places
        self._mark = hash_of([objects.url, name])

    def take_part(self, fingerprints: Iterable[str]) -> None:
        """Keep the fingerprints of the first machine, and compare those of the others."""
        own = json.dumps(sorted(fingerprints)).encode()
        key = self._key(DATA)
        if self._objects.make(key, own):
            return
        if self._objects.read(key) != own:
            raise UserError(
                "the dataset is not the one that the sweep in the store was begun with",
                value=f"{self._objects.url}/{key}",
                remedy="the same files on every machine, or another name (sweep=…)",
            )

    def fetch_sweep(self, identity: str) -> None:
        """The record of whoever began."""
        if not self._places.record.is_file() and (content := self._objects.read(self._key(SWEEP))) is not None:
            self._take(content, identity)

    def agree(self) -> bool:
        """The first record counts."""
        own = self._places.record.read_bytes()
        if self._objects.make(self._key(SWEEP), own):
            return True
        theirs = self._objects.read(self._key(SWEEP))
        record = load(SweepRecord, self._places.record)
        if theirs is None or json.loads(theirs)["run_id"] == record.run_id:
            return True
        self._take(theirs, record.identity)
        return False

    def _take(self, content: bytes, identity: str) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if json.loads(content)["identity"] == identity:
                write_bytes(self._places.record, content)
                return
        raise UserError(
            "the store has a sweep of this name, and it trains something else",
            value=f"{self._objects.url}/{self._key(SWEEP)}",
            remedy="another name (sweep=…), or remove it there",
        )

    def send(self, trial: int) -> None:
        """Contents first, the list of them last."""
        place = self._places.trial(trial)
        record = next((path for path in (place.record, place.paused) if path.is_file()), None)
        if record is None:
            return
        mark = f"{self._mark} {sha256_file(record)}"
        sent = place.path / SENT
        if sent.is_file() and sent.read_text(encoding="ascii") == mark:
            return
        files = {self._relative(path): self._sent(path) for path in self._files(place, trial)}
        found = load(TrialRecord, record)
        state = "finished" if record == place.record else "paused"
        made = Manifest(self._name, trial, state, len(found.history), files)
        self._objects.write(self._key(manifest_key(trial)), made.to_bytes())
        write_text(sent, mark)

    def send_all(self) -> None:
        """What an earlier start left."""
        for place in self._places.all_trials():
            if place.path.name.isdigit():
                self.send(int(place.path.name))

    def fetch(self, trial: int) -> None:
        """Its record comes last: what lies here without one is not finished."""
        place = self._places.trial(trial)
        if place.record.is_file() or (manifest := self._manifest(trial)) is None:
            return
        if manifest.state == "finished":
            self._bring(manifest, (name for name in manifest.files if not self._is_heavy(name, place)), place.record)
        elif _epochs(place.paused) < manifest.epochs:
            place.paused.unlink(missing_ok=True)
            shutil.rmtree(place.train, ignore_errors=True)  # a state of fewer epochs
            self._bring(manifest, manifest.files, place.paused)

    def fetch_all(self) -> None:
        """By the lists that the store has."""
        start = self._key("")
        for key in self._objects.keys(f"{start}{TRIALS}/"):
            if (trial := trial_of_key(key.removeprefix(start))) is not None:
                self.fetch(trial)

    def fetch_whole(self, trial: int) -> None:
        """Every file of the list; what is here as it should be is left alone."""
        if (manifest := self._manifest(trial)) is not None and manifest.state == "finished":
            self._bring(manifest, manifest.files, self._places.trial(trial).record)

    def decides(self) -> bool:
        """The first that says so; it stays so when it is started again."""
        key = self._key(DECIDES)
        own = hash_of([environment().host, str(self._places.path.absolute())])
        if self._objects.make(key, own.encode()) or self._objects.read(key) == own.encode():
            return True
        log.warning(
            "another machine decides this sweep, and has its report; to decide here, remove %s/%s and give the same "
            "command again",
            self._objects.url,
            key,
        )
        return False

    def _key(self, key: str) -> str:
        return f"{self._name}/{key}"

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._places.path).as_posix()

    def _is_heavy(self, name: str, place: TrialFolder) -> bool:
        return name.startswith(f"{self._relative(place.train)}/")

    def _files(self, place: TrialFolder, trial: int) -> Iterator[Path]:
        """What is sent of a trial: its files, and the ground truth that its detections are judged by."""
        for path in sorted(place.path.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(place.path).parts)
            if path.is_file() and not path.is_symlink() and not hidden and path.name not in LOCAL:
                yield path
        for path in sorted(self._places.ground_truths.glob("*-val.npz")):
            if not is_aside(path):
                yield path

    def _sent(self, path: Path) -> Stored:
        stored = Stored(sha256_file(path), path.stat().st_size)
        key = self._key(content_key(stored.sha256))
        if self._objects.size(key) != stored.bytes:
            self._objects.put(key, path)
        return stored

    def _manifest(self, trial: int) -> Manifest | None:
        content = self._objects.read(self._key(manifest_key(trial)))
        return None if content is None else read_manifest(content, self._name, trial)

    def _bring(self, manifest: Manifest, names: Iterable[str], last: Path) -> None:
        place = self._places.trial(manifest.trial)
        for name in sorted(names, key=lambda name: (self._places.path / name == last, name)):
            path = self._places.path / name
            shared = not path.is_relative_to(place.path)
            if not (path.is_file() and (shared or sha256_file(path) == manifest.files[name].sha256)):
                self._fetch(manifest.files[name], path, last if path == last else None)
        _check_record(last, manifest)
        write_text(place.path / SENT, f"{self._mark} {sha256_file(last)}")

    def _fetch(self, stored: Stored, path: Path, record: Path | None) -> None:
        """Download, verify, and only then give the file its name."""
        key = self._key(content_key(stored.sha256))
        with whole_file(path, sync=record is not None) as aside:
            try:
                self._objects.fetch(key, aside)
            except FileNotFoundError:
                raise StageError("fetch", path.name, f"the store has lost its content, {key}") from None
            if sha256_file(aside) != stored.sha256:
                raise StageError("fetch", path.name, f"{key} in the store is damaged: its content has another hash")


def _check_record(path: Path, manifest: Manifest) -> None:
    """Refuse a record that is not the trial's, or whose weights lie outside its folder."""
    record = load(TrialRecord, path)
    folder = path.parent.absolute()
    inside = record.checkpoint is None or Path(record.checkpoint.path).absolute().is_relative_to(folder)
    if (record.sweep, record.trial) != (manifest.sweep, manifest.trial) or not inside:
        path.unlink()
        raise StageError("fetch", manifest_key(manifest.trial), "its record is not one of this trial")


def _epochs(path: Path) -> int:
    """Epochs of a paused trial; -1 where there is none."""
    return len(load(TrialRecord, path).history) if path.is_file() else -1
