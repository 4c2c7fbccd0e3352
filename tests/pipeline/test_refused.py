"""What can't lead anywhere is refused before compute is spent on it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.config.schema import AppConfig
from src.pipeline.context import prepare
from src.pipeline.ineffective_keys import refuse_ineffective_keys
from src.pipeline.request import SweepRequest
from src.sweeper.space import corners, overrides_of, parse_space
from tests.config.test_config import composed
from tests.conftest import Command
from tests.tiny import make_checkpoint

TINY = ["data.n_train=8", "data.n_val=4", "data.n_test=4", "imgsz=32", "tracking=none"]


def swept(outputs: Path, *words: str) -> None:
    """What a sweep of these words checks before it trains."""
    shared = [*TINY, f"outputs={outputs}"]
    space = parse_space({}, list(words), n_trials=None)

    def compose(overrides: list[str]) -> AppConfig:
        return composed(*shared, *overrides)

    cells = [overrides_of(cell) for cell in corners(space)]
    request = SweepRequest(compose(cells[0]), space, {}, None, None, compose)
    refuse_ineffective_keys(request, prepare([compose(cell) for cell in cells]))


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["benchmark=quick,standard"], "benchmark"),
        (["model.weights=auto,scratch", "lr=0.1,0.2"], "model.weights"),
        (["data.path=null,x"], "data.path"),
        (["decision.finalists=1,2"], "decision.finalists"),
    ],
    ids=lambda w: " ".join(w) if isinstance(w, list) else w,
)
def test_a_key_that_changes_nothing_is_refused(tmp_path: Path, words: list[str], key: str) -> None:
    with pytest.raises(UserError, match=f"{key} is swept".replace(".", r"\.")):
        swept(tmp_path, *words)


def test_a_key_that_changes_the_training_is_not_refused(tmp_path: Path) -> None:
    swept(tmp_path, "lr=0.1,0.2")


def test_a_refused_sweep_ends_in_2(command: Command, tmp_path: Path) -> None:
    done = command("src.run", "-m", *TINY, "decision.finalists=1,2", f"outputs={tmp_path}", timeout=120)
    assert done.returncode == 2, done.stderr
    assert "decision.finalists is swept" in done.stderr


def test_layers_that_are_not_there_are_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.freeze_names holds a pattern"):
        prepare([composed(*TINY, "train.freeze_names=[model.99]", f"outputs={tmp_path}/o")])
    assert not (tmp_path / "o").exists()


def test_weights_of_another_architecture_are_refused_before_training(tmp_path: Path) -> None:
    start = make_checkpoint(tmp_path).path  # a YOLOv8n
    with pytest.raises(UserError, match="another architecture"):
        prepare([composed(*TINY, "model=rtdetr", f"model.weights={start}", f"outputs={tmp_path}/o")])


def test_weights_that_are_no_checkpoint_are_refused_before_training(command: Command, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", "no pickle")
    done = command("src.run", *TINY, f"model.weights={tmp_path}/x.pt", f"outputs={tmp_path}/o", timeout=120)
    assert done.returncode == 2, done.stderr
    assert "x.pt" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o" / "runs").exists()
