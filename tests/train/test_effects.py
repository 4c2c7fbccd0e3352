"""Every option changes what it should: effects are read from weights, rates and steps, at toy size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.records import DatasetRef
from src.train import check_training, weights_hash
from src.ultra import prepare_environment
from tests.tiny import make_images
from tests.train.toy import run, toy, weights

EPOCHS = 3


def rates(dataset: DatasetRef, out: Path, *words: str) -> list[float]:
    """Share of lr that the optimizer is set to, epoch by epoch, in a trainer that is ready to train."""
    prepare_environment(out / "settings")
    from src.train import loop

    trainer = loop._build_trainer(toy(f"epochs={EPOCHS}", "lr=0.001", *words), dataset, None, out, 1)
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
    }
    for word, curve in expected.items():
        extra = ["train.step_epochs=1", "train.onecycle_rise=0.5"]
        assert rates(dataset, tmp_path / word, word, *extra) == pytest.approx(curve, abs=1e-4), word


def test_a_training_follows_its_schedule(dataset: DatasetRef, tmp_path: Path) -> None:
    result = run(toy("epochs=2", "lr=0.001", "train.schedule=step", "train.step_epochs=1"), dataset, tmp_path / "t")
    assert [row["lr"] for row in result.history] == pytest.approx([1e-3, 1e-4])


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


def test_accumulation_halves_the_optimizer_steps(dataset: DatasetRef, tmp_path: Path) -> None:
    steps: list[int] = []

    def count(trainer: Any) -> None:
        steps.append(trainer.ema.updates)

    for n in (1, 2):
        run(toy(f"train.accumulate={n}"), dataset, tmp_path / str(n), hooks={"on_train_epoch_end": count})
    assert steps == [2, 1]


def test_betas_warm_up_and_class_weights_reach_the_training(dataset: DatasetRef, tmp_path: Path) -> None:
    found: dict[str, Any] = {}

    def look(trainer: Any) -> None:
        found["betas"] = {tuple(group["betas"]) for group in trainer.optimizer.param_groups}
        found["class weights"] = trainer.model.class_weights.tolist()
        found["rates"] = [group["lr"] for group in trainer.optimizer.param_groups]

    words = ["epochs=2", "train.betas=[0.8,0.95]", "train.cls_pw=1", "train.warmup_epochs=1", "lr=0.01"]
    run(toy(*words), dataset, tmp_path / "t", hooks={"on_train_batch_start": lambda t: None, "on_train_start": look})
    assert found["betas"] == {(0.8, 0.95)}
    assert len(set(found["class weights"])) > 1
    assert sum(found["class weights"]) / 10 == pytest.approx(1)


AUGMENTATIONS = {
    "mosaic": 1.0,
    "mixup": 1.0,
    "cutmix": 1.0,
    "hsv_h": 0.5,
    "hsv_s": 0.9,
    "hsv_v": 0.9,
    "degrees": 90.0,
    "translate": 0.4,
    "scale": 0.5,
    "shear": 30.0,
    "perspective": 0.001,
    "fliplr": 1.0,
    "flipud": 1.0,
    "bgr": 1.0,
}


def test_every_augmentation_changes_the_images(dataset: DatasetRef, tmp_path: Path) -> None:
    prepare_environment(tmp_path / "settings")
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.utils.torch_utils import init_seeds

    from src.train.arguments import training_arguments

    folder = tmp_path / "images" / "train"  # coloured, with few boxes: cutmix wants room, hue wants colour
    (tmp_path / "labels" / "train").mkdir(parents=True)
    for i, path in enumerate(make_images(folder, 4)):
        (tmp_path / "labels" / "train" / f"{Path(path).stem}.txt").write_text(f"{i} {0.15 + 0.23 * i} 0.5 0.1 0.2\n")

    def images(*words: str) -> Any:
        arguments = training_arguments(toy("augment=none", *words), dataset, None, tmp_path)
        hyp = get_cfg(overrides={k: v for k, v in arguments.items() if k not in ("project", "name")})
        data = YOLODataset(img_path=str(folder), imgsz=64, hyp=hyp, data={"names": {i: str(i) for i in range(4)}})
        init_seeds(0)
        import torch

        return torch.stack([data[i % 4]["img"] for i in range(12)]).float()

    plain = images()
    for key, value in AUGMENTATIONS.items():
        assert (images(f"augment.{key}={value}") - plain).abs().mean() > 0.05, key


def test_the_best_few_checkpoints_are_kept_and_load(dataset: DatasetRef, tmp_path: Path) -> None:
    result = run(toy("epochs=3", "train.keep_top=2"), dataset, tmp_path / "t")
    kept = sorted((tmp_path / "t" / "weights" / "top").iterdir())
    assert len(kept) == 2
    by_value = {f"{row['val/mAP50-95']:.4f}" for row in result.history}
    for path in kept:
        assert path.stem.rpartition("=")[2] in by_value
        assert len(weights_hash(path)) == 64
        assert path.stat().st_size < 1.1 * result.last.stat().st_size, "stripped of the optimizer"


def test_other_class_counts_load_what_fits(dataset: DatasetRef, tmp_path: Path) -> None:
    from src.train.transfer import transfer
    from tests.tiny import make_checkpoint

    (tmp_path / "c").mkdir()
    source = Path(make_checkpoint(tmp_path / "c").path)  # three classes; digits have ten
    started: dict[str, Any] = {}

    def look(trainer: Any) -> None:
        started.update({n: v.detach().clone() for n, v in trainer.model.state_dict().items()})

    run(toy(), dataset, tmp_path / "t", start=source, hooks={"on_train_start": look})
    given = weights(source)
    report = transfer(source, "yolov8n.yaml", 10)
    assert report.missing, "the last layer of every class branch is of another shape"
    assert all("cv3" in name for name in report.missing)
    assert all((started[n] == given[n]).all() for n in report.loaded if n in given)
    assert report.total == len(report.loaded) + len(report.missing)
    assert "cv3" in report.text()


def test_a_finished_training_goes_on_to_more_epochs(dataset: DatasetRef, tmp_path: Path) -> None:
    # No gradient is carried across epochs: then going on is exact.
    words = ["lr=0.001", "train.accumulate=1", "train.schedule=step", "train.step_epochs=2"]
    first = run(toy("epochs=3", "train.keep_state=true", *words), dataset, tmp_path / "first")
    state = tmp_path / "first" / "final_state"
    longer = [f"train.resume={state}", "epochs=5", *words]
    check_training(toy(*longer))
    seen: list[int] = []
    hooks = {"on_train_epoch_start": lambda trainer: seen.append(trainer.epoch + 1)}
    more = run(toy(*longer), dataset, tmp_path / "more", hooks=hooks)
    assert seen == [4, 5], "only the epochs beyond are trained"
    assert more.history[:3] == first.history
    whole = run(toy("epochs=5", *words), dataset, tmp_path / "whole")
    assert more.history == whole.history
    assert more.checkpoint.weights_sha256 == whole.checkpoint.weights_sha256
    with pytest.raises(UserError, match="3 epochs already"):
        check_training(toy(f"train.resume={state}", "epochs=3"))
    (state / "best.pt").unlink()
    with pytest.raises(UserError, match="no state"):
        check_training(toy(*longer))
