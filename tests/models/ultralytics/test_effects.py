"""Options of losses, images and checkpoints change what they should: effects are read at toy size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.models.ultralytics.arguments import check_training
from src.models.ultralytics.checkpoint import prepare_environment
from src.models.ultralytics.more_epochs import check_classes
from src.models.ultralytics.training import weights_hash
from src.records.schema import DatasetRef
from tests.models.ultralytics.toy import run, toy, weights
from tests.tiny import make_images

STILL = ["imgsz=64", "lr=1e-9", "train.weight_decay=0"]  # nothing is learned: losses are those of equal weights


@pytest.fixture(scope="module")
def still(dataset: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Losses of the plain recipe."""
    return run(toy(*STILL), dataset, tmp_path_factory.mktemp("still")).history[0]


def test_the_parts_of_the_loss_weigh_what_they_are_told(
    dataset: DatasetRef, tmp_path: Path, still: dict[str, float]
) -> None:
    more = ["train.box=15", "train.cls=1.5", "train.dfl=6"]
    scaled = run(toy(*STILL, *more), dataset, tmp_path / "b").history[0]
    ratios = [scaled[f"train/{part}_loss"] / still[f"train/{part}_loss"] for part in ("box", "cls", "dfl")]
    assert ratios == pytest.approx([2, 3, 4], rel=0.02), "losses are rounded to five digits"


def test_rare_classes_weigh_more(dataset: DatasetRef, tmp_path: Path, still: dict[str, float]) -> None:
    found: dict[str, Any] = {}

    def look(trainer: Any) -> None:
        found["weights"] = trainer.model.class_weights.flatten().tolist()
        found["counts"] = [0] * 10
        for label in trainer.train_loader.dataset.labels:
            for i in label["cls"].flatten().astype(int).tolist():
                found["counts"][i] += 1

    balanced = run(toy(*STILL, "train.cls_pw=1"), dataset, tmp_path / "t", hooks={"on_train_start": look}).history[0]
    pairs = sorted(zip(found["counts"], found["weights"], strict=True))
    assert len({count for count, _ in pairs}) > 1
    assert [w for _, w in pairs] == sorted((w for _, w in pairs), reverse=True)
    assert balanced["train/cls_loss"] != pytest.approx(still["train/cls_loss"], rel=1e-3)
    assert balanced["train/box_loss"] == pytest.approx(still["train/box_loss"], rel=1e-3)


@pytest.mark.slow
def test_the_size_of_pictures_varies_where_it_may(dataset: DatasetRef, tmp_path: Path) -> None:
    sizes: set[int] = set()

    def watch(trainer: Any) -> None:
        plain = trainer.preprocess_batch

        def note(batch: Any) -> Any:
            done = plain(batch)
            sizes.add(int(done["img"].shape[-1]))
            return done

        trainer.preprocess_batch = note

    words = ["imgsz=64", "batch=2", "train.multi_scale=0.5"]
    run(toy(*words), dataset, tmp_path / "t", hooks={"on_train_start": watch})
    assert len(sizes) > 1
    assert sizes <= {32, 64, 96}


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


@pytest.mark.slow
def test_every_augmentation_changes_the_images(dataset: DatasetRef, tmp_path: Path) -> None:
    prepare_environment(tmp_path / "settings")
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.utils.torch_utils import init_seeds

    from src.models.ultralytics.arguments import training_arguments

    folder = tmp_path / "images" / "train"  # coloured, with few boxes: cutmix wants room, hue wants colour
    (tmp_path / "labels" / "train").mkdir(parents=True)
    for i, path in enumerate(make_images(folder, 4)):
        (tmp_path / "labels" / "train" / f"{Path(path).stem}.txt").write_text(f"{i} {0.15 + 0.23 * i} 0.5 0.1 0.2\n")

    def images(*words: str) -> Any:
        arguments = training_arguments(toy("augment=none", *words).training, dataset, None, tmp_path)
        hyp = get_cfg(overrides={k: v for k, v in arguments.items() if k not in ("project", "name")})
        data = YOLODataset(img_path=str(folder), imgsz=64, hyp=hyp, data={"names": {i: str(i) for i in range(4)}})
        init_seeds(0)
        import torch

        return torch.stack([data[i % 4]["img"] for i in range(12)]).float()

    plain = images()
    for key, value in AUGMENTATIONS.items():
        assert (images(f"augment.{key}={value}") - plain).abs().mean() > 0.05, key


