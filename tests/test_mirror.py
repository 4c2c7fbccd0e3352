"""Where a test lies says what it is of: every folder of tests/ is a room of src/, but for those named here."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import ROOT

OTHERS = {
    "benchmarks",  # of the folder of that name
    "deploy",  # so too
    "docs",  # so too
    "hostile",  # bad input, to every command
    "pipeline/fakes",  # packages that are put in the place of others
}


def folders(root: Path) -> set[str]:
    """Folders with Python files below a folder, relative to it."""
    return {str(p.parent.relative_to(root)) for p in root.rglob("*.py")} - {"."}


def test_every_folder_of_tests_is_a_room_of_the_source() -> None:
    rooms, tested = folders(ROOT / "src"), folders(ROOT / "tests")
    assert tested - rooms == OTHERS


def test_every_room_of_the_source_has_its_tests() -> None:
    assert {room for room in folders(ROOT / "src") if "/" not in room} <= folders(ROOT / "tests")
