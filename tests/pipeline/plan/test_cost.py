"""The bill of a sweep, from made-up measurements; which trainings cost the same; how noise is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.config.schema import AppConfig
from src.pipeline.plan import noise
from src.pipeline.plan.cost import by_the_clock, cost_of, reckoned, share_of, side_by_side, volume_of
from src.pipeline.plan.kinds import kinds_of
from src.pipeline.plan.measure import Finalist, Training, spread_out
from src.pipeline.plan.noise import noise_of
from src.pipeline.request import SweepRequest
from src.records.schema import DatasetRef
from src.sweeper.space import parse_space
from tests.config.test_config import composed
from tests.report.factory import study

FIXED = ("tracking=none", "epochs=10", "benchmark=quick")
ONE = Training(1.0, epoch_s=2.0, around_s=3.0, evaluate_s=1.0, size_bytes=1000, watts={"package-0": 50.0})
TWO = Training(3.0, epoch_s=6.0, around_s=3.0, evaluate_s=2.0, size_bytes=3000, watts={"package-0": 50.0})
FINALIST = Finalist(export_s=10.0, verify_s=4.0, round_s=5.0, evaluate_s=1.0, size_bytes=500)


def request(*words: str, n_trials: int | None = None, fixed: tuple[str, ...] = FIXED) -> SweepRequest:
    space = parse_space({}, list(words), n_trials=n_trials)

    def compose(overrides: list[str]) -> AppConfig:
        return composed(*fixed, *overrides)

    return SweepRequest(compose([]), space, {}, n_trials, None, compose)


def test_what_changes_no_epoch_makes_no_kind_of_its_own() -> None:
    kinds = kinds_of(request("imgsz=96,128", "lr=0.001,0.002,0.004", "train.weight_decay=0.0,0.001", "seed=1,2"))
    assert [k.cfg.imgsz for k in kinds] == [96, 128]
    assert [k.trainings for k in kinds] == [12, 12]
    assert [k.epochs for k in kinds] == [120, 120]


def test_an_augmentation_costs_by_being_on_and_epochs_are_counted_by_cell() -> None:
    kinds = kinds_of(request("augment.mosaic=0.0,0.5,1.0", "epochs=4,8"))
    assert [(k.trainings, k.epochs) for k in kinds] == [(2, 12), (4, 24)]


def test_a_sampled_study_counts_every_cell_alike() -> None:
    kinds = kinds_of(request("imgsz=96,128,160,192", "lr=interval(0.001,0.01)", "seed=1,2", n_trials=6))
    assert [k.trainings for k in kinds] == [1.5] * 4


def test_a_space_too_large_to_compose_keeps_every_value_of_its_last_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.pipeline.plan.kinds.MOST_COMPOSED", 20)
    kinds = kinds_of(request("lr=range(0.001,0.081,0.001)", "imgsz=96,128", "seed=1"))
    assert [k.cfg.imgsz for k in kinds] == [96, 128]
    assert sum(k.trainings for k in kinds) == pytest.approx(160)
    assert kinds[0].trainings == pytest.approx(kinds[1].trainings, rel=0.05)


def test_the_bill_adds_up_trainings_evaluations_and_finalists() -> None:
    asked = request("imgsz=96,128", "seed=1,2")
    kinds = kinds_of(asked)
    volume = volume_of(asked, kinds, 0, 1)
    assert (volume.total, volume.finalists, volume.side_by_side) == (4, 2, 1)
    cost = cost_of(asked, kinds, [ONE, TWO], FINALIST, volume)
    rows = {row.name: row.seconds for row in cost.rows}
    assert rows["training"] == 2 * (3 + 10 * 2) + 2 * (3 + 10 * 6)
    assert rows["evaluation"] == 2 * 1 + 2 * 2
    assert rows["exports"] == 2 * 10
    assert rows["verification"] == 3 * 5
    assert rows["benchmark"] == 5 * 2 * asked.base.benchmark.rounds
    assert cost.seconds == sum(rows.values())
    assert cost.joules == {"package-0": pytest.approx(50 * cost.seconds)}
    assert cost.disk_bytes == 2 * 1000 + 2 * 3000 + 2 * 500


def test_trainings_that_end_by_the_clock_are_billed_by_it() -> None:
    asked = request("imgsz=96,128", fixed=(*FIXED, "study.budget=minutes", "study.minutes=2"))
    kinds = kinds_of(asked)
    by_the_clock(kinds, [ONE, TWO], threads=2)
    assert [k.epochs for k in kinds] == [30, 10], "120 s of processor time are 60 s on two threads"
    plain = kinds_of(request("imgsz=96,128"))[:1]
    by_the_clock(plain, [ONE], threads=2)
    assert [k.epochs for k in plain] == [10]


def test_what_is_finished_is_not_billed_again() -> None:
    asked = request("imgsz=96,128", "seed=1,2", fixed=(*FIXED, "study.workers=1"))
    kinds = kinds_of(asked)
    whole, half = (cost_of(asked, kinds, [ONE, TWO], None, volume_of(asked, kinds, done, 2)) for done in (0, 2))
    assert half.rows[0].seconds == whole.rows[0].seconds / 2


@pytest.mark.parametrize(
    ("words", "at_once", "share"),
    [
        (("study.workers=1",), 1, 4),
        (("study.workers=2",), 2, 2),
        ((), 2, 2),  # as many as there are configurations
        (("study.workers=4", "study.gpus=[0,1]"), 2, 2),
        (("device=cuda", "study.workers=2"), 1, 4),
    ],
)
def test_trainings_side_by_side_are_measured_with_their_share(words: tuple[str, ...], at_once: int, share: int) -> None:
    asked = request("imgsz=96,128", "seed=1,2", fixed=(*FIXED, *words))
    assert (side_by_side(asked, 4), share_of(asked, 4)) == (at_once, share)
    kinds = kinds_of(asked)
    bill = cost_of(asked, kinds, [ONE, TWO], None, volume_of(asked, kinds, 0, 4))
    assert bill.rows[0].seconds == (2 * (3 + 10 * 2) + 2 * (3 + 10 * 6)) / at_once


def test_confirmation_and_further_seeds_are_billed_as_trainings() -> None:
    fixed = (*FIXED, "study.until=decided", "study.max_trainings=9")
    asked = request("imgsz=96,128", "seed=1,2", fixed=fixed)
    volume = volume_of(asked, kinds_of(asked), 0, 1)
    assert volume.further == 5
    cost = cost_of(asked, kinds_of(asked), [ONE, ONE], None, volume)
    assert next(r.seconds for r in cost.rows if r.name == "further trainings") == 5 * (3 + 20 + 1)


def test_a_kind_between_two_measured_ones_lies_on_their_line() -> None:
    between = reckoned(2.0, [ONE, TWO])
    assert (between.epoch_s, between.around_s, between.evaluate_s, between.size_bytes) == (4.0, 3.0, 1.5, 2000)
    assert reckoned(0.1, [ONE, TWO]).epoch_s > 0


def test_the_least_and_the_largest_of_many_kinds_are_measured() -> None:
    kinds = kinds_of(request("imgsz=32,64,96,128,160,192,224", "seed=1"))
    chosen = spread_out(kinds, [float(i) for i in range(7)])
    assert len(chosen) == 4
    assert chosen[0] == 0
    assert chosen[-1] == 6


DATASET = DatasetRef("d", "d.yaml", "fd" * 32, {"val": 60}, ["a"])


@pytest.fixture
def sixty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "load_groups", lambda dataset, split, pattern: list(range(60)))


@pytest.mark.usefixtures("sixty")
def test_noise_is_assumed_stated_or_seen_in_that_order_of_need(tmp_path: Path) -> None:
    assumed = noise_of(composed(f"outputs={tmp_path}"), DATASET)
    assert "assumed" in assumed.seeds_from
    assert assumed.noise.images_sd == pytest.approx(0.03 * (2 / 60) ** 0.5)
    assert assumed.noise.images_freedom == 59
    stated = noise_of(composed(f"outputs={tmp_path}", "decision.seed_sd=0.004"), DATASET)
    assert (stated.noise.seed_sd, stated.noise.stated) == (0.004, True)


@pytest.mark.usefixtures("sixty")
def test_earlier_sweeps_of_the_dataset_say_how_seeds_vary(tmp_path: Path) -> None:
    study().write(tmp_path)
    seen = noise_of(composed(f"outputs={tmp_path}"), DATASET)
    assert "earlier sweeps" in seen.seeds_from
    other = DatasetRef("d", "d.yaml", "00" * 32, {"val": 60}, ["a"])
    assert "assumed" in noise_of(composed(f"outputs={tmp_path}"), other).seeds_from
