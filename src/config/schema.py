"""The typed configuration: one dataclass a group, registered as the schema that every YAML file is merged into.

The schema makes an unknown key or a value of the wrong type fail while the configuration is composed, before anything
runs. `src.config.checks` then refuses values that have the right type but make no sense. Frozen dataclasses fail to
compose, so these are plain; the program treats them as read-only all the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from src.common.hashes import hash_of
from src.config.exporting import CalibrationConfig, Int8Config
from src.config.strictness import refuse_unknown
from src.config.training import AugmentConfig, ModelConfig, TrainConfig, Training
from src.records.tiling import Tiling, tiling_of

SAMPLES_FOR = {"p90": 64, "p95": 130, "p99": 662}  # MLPerf's formula, 99 % confidence


class Pruner(Enum):
    """What stops trials that can't win: by their validation mAP50-95 per epoch, or (wilcoxon) per replicate."""

    none = "none"
    median = "median"
    asha = "asha"
    hyperband = "hyperband"
    threshold = "threshold"
    wilcoxon = "wilcoxon"


@dataclass
class DataConfig:
    """Group `data`: which dataset, and how to prepare it."""

    name: str = MISSING
    kind: str = MISSING  # digits | yolo | coco | voc | label_studio | cvat | coco128 | tiny_person | roboflow
    path: str | None = None  # data.yaml or folder of a user's own dataset
    source: str | None = None  # folder that tiny_person and coco128 take their images from
    n_train: int = 240
    n_val: int = 60
    n_test: int = 60
    size: int = 320  # side of a generated scene, px
    seed: int = 0  # of generation and of splits; not the training seed
    on_error: str = "stop"  # stop | skip: what an error of the check does; skip leaves the image out and says so
    fraction: float = 1.0  # stratified part of every split, for a quick try
    val_share: float = 0.15  # of a seeded split, where the source has none
    test_share: float = 0.15
    n_calibration: int = 100  # train images that INT8 calibration may use, at most
    verify: bool = False  # read every byte again instead of trusting size, time and inode
    decoder: str = "opencv"  # opencv | turbojpeg | auto (TurboJPEG where it is installed): decodes for training
    loader: str | None = None  # entry point of the group detsweep.image_loaders that opens pictures; null = as they are
    trust_loaders: bool = False  # run the code of the package that declares `loader`
    group: str | None = None  # pattern over file names; what it captures (video, site) is drawn together in intervals
    one_based: bool = False  # Pascal VOC's own files count pixels from 1, those of most tools from 0
    workspace: str | None = None  # of Roboflow
    project: str | None = None
    version: int | None = None


@dataclass
class ExportConfig:
    """Group `export`: which artifacts to make, as format/precision."""

    name: str = MISSING
    targets: list[str] = field(default_factory=list)  # e.g. [onnx/fp32]
    opset: int = 17  # of ONNX, and of what is made from it; 11 to 20
    simplify: bool = True  # slim the ONNX graph: fold constants, drop what does nothing
    dynamic: str = "batch"  # none | batch | size: axes of the ONNX input that stay free; size = batch, height and width
    rewrite: list[str] = field(default_factory=list)  # upsample, hardswish: operators exchanged before the export
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    int8: Int8Config = field(default_factory=Int8Config)
    warn_below: float = 0.95  # share of the source's mAP50-95: above it a loss warns, below it fails
    tolerance: float | None = None  # older name of 1 - decision.max_export_loss: refused with the key that counts


@dataclass
class RuntimeConfig:
    """Group `runtime`: which engines to run the artifacts on."""

    name: str = MISSING
    engines: list[str] = field(default_factory=list)  # e.g. [pytorch, onnxruntime]


@dataclass
class BenchmarkConfig:
    """Group `benchmark`: how long and how often to measure."""

    name: str = MISSING
    warmup: int = 10  # calls before the clock counts
    min_seconds: float = 1.0
    min_samples: int = 100
    max_seconds: float = 60.0  # a block never lasts longer, whatever min_samples says
    rounds: int = 3  # interleaved blocks per artifact
    batches: list[int] = field(default_factory=lambda: [1])
    precision: float = 0.0  # further rounds until the latency that decides is known to within this share; 0 = none
    extra_seconds: float = 0.0  # in all, for further rounds and for blocks that something else disturbed


