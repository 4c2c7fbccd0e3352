"""Search spaces: what Hydra's words mean, and which of them are refused."""

from __future__ import annotations

import pytest

from src.common.errors import UserError
from src.config.schema import AppConfig
from src.sweeper.space import Space, check_space, parse_space


def grid(*words: str, params: dict[str, str] | None = None, n_trials: int | None = None) -> Space:
    return parse_space(params or {}, list(words), n_trials=n_trials)


def test_finite_choices_become_every_combination_once_last_key_fastest() -> None:
    space = grid("model=v8n,v11n", "imgsz=320,416", "epochs=3")
    assert list(space.cells()) == [
        {"model": "v8n", "imgsz": 320},
        {"model": "v8n", "imgsz": 416},
        {"model": "v11n", "imgsz": 320},
        {"model": "v11n", "imgsz": 416},
    ]
    assert space.fixed == ["epochs=3"]
    assert space.size() == 4


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("imgsz=choice(96,128)", [96, 128]),
        ("imgsz=range(96,161,32)", [96, 128, 160]),
        ("lr=range(0.1,0.4,0.1)", [0.1, 0.2, 0.3]),
        ("imgsz=320,320,416", [320, 416]),
        ("train.cos_lr=true,false", [True, False]),
    ],
)
def test_words_and_their_values(word: str, values: list[object]) -> None:
    key = word.split("=")[0]
    assert [cell[key] for cell in grid(word).cells()] == values


def test_seeds_are_replicates_and_no_parameter() -> None:
    space = grid("imgsz=320,416", "seed=1,42")
    assert space.seeds == [1, 42]
    assert list(space.params) == ["imgsz"]
    assert space.words == {"imgsz": "320,416", "seed": "1,42"}
    assert grid("seed=range(3)").seeds == [0, 1, 2]
    assert list(grid("seed=1,2").cells()) == [{}]


def test_a_word_on_the_command_line_overrides_the_file() -> None:
    params = {"imgsz": "choice(96,128)", "lr": "tag(log, interval(0.001, 0.01))"}
    space = grid("lr=0.005", "epochs=2", params=params, n_trials=4)
    assert list(space.params) == ["imgsz"]
    assert set(space.fixed) == {"lr=0.005", "epochs=2"}
    assert grid("imgsz=320,416", params=params, n_trials=4).words["imgsz"] == "320,416"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], "empty"),
        (["imgsz=320"], "empty"),
        (["lr=interval(0.1,1.0)"], "n_trials"),
        (["seed=interval(0,9)"], "seed"),
        (["seed=a,b"], "seed"),
    ],
)
def test_spaces_without_sense_are_refused(words: list[str], names: str) -> None:
    with pytest.raises(UserError, match=names):
        grid(*words)


def test_every_cell_is_composed_before_anything_runs() -> None:
    seen: list[list[str]] = []

    def compose(words: list[str]) -> AppConfig:
        seen.append(words)
        return AppConfig()

    check_space(grid("imgsz=320,416", "lr=0.1,0.2", "epochs=1", "seed=1,2"), compose)
    assert len(seen) == 4
    assert seen[0] == ["epochs=1", "imgsz=320", "lr=0.1", "seed=1"]


def test_the_corners_of_an_interval_are_composed() -> None:
    seen: list[str] = []

    def compose(words: list[str]) -> AppConfig:
        seen.extend(w for w in words if w.startswith("lr="))
        return AppConfig()

    check_space(grid("lr=interval(0.1,1.0)", n_trials=3), compose)
    assert seen == ["lr=0.1", "lr=1.0"]


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UserError, match="seed"):
        check_space(grid("seed=1,-2"), lambda words: AppConfig())
