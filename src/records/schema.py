"""Frozen records that the rooms hand to each other, with units in their names, to and from JSON.

Everything a report says comes from these records as they were saved, so a record holds what was measured and where
it came from, never a rendering of it. Files are written aside, flushed and renamed: a record that exists is whole.
Nothing but the standard library is imported here, so that reading records costs no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from src.records.model_io import Input, Output
from src.records.parsing import RecordError as RecordError
from src.records.relative_paths import PLACE

SCHEMA_VERSION = 1

State = Literal["complete", "failed", "pruned", "infeasible"]  # infeasible: it broke a constraint before training
Role = Literal["search", "confirm", "replicate"]
FailureKind = Literal["unavailable", "error", "refused"]  # refused: not run, because it could not win
Scope = Literal["model_only", "end_to_end"]
AccuracyGate = Literal["pass", "warn", "fail", "reference", "none"]  # none: there was no reference


@dataclass(frozen=True)
class DatasetRef:
    """A prepared dataset in the internal YOLO layout (`images/<split>`, `labels/<split>`, `data.yaml`)."""

    name: str
    yaml: str = field(metadata=PLACE)  # path of the data.yaml that Ultralytics reads
    fingerprint: str  # sha256 over images and labels of all splits, independent of the folder
    split_sizes: dict[str, int]  # images per split: train, val, test
    class_names: list[str]  # index = class id
    warnings: list[str] = field(default_factory=list)  # findings of the check, for the report's risks
    split_fingerprints: dict[str, str] = field(default_factory=dict)  # sha256 per split


@dataclass(frozen=True)
class Checkpoint:
    """A trained PyTorch checkpoint, the source of every artifact."""

    path: str = field(metadata=PLACE)
    sha256: str  # of the file
    weights_sha256: str  # over the tensors alone: equal for bit-identical trainings
    model: str
    imgsz: int
    seed: int
    epochs: int  # epochs really trained
    best_epoch: int  # 1-based
    # "pretrained:<name>", "file:<name>", "snapshot:<folder>", "scratch" or "scratch (no pretrained weights at hand)"
    start: str
    parameters: int
    gflops: float  # of one image at imgsz
    family: str = "ultralytics"  # that trained it and loads it, a key of src.models.base.MODULES
    licence: str = ""  # SPDX expression that binds the weights; "" in records of earlier versions
    input: Input | None = None  # None in records of earlier versions: the family tells it on loading
    output: Output | None = None


@dataclass(frozen=True)
class Artifact:
    """One exported model file."""

    format: str  # pytorch, torchscript, onnx, openvino, litert, tensorrt
    precision: str  # fp32, fp16, int8, …
    path: str = field(metadata=PLACE)
    sha256: str
    size_bytes: int
    input_shape: list[int]  # n, c, h, w as exported; -1 marks a dynamic axis
    export_s: float
    source_sha256: str  # of the checkpoint it was made from
    tool_versions: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)  # read back from the file: types, quantised nodes, …
    names: list[str] = field(default_factory=list)  # of the classes, as the file declares them; empty: it doesn't
    family: str = "ultralytics"  # that loads it, where it is a checkpoint
    input: Input | None = None  # None: letterboxed into `input_shape`
    output: Output | None = None  # None: the plain output of a YOLO

    @property
    def label(self) -> str:
        """`format/precision`, as in metric names and tables."""
        return f"{self.format}/{self.precision}"


@dataclass(frozen=True)
class Latency:
    """Latencies of single calls. Percentiles the sample count can't support are None (MLPerf's rule, 99 %)."""

    count: int
    mean: float
    p50: float
    p90: float | None
    p95: float | None
    p99: float | None
    intervals: dict[str, list[float]] = field(default_factory=dict)  # name -> [low, high], 95 %
    unit: str = "ms"


@dataclass(frozen=True)
class Measurement:
    """What one artifact costs on one runtime at one batch size, measured in a process of its own."""

    format: str
    precision: str
    artifact_sha256: str
    runtime: str
    runtime_version: str
    device: str
    scope: Scope
    batch: int
    threads: int
    imgsz: int
    latency: Latency
    throughput_ips: float  # images per second
    load_ms: float  # file to ready session
    cold_ms: float  # first call
    memory_mb: float  # peak resident set above an empty process of the same kind
    size_bytes: int
    samples_file: str  # JSON with the raw samples, relative to the sweep's folder
    extra: dict[str, float] = field(default_factory=dict)  # further figures, e.g. preprocess_ms
    # Statistic (p50, p90, p95, p99, mean) -> its value in every round, ms; `src.common.speed` compares by them.
    rounds: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """Accuracy of one artifact through one runtime on a whole split, against its PyTorch source."""

    format: str
    precision: str
    artifact_sha256: str
    runtime: str
    split: str
    metrics: dict[str, float]  # mAP50-95, mAP50, precision, recall, f1
    reference_map: float  # mAP50-95 of the PyTorch source on the same images
    gate: AccuracyGate
    detections_file: str  # npz, relative to the sweep's folder
    notes: list[str] = field(default_factory=list)
    extra: dict[str, float] = field(default_factory=dict)  # further figures, e.g. max_abs_error


@dataclass(frozen=True)
class LayerLoss:
    """How much noise static INT8 adds to one layer: ratio of signal to quantisation noise, dB; less is worse."""

    layer: str
    alone_db: float  # its own input and weights rounded, everything before it float
    here_db: float  # in the INT8 network, with what has gathered before it
    weights: int


@dataclass(frozen=True)
class KeptFloat:
    """One attempt at mixed precision: which layers stayed float, and what came of it on val."""

    format: str
    precision: str
    artifact_sha256: str
    layers: list[str]
    lowest: float  # mAP50-95 on the runtime that lost most
    reference_map: float
    gate: AccuracyGate  # the worst of its runtimes
    taken: bool  # whether it replaced the file without such layers


@dataclass(frozen=True)
class Failure:
    """Something that did not happen, and why."""

    stage: str
    target: str
    kind: FailureKind
    message: str


@dataclass(frozen=True)
class Environment:
    """Where a number was measured."""

    host: str  # fingerprint of processor, cores and memory; never the host's name
    cpu: str
    cores: int
    memory_gb: float
    gpu: str
    python: str
    platform: str
    libraries: dict[str, str]
    git_commit: str
    git_dirty: bool
    lock_sha256: str


@dataclass(frozen=True)
class TrialRecord:
    """One training: a configuration with one seed."""

    sweep: str
    trial: int
    state: State
    model: str
    imgsz: int
    lr: float
    seed: int
    overrides: list[str]  # what the sweep set for this trial, as typed
    config_id: str  # hash of the configuration without its seed: replicates share it
    config_hash: str  # hash with the seed
    run_id: str  # MLflow run; "" when tracking is off
    started_at: str  # ISO 8601, UTC
    finished_at: str
    environment: Environment
    dataset: DatasetRef | None = None
    checkpoint: Checkpoint | None = None
    role: Role = "search"  # confirm: trained again, after the choice; replicate: a further seed that settles it
    metrics: dict[str, float] = field(default_factory=dict)  # val/mAP50-95, …
    history: list[dict[str, float]] = field(default_factory=list)  # a row per epoch
    timings_s: dict[str, float] = field(default_factory=dict)  # stage -> seconds
    energy_j: dict[str, float] = field(default_factory=dict)  # counter -> joules; empty where nothing counts them
    failures: list[Failure] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)  # resolved configuration, secrets taken out
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class FinalistRecord:
    """What the finalist stage found for one trial: artifacts, their accuracy and their cost."""

    sweep: str
    trial: int
    config_id: str
    run_id: str
    artifacts: list[Artifact] = field(default_factory=list)
    verifications: list[Verification] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    test_metrics: dict[str, float] = field(default_factory=dict)  # test/mAP50-95, … of the checkpoint
    timings_s: dict[str, float] = field(default_factory=dict)  # stage -> seconds; benchmarks are shared, see the sweep
    energy_j: dict[str, float] = field(default_factory=dict)  # counter -> joules
    failures: list[Failure] = field(default_factory=list)
    environment: Environment | None = None
    # Static INT8 of the network that quantisation-aware training began from, judged on the same images.
    post_training: list[Verification] = field(default_factory=list)
    # Artifact's sha256 -> its layers, the one that loses most by itself first; of static INT8 from ONNX.
    layer_losses: dict[str, list[LayerLoss]] = field(default_factory=dict)
    kept_float: list[KeptFloat] = field(default_factory=list)  # export.int8.keep=auto: every attempt
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class EvaluationRecord:
    """One artifact's accuracy on one split in depth, from its saved detections."""

    sweep: str
    trial: int
    run_id: str
    format: str
    precision: str
    artifact_sha256: str
    runtime: str
    split: str
    dataset_fingerprint: str
    n_images: int
    figures: dict[str, float]  # mAP50-95, AR@100, AP-small, mean-IoU, threshold, …
    intervals: dict[str, list[float]]  # name -> [low, high], 95 %, over images; NaN where none is claimed
    standard_errors: dict[str, float]  # name -> over images
    resamples: list[float]  # mAP50-95 of every resample; those of one seed and split are paired
    resample_seed: int
    per_class: list[dict[str, Any]]  # name, truths, groups of images that hold it, AP50-95, AP50
    errors: dict[str, int]  # kind -> count at the best threshold; true_positives and ignored too
    confusions: list[list[Any]]  # [true class, predicted class, objects only misnamed], the most frequent first
    curve: list[list[float]]  # [threshold, precision, recall, f1]
    also_called: list[list[Any]] = field(default_factory=list)  # [true class, other class, boxes], object found too
    # Objects by true class (rows, then background) and called class (columns, then missed), classes as in per_class.
    confusion_matrix: list[list[int]] = field(default_factory=list)  # [] in records of earlier versions
    n_groups: int = 0  # of images that are drawn together; 0: from before groups, every image by itself
    freedom: float = math.nan  # degrees of freedom of mAP50-95's variance over images; NaN: from before it was told
    interval_note: str = ""  # why no interval is claimed
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class ImageResamples:
    """A trial's mAP50-95 when the images of a split are drawn again and again: what pairs any two trials of a sweep."""

    sweep: str
    trial: int
    split: str
    dataset_fingerprint: str
    n_images: int
    n_groups: int  # images of one video or site, or near duplicates, are drawn together; else one group an image
    freedom: float  # degrees of freedom of the resamples' variance: what its quantile of Student's t takes
    resample_seed: int
    value: float  # mAP50-95 of the split as it is
    standard_error: float  # over images, moderated where a class is rare
    resamples: list[float]  # mAP50-95 of every resample
    weights: str = ""  # hash of what the draws were made from: records of equal weights are paired
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class DeviceRecord:
    """What a sweep's finalists cost, and still find, on another machine: the results of a bundle, checked and read in.

    Measurements and verifications pair with those of the finalists by `artifact_sha256` and `runtime`. Their files lie
    in the device's own folder.
    """

    sweep: str
    device: str  # the name that it is decided by
    protocol: int  # version of the measuring protocol that the bundle was made by
    bundle_sha256: str  # of the plan that was sent
    results_sha256: str  # of the file that came back
    measured_at: str  # ISO 8601, UTC, by the device's clock
    imported_at: str
    environment: Environment
    measurements: list[Measurement] = field(default_factory=list)
    verifications: list[Verification] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)  # of the run: highest temperature, throttling, interruptions
    notes: list[str] = field(default_factory=list)  # for the report: another version of a runtime, …
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class SweepRecord:
    """What was asked for, and how it ended."""

    sweep: str
    kind: str  # single, grid or study
    command: str
    run_id: str  # the parent run; "" when tracking is off
    identity: str  # hash of everything that decides what is trained
    space: dict[str, str]  # swept key -> its search space as typed
    n_trials: int
    objective: str  # metric that selects, e.g. val/mAP50-95
    decision: dict[str, Any]  # the decision group: constraints and weights
    started_at: str
    finished_at: str = ""  # "" while it runs
    failures: list[Failure] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)  # of the finalist stage as a whole -> seconds
    energy_j: dict[str, float] = field(default_factory=dict)  # of the finalist stage: counter -> joules
    test_openings: list[str] = field(default_factory=list)  # when the test split was opened, ISO 8601
    goals: list[str] = field(default_factory=list)  # objectives and constraints of the study, as typed
    looks: list[dict[str, Any]] = field(default_factory=list)  # study.until=decided: see `src.decide.looks`
    halving: dict[str, Any] = field(default_factory=dict)  # epochs, rungs and brackets, where trials were paused
    schema_version: int = SCHEMA_VERSION
