"""How a detector is trained: the schemas of `model`, `train` and `augment`, in Ultralytics' names where it has one.

What makes no sense, alone or together, is refused by `src.config.training_checks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING


class Optimizer(Enum):
    """Optimizers of Ultralytics for which `lr` means something; `auto` is left out because it ignores lr0."""

    SGD = "SGD"
    Adam = "Adam"
    Adamax = "Adamax"
    AdamW = "AdamW"
    NAdam = "NAdam"
    RAdam = "RAdam"
    RMSProp = "RMSProp"
    MuSGD = "MuSGD"


@dataclass
class TrainConfig:
    """Group `train`: the recipe, without its augmentation."""

    name: str = MISSING
    optimizer: Optimizer = Optimizer.AdamW
    momentum: float = 0.9  # of the Adam family: beta 1
    betas: list[float] | None = None  # of the Adam family; null = [momentum, 0.999]
    weight_decay: float = 0.0005
    lr_backbone: float = 1.0  # rate of the backbone as a share of lr; 0.1 is usual where it is pretrained
    lr_head: float = 1.0  # rate of all that comes after the backbone, as a share of lr
    schedule: str = "linear"  # linear | cosine | step | onecycle | exponential | plateau
    lrf: float = 0.01  # final learning rate as a share of lr (linear, cosine, onecycle); plateau: the lowest
    step_epochs: int = 10  # step: epochs between two drops
    step_gamma: float = 0.1  # step: factor of every drop
    onecycle_rise: float = 0.3  # onecycle: share of the epochs in which the rate rises to lr
    onecycle_start: float = 0.04  # onecycle: first rate as a share of lr
    exponential_gamma: float = 0.95  # exponential: factor of every epoch
    plateau_factor: float = 0.1  # plateau: factor when stop_metric has not improved by more than min_gain …
    plateau_patience: int = 5  # … for so many epochs
    warmup_epochs: float = 0.0  # the rate rises from 0, batch by batch
    warmup_momentum: float = 0.8  # first momentum; of SGD, MuSGD and RMSProp
    warmup_bias_lr: float = 0.0  # first rate of biases; 0.1, as the YOLO papers have it, is for SGD alone
    nbs: int = 8  # nominal batch: gradients accumulate until it is reached
    accumulate: int = 0  # batches per optimizer step; 0 = as many as nbs asks for
    ema: bool = True  # evaluate and keep the moving average of the weights
    ema_decay: float = 0.9999
    ema_tau: float = 2000.0  # optimizer steps until the decay has grown to 63 % of ema_decay
    freeze: int = 0  # first layers whose weights stay
    freeze_names: list[str] = field(default_factory=list)  # patterns of parameter names, e.g. model.22.cv3.*
    unfreeze_epoch: int = 0  # 1-based epoch from which frozen layers learn too; 0 = never
    unfreeze_steps: list[int] = field(default_factory=list)  # epochs: each frees a share of the layers, the last first
    patience: int = 0  # epochs without improvement before stopping; 0 = never
    stop_metric: str = "mAP50-95"  # mAP50-95 | mAP50 | precision | recall | f1 | loss: what has to improve, on val
    min_gain: float = 0.0  # smaller improvements don't count
    amp: str = "fp32"  # fp32 | fp16 | bf16: arithmetic of the forward pass
    channels_last: bool = True  # NHWC order in memory: the same network, faster to train
    cls_pw: float = 0.0  # class weights: inverse frequency to this power; 0 = off, 1 = full
    box: float = 7.5  # gains of the parts of the loss
    cls: float = 0.5
    dfl: float = 1.5
    box_loss: str | None = None  # iou | giou | diou | ciou; null = the network's own (YOLO: ciou, RT-DETR: giou)
    focal_gamma: float = 0.0  # classes that are found already weigh less, by this power of what is left; 0 = off
    focal_alpha: float = 0.0  # weight of objects against background, which gets 1 - alpha; 0 = equal
    label_smoothing: float = 0.0  # share of an object's score that is spread over all classes
    dropout: float = 0.0  # probability; RT-DETR has such layers, YOLO has none
    multi_scale: float = 0.0  # image size varies by this share from batch to batch
    keep_top: int = 0  # checkpoints kept beside best and last, the metric in their names
    keep_state: bool = False  # keep all that is needed to go on for more epochs (three times the weights)
    resume: str | None = None  # folder final_state of an earlier training: go on to `epochs`
    cache: str = "ram"  # ram | disk | none: images as the network gets them, in one file that all processes share
    cache_folder: str | None = None  # of that file; null = .cache in the prepared dataset
    cache_limit_gb: float = 0.0  # of memory (ram) or disk that it may take; 0 = what is free
    cache_resize: bool = True  # false: pictures are cached as they are, one file for every imgsz
    cache_refresh: bool = False  # make it anew, whatever is there
    cache_workers: int = 0  # threads that fill it; 0 = as many as there are cores
    workers: int = 0  # loader processes; they cost more than they give on small sets
    pin_memory: bool = True  # on a GPU: batches in memory that it reads by itself
    prefetch: int = 0  # batches that each loader process reads ahead; 0 = Ultralytics' 4
    distill_model: str | None = None  # checkpoint of a larger teacher
    dis: float = 6.0  # gain of the distillation loss
    qat: bool = False  # learn with 8-bit rounding in the forward pass; needs model.weights=PATH
    qat_batches: int = 8  # batches that set the ranges of activations
    qat_scheme: str = "static"  # static | x86 | fbgemm | qnnpack: whose rounding; static = that of the exporters here
    qat_freeze_bn: int = 0  # epochs after which batch norms keep their statistics; 0 = they go on learning
    plots: bool = True  # PR, F1, P, R curves, confusion matrix, pictures
    epoch_curves: bool = False  # keep precision, recall and F1 by threshold of every epoch too


@dataclass
class AugmentConfig:
    """Group `augment`: what is done to training images. Probabilities and shares are in 0..1."""

    name: str = MISSING
    mosaic: float = 0.0  # probability of four images in one
    close_mosaic: int = 0  # last epochs without mosaic, mixup and cutmix; at most half of all
    mixup: float = 0.0
    cutmix: float = 0.0
    hsv_h: float = 0.0
    hsv_s: float = 0.0
    hsv_v: float = 0.0
    degrees: float = 0.0  # rotation, +/- degrees
    translate: float = 0.0  # +/- share of the side
    scale: float = 0.0  # +/- gain
    shear: float = 0.0  # +/- degrees
    perspective: float = 0.0  # 0..0.001
    fliplr: float = 0.0
    flipud: float = 0.0
    bgr: float = 0.0  # probability of swapped channels
    mosaic9: float = 0.0  # share of the mosaics that hold nine images
    mixup_alpha: float = 32.0  # of mixup's beta distribution: large = half and half, small = one of the two
    noise: float = 0.0  # Gaussian noise of up to this share of the range of values
    blur: float = 0.0  # Gaussian blur of up to so many px
    contrast: float = 0.0  # +/- gain about the image's mean
    crop: float = 0.0  # up to this share of each side is cut off, never a part of a box


@dataclass
class ModelConfig:
    """Group `model`: which detector."""

    name: str = MISSING  # as in tables, e.g. v8n
    family: str = "ultralytics"  # whose detector it is, a key of src.models.base.MODULES
    architecture: str = (
        MISSING  # as the family calls it, e.g. yolov8n.yaml, fasterrcnn_mobilenet_v3_large_320_fpn, d_fine
    )
    pretrained: str = (
        MISSING  # what `auto` asks for: a weights file, e.g. yolov8n.pt, or OWNER/MODEL[@REVISION] on a hub
    )
    scale: str | None = None  # another size of the same family, e.g. s; null = as in `yaml`
    licence: str | None = None  # SPDX licence of the weights to start from; null = that of the family's code
    weights: str = "auto"  # auto | scratch | PATH of a .pt file, or of a snapshot folder (transformers)
    trust: bool = False  # allow a checkpoint that needs unsafe unpickling


@dataclass(frozen=True)
class Training:
    """What decides one training, apart from its data: plain values for a family, instead of the whole configuration."""

    model: ModelConfig
    train: TrainConfig
    augment: AugmentConfig
    imgsz: int  # px, multiple of 32
    lr: float  # initial learning rate
    seed: int
    epochs: int
    batch: int
    device: str  # cpu | cuda | cuda:N | auto
    minutes: float | None = None  # of processor time to train for, instead of `epochs`


def gpus_of(device: str) -> list[int]:
    """Indices of the GPUs that `device` names: cuda is GPU 0; none for cpu and auto."""
    if not device.startswith("cuda"):
        return []
    return [int(part) for part in (device.partition(":")[2] or "0").split(",")]