@pytest.mark.slow
def test_the_best_few_checkpoints_are_kept_and_load(dataset: DatasetRef, tmp_path: Path) -> None:
    scores, seen = iter([0.1, 0.3, 0.2]), [0.0]

    def judge(trainer: Any) -> None:
        plain = trainer.validate

        def scored() -> Any:  # at this size nothing is found, and every epoch would be the best
            metrics, _ = plain()
            value = next(scores)
            seen.append(value)
            trainer.best_fitness = max(seen)
            return {**metrics, "metrics/mAP50-95(B)": value}, value

        trainer.validate = scored

    hooks = {"on_train_start": judge}
    result = run(toy("epochs=3", "train.keep_top=2"), dataset, tmp_path / "t", hooks=hooks)
    assert [row["val/mAP50-95"] for row in result.history] == [0.1, 0.3, 0.2]
    kept = sorted((tmp_path / "t" / "weights" / "top").iterdir())
    assert [p.name for p in kept] == ["epoch002-mAP50-95=0.3000.pt", "epoch003-mAP50-95=0.2000.pt"]
    assert len({weights_hash(path) for path in kept}) == 2
    assert weights_hash(kept[1]) == weights_hash(result.last)
    assert all(p.stat().st_size < 1.1 * result.last.stat().st_size for p in kept), "stripped of the optimizer"


@pytest.mark.slow
def test_other_class_counts_load_what_fits(dataset: DatasetRef, tmp_path: Path) -> None:
    from src.models.ultralytics.transfer import transfer
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


@pytest.mark.slow
def test_a_finished_training_goes_on_to_more_epochs(dataset: DatasetRef, tmp_path: Path) -> None:
    # No gradient is carried across epochs: then going on is exact.
    words = ["lr=0.001", "train.accumulate=1", "train.schedule=step", "train.step_epochs=2"]
    first = run(toy("epochs=3", "train.keep_state=true", *words), dataset, tmp_path / "first")
    state = tmp_path / "first" / "final_state"
    longer = [f"train.resume={state}", "epochs=5", *words]
    check_training(toy(*longer).training)
    seen: list[int] = []
    hooks = {"on_train_epoch_start": lambda trainer: seen.append(trainer.epoch + 1)}
    more = run(toy(*longer), dataset, tmp_path / "more", hooks=hooks)
    assert seen == [4, 5], "only the epochs beyond are trained"
    assert more.history[:3] == first.history
    whole = run(toy("epochs=5", *words), dataset, tmp_path / "whole")
    assert more.history == whole.history
    assert more.checkpoint.weights_sha256 == whole.checkpoint.weights_sha256
    with pytest.raises(UserError, match="3 epochs already"):
        check_training(toy(f"train.resume={state}", "epochs=3").training)
    others = {"imgsz": "imgsz=64", "train.optimizer": "train.optimizer=SGD", "model.architecture": "model=v11n"}
    for key, word in others.items():
        with pytest.raises(UserError, match=f"had {key}=") as told:
            check_training(toy(*longer, word).training)
        assert "model.weights=" in told.value.remedy
    check_classes(toy(*longer).training, dataset.class_names)
    with pytest.raises(UserError, match="classes, and the dataset has"):
        check_classes(toy(*longer).training, [*dataset.class_names, "more"])
    (state / "best.pt").unlink()
    with pytest.raises(UserError, match="no state"):
        check_training(toy(*longer).training)


@pytest.mark.slow
def test_networks_are_trained_in_the_order_that_convolves_fastest(dataset: DatasetRef, tmp_path: Path) -> None:
    import torch

    orders: list[tuple[bool, bool]] = []

    def look(trainer: Any) -> None:
        networks = (trainer.model, trainer.ema.ema)
        found = [n.model[1].conv.weight.is_contiguous(memory_format=torch.channels_last) for n in networks]
        orders.append((found[0], found[1]))

    hooks = {"on_train_end": look}
    fast = run(toy(), dataset, tmp_path / "fast", hooks=hooks)
    plain = run(toy("train.channels_last=false"), dataset, tmp_path / "plain", hooks=hooks)
    assert orders == [(True, True), (False, False)]
    for row, other in zip(fast.history, plain.history, strict=True):
        assert row["train/box_loss"] == pytest.approx(other["train/box_loss"], rel=1e-3), "the same arithmetic"
    assert all(w.is_contiguous() for w in weights(fast.checkpoint.path).values()), "files keep the plain order"


@pytest.mark.slow
def test_ultralytics_draws_what_is_trained_on_and_nothing_of_val(
    dataset: DatasetRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_environment(tmp_path / "settings")
    from ultralytics.models.yolo.detect import DetectionValidator

    judged: list[bool] = []
    call: Any = DetectionValidator.__call__

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        judged.append(bool(self.args.plots))
        return call(self, *args, **kwargs)

    monkeypatch.setattr(DetectionValidator, "__call__", counted)
    result = run(toy("epochs=1", "train.plots=true"), dataset, tmp_path / "t")
    assert judged == [False], "val is run through once an epoch, and not once more for pictures"
    assert {"train_batch0.jpg", "results.csv"} <= {p.name for p in result.files}
