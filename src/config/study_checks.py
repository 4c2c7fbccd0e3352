"""Refuses studies that have no bound, no place for what they make, or a budget that can't be kept."""

from __future__ import annotations

from src.common.errors import UserError
from src.config.ranges import ABOVE_0, LONGEST_S, refuse_outside
from src.config.schema import AppConfig, StudyConfig
from src.config.strictness import one_of
from src.objects.address import parse_address

BY_EPOCH = ("median", "asha", "hyperband")  # pruners that compare trainings at equal epochs
WHY_NOT = {  # what study.budget=minutes can't be combined with
    "study.pruner": "it compares trainings at equal epochs; threshold and wilcoxon don't",
    "train.workers": "the processor time of loader processes isn't counted",
    "train.resume": "the minutes that the earlier training used are not known",
    "train.keep_state": "a training that ended by the clock has no more epochs to go",
    "device": "on several GPUs nothing comes back before the end",
    "replay": "what ended by the clock won't end there again, bit for bit",
}


def check_study(cfg: AppConfig) -> None:
    """Refuse a study that makes no sense.

    Raises:
        UserError: naming the first offending key, its value and the remedy.
    """
    _check_until(cfg.study)
    _check_store(cfg)
    _check_budget(cfg)


def _check_until(study: StudyConfig) -> None:
    """`study.until` and what bounds it."""
    one_of("study.until", [study.until], ["budget", "decided"])
    if study.until == "decided" and study.max_trainings is None and study.max_hours is None:
        raise UserError(
            "study.until=decided needs a bound: a question may stay open however much is trained",
            value="study.max_trainings=null, study.max_hours=null",
            remedy="study.max_trainings=60 (trainings in all), or study.max_hours=8",
        )


def _check_store(cfg: AppConfig) -> None:
    """`store`, and what it needs."""
    if cfg.store is None:
        if not cfg.study.decide:
            raise UserError(
                "study.decide=false leaves the decision to another machine, which has the trials from no store",
                value="store=null",
                remedy="store=s3://BUCKET/PREFIX, or study.report=false",
            )
        return
    parse_address(cfg.store, "store")
    if cfg.study.storage is None:
        raise UserError(
            "store is for machines that share no folder, so the study must be in a database that all of them reach",
            value="study.storage=null",
            remedy="study.storage=postgresql+psycopg://USER@HOST/DATABASE (make setup EXTRAS=postgresql)",
        )


def _check_budget(cfg: AppConfig) -> None:
    """`study.budget`, and what can't be had where trainings end by the clock."""
    study = cfg.study
    one_of("study.budget", [study.budget], ["epochs", "minutes"])
    if study.budget == "epochs":
        if study.minutes is not None:
            raise UserError(
                "study.minutes is set, and the budget is one of epochs",
                value=f"study.minutes={study.minutes:g}",
                remedy="study.budget=minutes, or leave study.minutes out",
            )
        return
    if study.minutes is None or study.minutes <= 0:
        value = "null" if study.minutes is None else f"{study.minutes:g}"
        raise UserError(
            "study.budget=minutes needs the minutes of processor time that each training may use, above 0",
            value=f"study.minutes={value}",
            remedy="study.minutes=5",
        )
    refuse_outside({"study.minutes": (study.minutes, ABOVE_0, LONGEST_S / 60)})
    refused = {
        f"study.pruner={study.pruner.value}": study.pruner.value in BY_EPOCH,
        f"train.workers={cfg.train.workers}": cfg.train.workers > 0,
        "train.resume": cfg.train.resume is not None,
        "train.keep_state": cfg.train.keep_state,
        f"device={cfg.device}": "," in cfg.device,
        "replay": cfg.replay is not None,
    }
    for value in (word for word, clashes in refused.items() if clashes):
        raise UserError(
            f"study.budget=minutes can't be combined with {value.partition('=')[0]}",
            value=value,
            remedy=f"leave it out: {WHY_NOT[value.partition('=')[0]]}",
        )