@dataclass
class DecisionConfig:
    """Group `decision`: hard limits (null = no limit), then what to prefer."""

    name: str = MISSING
    margin: float = 0.01  # mAP50-95 that a cheaper model may be worse than the best
    confidence: float = 0.95  # with which that has to be shown
    seed_sd: float | None = None  # spread of mAP50-95 over seeds known from elsewhere; used where no two seeds show one
    max_latency_ms: float | None = None
    latency: str = (
        "p90"  # mean | p50 | p90 | p95 | p99: which latency the limit is on; p90 is MLPerf's for single calls
    )
    scope: str = "model_only"  # model_only | end_to_end: which latency decides
    batch: int = 1  # images per call at which candidates are compared
    runtime: str | None = None  # only this runtime may be recommended; null = any
    # Whose measurements decide: a device that finalists were measured on, `sweep` for the sweep's own machine, or a
    # processor of that machine (cpu, cuda:0); null = the sweep's machine.
    device: str | None = None
    devices: Any = None  # {pi5: {max_latency_ms: 80}, …}: limits of several devices, which one model has to keep
    min_throughput_ips: float | None = None  # images per second
    min_capacity_rps: float | None = None  # requests a second that one service must surely answer in time
    max_p99_ms: float = 100.0  # in time: 99 of 100 within so many ms of when they were due
    max_size_mb: float | None = None
    max_memory_mb: float | None = None
    min_map: float | None = None  # floor on val mAP50-95: the low end of its 95 % interval must reach it
    nothing_map: float = 0.01  # mAP50-95 that counts as detecting nothing: what can't be told from it is rejected
    licence: Any = "any"  # any | permissive | [Apache-2.0, MIT]: SPDX licences that may be shipped
    max_export_loss: float = 0.01  # largest share of mAP50-95 that export may cost
    price_per_hour: float | None = None  # of the machine that decides: the report then says what 1,000 images cost
    currency: str = "EUR"  # of the price; a word that is printed
    reopen: bool = False  # open the test split again for other finalists or artifacts; the report says so
    confirm_seeds: int = 0  # fresh seeds that the finalists are trained with again before test is opened
    finalists: int = 3  # configurations taken to export and benchmark, beside the best of every model x imgsz


@dataclass
class StudyConfig:
    """Group `study`: how a sweep is run."""

    name: str = MISSING
    workers: int = 0  # local processes, among which the cores are divided; 0 = as many as fill this machine
    gpus: list[int] = field(default_factory=list)  # handed out one per worker; [] = as `device` says
    storage: str | None = None  # URL of the study (sqlite:///…, postgresql+psycopg://…); null = a journal in its folder
    pruner: Pruner = Pruner.none
    pruner_warmup: int = 2  # epochs before a trial may be pruned
    pruner_threshold: float = 0.0  # `threshold`: prune below this mAP50-95
    pruner_p: float = 0.1  # `wilcoxon`: prune when a configuration is worse than the best one at this level
    objectives: list[str] = field(default_factory=lambda: ["mAP50-95"])  # see docs/sweeps.md
    constraints: list[str] = field(default_factory=list)  # e.g. ["latency_p95_ms <= 30", "size_mb <= 10"]
    lower_bound: float = 0.0  # standard errors over seeds that are taken off a configuration's mean value
    cost_artifact: str = "onnx/fp32"  # what latency, size and memory of an architecture are measured on
    cost_runtime: str = "onnxruntime"
    retries: int = 0  # further attempts at a trial that fails
    trial_timeout: float | None = None  # seconds that one training may take
    max_failures: int | None = None  # failed trials allowed; null = all but one
    report: bool = True  # write the report at the end
    decide: bool = True  # with `store`: false leaves when all is trained, and another machine decides
    budget: str = "epochs"  # epochs | minutes: what every training gets the same of
    minutes: float | None = None  # `minutes`: of processor time (of the clock on a GPU) that each training may use
    until: str = "budget"  # budget | decided: further seeds until no cheaper model is left open
    max_trainings: int | None = None  # `decided`: trainings in all, those of the search among them
    max_hours: float | None = None  # `decided`: hours of training in all, summed over trials


@dataclass
class ReportConfig:
    """Key `report`: how the decision document is written."""

    language: str = "en"  # en | fr


