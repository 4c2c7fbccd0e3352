"""docs/architecture.md, its arrows and its picture say what the code is."""

import json
import re
from pathlib import Path

from benchmarks import architecture

PAGE = (architecture.ROOT / "docs/architecture.md").read_text()


def test_the_saved_arrows_are_todays_imports() -> None:
    assert json.loads(architecture.ARROWS.read_text()) == architecture.arrows(), "run `make architecture`"


def test_the_table_lists_every_room_in_the_order_of_the_contract() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert listed == [room for layer in architecture.layers() for room in layer]


def test_every_function_named_in_the_walk_exists() -> None:
    named = re.findall(r"`(src/[\w/]+\.py)`, `(\w+)`", PAGE)
    assert len(named) >= 8
    for file, function in named:
        text = (architecture.ROOT / file).read_text()
        assert re.search(rf"(def|class) {function}\b", text), f"{file} has no {function}"


def test_arrows_that_follow_from_others_are_left_out_of_the_picture() -> None:
    assert architecture.essential({"a": ["b", "c"], "b": ["c"], "c": []}) == {"a": ["b"], "b": ["c"], "c": []}


def test_the_picture_can_be_drawn(tmp_path: Path) -> None:
    architecture.draw(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
