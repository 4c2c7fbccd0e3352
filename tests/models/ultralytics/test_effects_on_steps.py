"""Options of schedule, optimizer and frozen layers: effects are read from rates, steps and weights, at toy size."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from src.models.ultralytics.checkpoint import prepare_environment
from src.records.schema import DatasetRef
from tests.models.ultralytics.toy import run, toy

EPOCHS = 3


def rates(dataset: DatasetRef, out: Path, *words: str) -> list[float]:
    """Share of lr that the optimizer is set to, epoch by epoch, in a trainer that is ready to train."""
    prepare_environment(out / "settings")
    from src.models.ultralytics import training

    trainer = training._build_trainer(toy(f"epochs={EPOCHS}", "lr=0.001", *words).training, dataset, None, out, 1)
    trainer._setup_train()
    found = []
    for _ in range(EPOCHS):
        trainer.scheduler.step()
        found.append(trainer.optimizer.param_groups[0]["lr"] / 0.001)
    return found


def test_each_schedule_draws_its_curve(dataset: DatasetRef, tmp_path: Path) -> None:
    expected = {
        "train.schedule=linear": [1, 0.67, 0.34],
        "train.schedule=cosine": [1, 0.7525, 0.2575],
        "train.schedule=step": [1, 0.1, 0.01],
        "train.schedule=onecycle": [0.04, 1, 0.01],
        "train.schedule=exponential": [1, 0.95, 0.9025],
        "train.schedule=plateau": [1, 1, 1],  # before val has said anything
    }
    for word, curve in expected.items():
        extra = ["train.step_epochs=1", "train.onecycle_rise=0.5", "train.plateau_patience=1"]
        assert rates(dataset, tmp_path / word, word, *extra) == pytest.approx(curve, abs=1e-4), word


def test_a_training_follows_its_schedule(dataset: DatasetRef, tmp_path: Path) -> None:
    result = run(toy("epochs=2", "lr=0.001", "train.schedule=step", "train.step_epochs=1"), dataset, tmp_path / "t")
    assert [row["lr"] for row in result.history] == pytest.approx([1e-3, 1e-4])


def test_a_processors_step_is_one_call_for_each_group_with_the_same_result(
    dataset: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_environment(tmp_path / "settings")
    import torch

    from src.models.ultralytics import parameter_groups, training

    found, calls = [], []
    step = torch._fused_adamw_

    def counted(*args: Any, **kwargs: Any) -> None:
        calls.append(len(args[0]))
        step(*args, **kwargs)

    monkeypatch.setattr(torch, "_fused_adamw_", counted)
    for optimizers in (parameter_groups.IN_ONE_CALL, ()):
        monkeypatch.setattr(parameter_groups, "IN_ONE_CALL", optimizers)
        trainer = training._build_trainer(toy("epochs=1").training, dataset, None, tmp_path / "t", 1)
        trainer._setup_train()
        for parameter in trainer.model.parameters():
            parameter.grad = torch.full_like(parameter, 0.01)
        trainer.optimizer.step()
        found.append([p.detach().clone() for p in trainer.model.parameters()])
    assert len(calls) == len(trainer.optimizer.param_groups)
    assert sum(calls) == sum(len(group["params"]) for group in trainer.optimizer.param_groups)
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_frozen_weights_stay_bit_for_bit_until_they_are_unfrozen(dataset: DatasetRef, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def snapshot(trainer: Any) -> None:
        seen.append({name: value.detach().clone() for name, value in trainer.model.state_dict().items()})

    words = ["epochs=2", "train.freeze=2", "train.freeze_names=[model.22.cv3]", "train.unfreeze_epoch=2"]
    hooks = {"on_train_start": snapshot, "on_train_epoch_end": snapshot}
    run(toy(*words), dataset, tmp_path / "t", hooks=hooks)
    start, first, second = seen
    frozen = [n for n in start if n.startswith(("model.0.", "model.1.", "model.22.cv3."))]
    learned = [n for n in frozen if "weight" in n]
    assert len(learned) > 10
    assert all((first[n] == start[n]).all() for n in frozen), "statistics of frozen batch norms stay too"
    assert not (first["model.4.cv1.conv.weight"] == start["model.4.cv1.conv.weight"]).all()
    assert all((second[n] != first[n]).any() for n in learned), "from epoch 2 everything learns"


@pytest.mark.slow
def test_ema_off_keeps_the_weights_themselves(dataset: DatasetRef, tmp_path: Path) -> None:
    distance: list[float] = []

    def measure(trainer: Any) -> None:
        live, average = trainer.model.state_dict(), trainer.ema.ema.state_dict()
        distance.append(sum(float((live[n].float() - average[n].float()).abs().sum()) for n in live if "num" not in n))

    hooks = {"on_train_epoch_end": measure}
    on = run(toy("train.ema=true"), dataset, tmp_path / "on", hooks=hooks)
    off = run(toy("train.ema=false"), dataset, tmp_path / "off", hooks=hooks)
    slow = run(toy("train.ema_decay=0.5"), dataset, tmp_path / "slow")
    assert distance[0] > 0
    assert distance[1] == 0
    assert len({r.checkpoint.weights_sha256 for r in (on, off, slow)}) == 3


def test_training_stops_where_nothing_is_gained(dataset: DatasetRef, tmp_path: Path) -> None:
    words = ["epochs=6", "train.patience=1", "train.stop_metric=loss", "train.min_gain=1000"]
    result = run(toy(*words), dataset, tmp_path / "t")
    assert [row["epoch"] for row in result.history] == [1, 2]


@pytest.mark.slow
def test_accumulation_halves_the_optimizer_steps(dataset: DatasetRef, tmp_path: Path) -> None:
    steps: list[int] = []

    def count(trainer: Any) -> None:
        steps.append(trainer.ema.updates)

    for n in (1, 2):
        run(toy(f"train.accumulate={n}"), dataset, tmp_path / str(n), hooks={"on_train_epoch_end": count})
    assert steps == [2, 1]


def test_warm_up_rises_batch_by_batch(dataset: DatasetRef, tmp_path: Path) -> None:
    seen: list[dict[str, tuple[float, float]]] = []

    def look(trainer: Any) -> None:
        groups = trainer.optimizer.param_groups
        seen.append({g["param_group"]: (g["lr"], g["momentum"]) for g in groups})

    words = ["epochs=2", "batch=2", "train.accumulate=1", "lr=0.01", "train.optimizer=SGD", "train.momentum=0.9"]
    warm = ["train.warmup_epochs=1", "train.warmup_momentum=0.5", "train.warmup_bias_lr=0.1", "train.schedule=step"]
    run(toy(*words, *warm, "train.step_epochs=1"), dataset, tmp_path / "t", hooks={"on_train_batch_end": look})
    assert len(seen) == 8
    share = [i / 4 for i in range(4)]
    others = [[rate for name, (rate, _) in row.items() if name != "bias"] for row in seen]
    assert all(len(set(rates)) == 1 for rates in others)
    assert [rates[0] for rates in others[:4]] == pytest.approx([0.01 * s for s in share])
    assert [row["bias"][0] for row in seen[:4]] == pytest.approx([0.1 - 0.09 * s for s in share])
    assert [row["bias"][1] for row in seen[:4]] == pytest.approx([0.5 + 0.4 * s for s in share])
    assert seen[-1]["bias"] == pytest.approx((0.001, 0.9)), "then the schedule takes over"


def moved(dataset: DatasetRef, out: Path, *words: str) -> dict[str, Any]:
    """Where a ready trainer's optimizer takes the weights in three steps along the same gradients."""
    import torch

    prepare_environment(out / "settings")
    from src.models.ultralytics import training

    trainer = training._build_trainer(toy("lr=0.001", *words).training, dataset, None, out, 1)
    trainer._setup_train()
    torch.manual_seed(0)
    learned = [(n, p) for n, p in trainer.model.named_parameters() if p.requires_grad][:12]
    for _ in range(3):
        for _, parameter in learned:
            parameter.grad = torch.randn_like(parameter)
        trainer.optimizer.step()
    return {name: parameter.detach().clone() for name, parameter in learned}