@dataclass
class TrackingConfig:
    """Group `tracking`: MLflow."""

    name: str = MISSING
    enabled: bool = True
    uri: str | None = None  # null = MLFLOW_TRACKING_URI, else a SQLite file under outputs/
    experiment: str | None = None  # null = MLFLOW_EXPERIMENT_NAME, else detsweep
    artifacts: str | None = None  # s3://BUCKET/PREFIX for the files of a new experiment; null = beside the store
    system_metrics: bool = True
    system_interval_s: float = 5.0
    also: list[str] = field(default_factory=list)  # beside MLflow: tensorboard, wandb


@dataclass
class AppConfig:
    """The whole configuration of `python -m src.run`."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    study: StudyConfig = field(default_factory=StudyConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    imgsz: int = 160  # px, multiple of 32
    tile: int | None = None  # px; large pictures are judged and measured by tiles of this side too; null = whole only
    tile_overlap: float = 0.2  # share of a tile that the next one repeats
    tile_merge: str = "iou"  # boxes of several tiles are one by: iou, or smaller (share of the smaller box)
    lr: float = 0.002  # initial learning rate
    seed: int = 1
    epochs: int = 10
    batch: int = 8
    device: str = "cpu"  # cpu | cuda | cuda:N | auto
    threads: int = 0  # 0 = all cores that this process may use
    sweep: str | None = None  # the sweep's name; null = made from the study and the configuration
    plan: bool = False  # say what a sweep (`-m`) will cost and what it can resolve, and run nothing of it
    replay: str | None = None  # run id of a trial to train again and compare bit by bit
    outputs: str = "outputs"
    store: str | None = (
        None  # s3://BUCKET/PREFIX or file:///FOLDER: machines that share no folder exchange trials there
    )
    reports: str = "reports"
    report: ReportConfig = field(default_factory=ReportConfig)

    @property
    def tiling(self) -> Tiling | None:
        """How large pictures are cut where models are judged and measured."""
        return tiling_of(self.tile, self.tile_overlap, self.tile_merge, prefix="tile_")

    @property
    def training(self) -> Training:
        """What a family needs to know of this configuration to train a detector."""
        minutes = self.study.minutes if self.study.budget == "minutes" else None
        return Training(
            self.model, self.train, self.augment, self.imgsz, self.lr, self.seed, self.epochs, self.batch, self.device,
            minutes,
        )  # fmt: skip


def register() -> None:
    """Make the schema known to Hydra under the name `schema`."""
    ConfigStore.instance().store(name="schema", node=AppConfig, provider="detsweep", replace=True)


def to_typed(cfg: DictConfig) -> AppConfig:
    """Convert a composed configuration to typed objects, once; nothing past the entrypoint sees a `DictConfig`."""
    refuse_unknown(cfg, AppConfig)
    typed = OmegaConf.to_object(cfg)
    assert isinstance(typed, AppConfig)
    return typed


# What decides the trained weights. The rest (export, runtime, benchmark, decision, …) may change without training.
NOT_TRAINED = {"data": ("group", "trust_loaders"), "train": ("epoch_curves",)}  # keys that change no weight
PLAIN_READING = {"decoder": "opencv", "loader": None}  # with these a configuration is what it was before there were any
TRAINING_KEYS = ("model", "data", "train", "augment", "imgsz", "lr", "seed", "epochs", "batch", "device")

TILES = ("tile", "tile_overlap", "tile_merge")  # they decide what a trained network is worth


def identity(cfg: AppConfig, *, without: tuple[str, ...] = ()) -> str:
    """Hash of everything that decides what is trained and judged, less the keys named in `without`."""
    plain = plain_config(cfg)
    if cfg.tile is None:  # a configuration without tiles is what it was before there were any
        without = (*without, *TILES)
    for group, names in NOT_TRAINED.items():
        plain[group] = {key: value for key, value in plain[group].items() if key not in names}
    plain["data"] = {k: v for k, v in plain["data"].items() if k not in PLAIN_READING or v != PLAIN_READING[k]}
    chosen = {key: plain[key] for key in (*TRAINING_KEYS, *TILES) if key not in without}
    if cfg.study.budget == "minutes":  # else left out, as in sweeps of earlier versions
        chosen["minutes"] = cfg.study.minutes
    return hash_of(chosen)


def plain_config(cfg: AppConfig) -> dict[str, Any]:
    """The configuration as plain data, enums by their value."""

    def plain(value: Any) -> Any:
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list):
            return [plain(v) for v in value]
        return value

    return {key: plain(value) for key, value in asdict(cfg).items()}
