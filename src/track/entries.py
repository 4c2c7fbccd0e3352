"""Entries: what is written to a run, as plain data that can wait on disk; and how an entry reaches MLflow.

An entry carries its own time, so that it says the same whenever it arrives. MLflow keeps one of two equal metrics,
parameters, tags, inputs and files: an entry that is sent again, because its answer was lost, changes nothing.
Secrets are masked here, before anything is written anywhere.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.common.redaction import redact, redact_text
from src.records.schema import DatasetRef
from src.track.names import fit
from src.track.refusals import Entry, Refused, is_refusal, sieve

EPOCH_METRIC = "epoch"  # logged with the figures of every epoch: its last step is the last epoch that arrived
PARAM_LENGTH = 6000  # MLflow's limit on a parameter's value
TAG_LENGTH = 8000  # and on a tag's
NAME_LENGTH = 500  # and on a dataset's name
METRICS_AT_ONCE = 1000  # that MLflow takes in one request
MOST_AT_ONCE = 100  # parameters or tags that a server takes in one request


class Recorder:
    """Turns what is written to a run into entries; what becomes of them is for a subclass to say."""

    def __init__(self, run_id: str, last_epoch: int = 0) -> None:
        self.run_id = run_id
        self.last_epoch = last_epoch

    def _put(self, entry: Entry) -> None:
        raise NotImplementedError

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log finite metrics in one batch: a call each would cost a hundred times more on SQLite."""
        finite = {fit(name): float(value) for name, value in values.items() if math.isfinite(value)}
        self._put({"kind": "metrics", "values": finite, "step": step, "time": now_ms()})

    def series(self, values: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Log metrics that have a value at each of several steps, in as few calls as MLflow allows."""
        finite = {fit(name): [[s, float(v)] for s, v in points if math.isfinite(v)] for name, points in values.items()}
        self._put({"kind": "series", "values": finite, "time": now_ms()})

    def params(self, values: Mapping[str, Any]) -> None:
        """Log flattened parameters, secrets masked."""
        flat = flatten(redact(dict(values)))
        self._put({"kind": "params", "values": {fit(k): str(v)[:PARAM_LENGTH] for k, v in flat.items()}})

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags, secrets masked."""
        self._put({"kind": "tags", "values": masked(values)})

    def dataset(self, ref: DatasetRef) -> None:
        """Log the dataset as the run's input, with its fingerprint as the digest."""
        splits = {name: value[:16] for name, value in ref.split_fingerprints.items()}
        profile = json.dumps({"images": ref.split_sizes, "classes": len(ref.class_names), "fingerprints": splits})
        name, digest = ref.name[:NAME_LENGTH], ref.fingerprint[:36]
        self._put({"kind": "dataset", "name": name, "digest": digest, "profile": profile})

    def files(self, paths: Sequence[Path], folder: str) -> None:
        """Log files as artifacts under a folder of the run."""
        if paths:
            self._put({"kind": "files", "paths": [str(path.absolute()) for path in paths], "folder": folder})

    def folder(self, path: Path, folder: str) -> None:
        """Log a folder's files, with their tree, under a folder of the run."""
        self._put({"kind": "folder", "path": str(path.absolute()), "folder": folder})

    def end(self, status: str = "FINISHED") -> None:
        """Close the run: FINISHED, FAILED or KILLED."""
        self._put({"kind": "end", "status": status, "time": now_ms()})


def started(name: str, parent: str, tags: Mapping[str, str]) -> Entry:
    """The entry that a run begins with."""
    every = masked({"mlflow.source.name": "detsweep", **tags})
    return {"kind": "start", "name": redact_text(name), "parent": parent, "tags": every, "time": now_ms()}


def create(client: Any, experiment: str, entry: Entry, parent: str) -> str:
    """Start the run of a `start` entry under the parent's id in the store; returns its own."""
    tags = {**entry["tags"], **({"mlflow.parentRunId": parent} if parent else {})}
    run = client.create_run(experiment, start_time=entry["time"], tags=tags, run_name=entry["name"])
    return str(run.info.run_id)


def apply(client: Any, run_id: str, entry: Entry) -> list[Refused]:
    """Write an entry to a run of a store; returns the parts that the store won't have, with its reasons.

    Raises:
        OSError: the disk is full.
        Exception: whatever MLflow raises when the store is away.
    """
    match entry["kind"]:
        case "metrics":
            points = [(name, value, entry["step"]) for name, value in entry["values"].items()]
            return _metrics(client, run_id, entry, points)
        case "series":
            points = [(name, value, step) for name, found in entry["values"].items() for step, value in found]
            return _metrics(client, run_id, entry, points)
        case "params" | "tags":
            return _pairs(client, run_id, entry)
        case "files":
            return _files(client, run_id, entry)
    try:
        _whole(client, run_id, entry)
    except Exception as error:
        if not is_refusal(error):
            raise
        return [(entry, error)]
    return []


def _whole(client: Any, run_id: str, entry: Entry) -> None:
    """Write what can't be taken in part."""
    match entry["kind"]:
        case "dataset":
            _dataset(client, run_id, entry)
        case "folder":
            client.log_artifacts(run_id, entry["path"], entry["folder"])
        case "resume":
            client.update_run(run_id, status="RUNNING")
        case "end":
            client.set_terminated(run_id, entry["status"], entry["time"])


def _metrics(client: Any, run_id: str, entry: Entry, points: Sequence[tuple[str, float, int]]) -> list[Refused]:
    from mlflow.entities import Metric

    batch = [Metric(name, value, entry["time"], step) for name, value, step in points]
    refused: list[Refused] = []
    for first in range(0, len(batch), METRICS_AT_ONCE):
        some = batch[first : first + METRICS_AT_ONCE]
        for left, error in sieve(some, lambda part: client.log_batch(run_id, metrics=part)):
            values = [{"kind": "metrics", "values": {m.key: m.value}, "step": m.step} for m in left]
            refused += [(value, error) for value in values]
    return refused


def _pairs(client: Any, run_id: str, entry: Entry) -> list[Refused]:
    from mlflow.entities import Param, RunTag

    kind: Any = Param if entry["kind"] == "params" else RunTag
    pairs = list(entry["values"].items())

    def send(part: list[Any]) -> None:
        client.log_batch(run_id, **{entry["kind"]: [kind(name, value) for name, value in part]})

    refused: list[Refused] = []
    for first in range(0, len(pairs), MOST_AT_ONCE):
        found = sieve(pairs[first : first + MOST_AT_ONCE], send)
        refused += [({"kind": entry["kind"], "values": dict(left)}, error) for left, error in found]
    return refused


def _files(client: Any, run_id: str, entry: Entry) -> list[Refused]:
    refused: list[Refused] = []
    for path in entry["paths"]:
        try:
            client.log_artifact(run_id, path, entry["folder"])
        except Exception as error:
            if not is_refusal(error):
                raise
            refused.append(({**entry, "paths": [path]}, error))
    return refused


def _dataset(client: Any, run_id: str, entry: Entry) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name = entry["name"]
    found = Dataset(name=name, digest=entry["digest"], source_type="local", source=name, profile=entry["profile"])
    client.log_inputs(run_id, [DatasetInput(found, [InputTag("mlflow.data.context", "training")])])


def masked(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags with every secret masked."""
    return {fit(name): redact_text(str(value))[:TAG_LENGTH] for name, value in tags.items()}


def now_ms() -> int:
    """Milliseconds since the epoch, as MLflow counts time."""
    return int(time.time() * 1000)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings to dotted keys; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