@pytest.mark.parametrize(
    ("plain", "changed"),
    [
        (["train.optimizer=SGD"], ["train.momentum=0.5"]),
        (["train.optimizer=SGD"], ["train.weight_decay=0.5"]),
        ([], ["train.betas=[0.5,0.9]"]),
        pytest.param([], ["train.weight_decay=0.5"], marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_momentum_betas_and_decay_change_the_steps(
    dataset: DatasetRef, tmp_path: Path, plain: list[str], changed: list[str]
) -> None:
    a, b = moved(dataset, tmp_path / "a", *plain), moved(dataset, tmp_path / "b", *plain, *changed)
    gaps = {n: float((a[n] - b[n]).abs().max()) for n in a}
    assert gaps["model.0.conv.weight"] > 1e-5
    if "weight_decay" in changed[0]:
        assert gaps["model.0.bn.bias"] == gaps["model.0.bn.weight"] == 0, "norms and biases don't decay"


@pytest.mark.slow
def test_every_optimizer_steps_its_own_way(dataset: DatasetRef, tmp_path: Path) -> None:
    from src.config.training import Optimizer

    ends = {o.value: moved(dataset, tmp_path / o.value, f"train.optimizer={o.value}") for o in Optimizer}
    first = [tuple(end["model.0.conv.weight"].flatten()[:50].tolist()) for end in ends.values()]
    assert len(set(first)) == len(Optimizer)


def test_backbone_and_head_learn_at_their_own_rates(dataset: DatasetRef, tmp_path: Path) -> None:
    seen: dict[str, float] = {}

    def note(trainer: Any) -> None:
        rates = {id(p): group["lr"] for group in trainer.optimizer.param_groups for p in group["params"]}
        seen.update({name: rates[id(p)] for name, p in trainer.model.named_parameters()})

    words = ["lr=0.001", "train.lr_backbone=0.1", "train.lr_head=2"]
    result = run(toy(*words), dataset, tmp_path / "t", hooks={"on_train_epoch_end": note})
    assert len(seen) > 100, "every parameter learns"
    for name, rate in seen.items():
        assert rate == pytest.approx(1e-4 if int(name.split(".")[1]) < 10 else 2e-3), name
    assert result.history[0]["lr"] == pytest.approx(1e-3), "what the records say is lr itself"


@pytest.mark.slow
def test_it_ends_when_its_minutes_are_used_and_goes_on_counting_after_a_kill(
    dataset: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(0, 15)  # each reading of the clock, once to begin and once an epoch, is 15 s later
    monkeypatch.setattr("src.models.budget.time.process_time", lambda: float(next(ticks)))
    training = toy("study.budget=minutes", "study.minutes=1", "lr=0.001", "augment.mosaic=1", "augment.close_mosaic=9")
    seen: list[int] = []

    def kill(trainer: Any) -> None:
        seen.append(trainer.epoch)
        if trainer.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(training, dataset, tmp_path / "t", hooks={"on_train_epoch_start": kill})
    result = run(training, dataset, tmp_path / "t", hooks={"on_train_epoch_start": lambda t: seen.append(t.epoch)})
    assert seen == [0, 1, 2, 2, 3]
    assert [row["used_minutes"] for row in result.history] == [0.25, 0.5, 0.75, 1.0]
    assert [row["lr"] for row in result.history] == pytest.approx([0.001 * (1 - 0.99 * k / 4) for k in range(4)])


@pytest.mark.slow
def test_frozen_layers_are_freed_in_steps_the_last_ones_first(dataset: DatasetRef, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def snapshot(trainer: Any) -> None:
        seen.append({name: value.detach().clone() for name, value in trainer.model.state_dict().items()})

    words = ["epochs=3", "train.freeze=4", "train.unfreeze_steps=[2,3]"]
    run(toy(*words), dataset, tmp_path / "t", hooks={"on_train_start": snapshot, "on_train_epoch_end": snapshot})

    def moved(epoch: int) -> set[int]:
        before, after = seen[epoch - 1], seen[epoch]
        changed = {n for n in after if (after[n] != before[n]).any() and "num_batches" not in n}
        return {int(n.split(".")[1]) for n in changed} & {0, 1, 2, 3}

    assert [moved(epoch) for epoch in (1, 2, 3)] == [set(), {2, 3}, {0, 1, 2, 3}], "statistics of batch norms too"


@pytest.mark.slow
def test_a_killed_training_goes_on_with_a_rate_that_waits_for_val(dataset: DatasetRef, tmp_path: Path) -> None:
    from src.models.base import Start
    from src.models.ultralytics.training import train

    words = [
        "epochs=5",
        "train.accumulate=1",
        "train.schedule=plateau",
        "train.plateau_patience=1",
        "train.plateau_factor=0.5",
    ]
    cfg = toy(*words, "train.unfreeze_steps=[2,4]", "train.freeze=4", "train.focal_gamma=1", "train.box_loss=diou")

    class KilledError(BaseException):
        pass

    def on_epoch(epoch: int, row: dict[str, float]) -> None:
        if epoch == 3:
            raise KilledError

    whole = run(cfg, dataset, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(cfg.training, dataset, Start(None, "test"), tmp_path / "cut", 1, on_epoch)
    cut = run(cfg, dataset, tmp_path / "cut")
    assert [round(row["lr"] / cfg.lr, 6) for row in whole.history] == [1, 1, 0.5, 0.25, 0.125], "nothing is found here"
    assert cut.history == whole.history
    assert cut.checkpoint.weights_sha256 == whole.checkpoint.weights_sha256
