"""Names in figures: drawn with a font that has the letters, else numbered with a list, and never a warning a letter."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.common import fonts
from src.common.figures import save_png

NAMES = ["安全帽", "反光衣", "été", "helmet"]


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that has no font but matplotlib's own."""
    fonts.installed.cache_clear()
    monkeypatch.setattr(fonts, "installed", lambda: ())
    yield
    fonts.letters.cache_clear()


def draw(path: Path, names: list[str]) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, range(1, len(names) + 1))
    axes.set_title(f"a · {names[0]} b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_png(figure, path)
    return path


def test_names_without_a_font_are_numbered_and_listed(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", NAMES)
    listed = (tmp_path / "a.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(line[4:] for line in listed) == ["反光衣", "安全帽"]
    assert [line[:3] for line in listed] == ["[1]", "[2]"]
    a = np.asarray(Image.open(tmp_path / "a.png"))
    numbers = {line[4:]: line[:3] for line in listed}
    b = np.asarray(Image.open(draw(tmp_path / "b.png", [numbers.get(name, name) for name in NAMES])))
    assert np.array_equal(a, b), "the figure shows the numbers"
    assert not (tmp_path / "b.txt").exists()


def test_the_list_of_an_earlier_figure_goes(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", NAMES)
    draw(tmp_path / "a.png", NAMES[2:])
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_font_of_the_machine_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.font_manager import fontManager

    before = list(fontManager.ttflist)
    fontManager.addfont(make_font(tmp_path / "t.ttf", "Test Han", "安全帽反光衣"))
    monkeypatch.setattr(fonts, "installed", lambda: ("Test Han",))
    try:
        draw(tmp_path / "a.png", NAMES)
        assert fonts.Legend().of("安全帽 x", ("DejaVu Sans",)) == ("安全帽 x", ["DejaVu Sans", "Test Han"])
        assert fonts.Legend().of("安全帽 खा", ("DejaVu Sans",))[0] == "安全帽 [1]"
    finally:
        fontManager.ttflist[:] = before
    assert not (tmp_path / "a.txt").exists()


def test_runs_share_a_number_and_signs_without_shape_are_left_out() -> None:
    legend = fonts.Legend()
    own = ("DejaVu Sans",)
    assert legend.of("安全 帽 x 反", own)[0] == "[1] x [2]"
    assert legend.of("安全 帽", own)[0] == "[1]"
    assert legend.of("a\u200db", own)[0] in ("ab", "a\u200db")
    assert legend.lines() == "[1] 安全 帽\n[2] 反\n"


def make_font(path: Path, family: str, letters: str) -> Path:
    """A font of squares, for `letters`."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    def square(side: int) -> object:
        pen = TTGlyphPen(None)
        pen.moveTo((0, 0))
        for corner in ((0, side), (side, side), (side, 0)):
            pen.lineTo(corner)
        pen.closePath()
        return pen.glyph()

    names = [".notdef", *(f"u{ord(letter):x}" for letter in letters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    builder.setupGlyf({name: square(800) for name in names})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def test_pictures_take_a_font_of_this_machine() -> None:
    assert Path(fonts.local_font("Arial.ttf")).is_file()
    assert Path(fonts.local_font("Arial.Unicode.ttf")).is_file()


def test_names_in_latin_need_no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.font_manager", None)
    assert Path(fonts.local_font("Arial.ttf")).is_file()
    with pytest.raises(ImportError):
        fonts.local_font("Arial.Unicode.ttf")


def test_a_training_looks_for_no_font_on_the_network(tmp_path: Path) -> None:
    from src.models.ultralytics.checkpoint import prepare_environment, quiet_settings

    prepare_environment(tmp_path / "ultralytics")
    quiet_settings()
    from src.models.ultralytics import trainers

    data_utils, plotting = trainers.data_utils, trainers.plotting
    assert data_utils.check_font is plotting.check_font is fonts.local_font
    picture = np.zeros((64, 64, 3), np.uint8)
    drawn = plotting.Annotator(picture, example="安全帽")
    assert Path(str(drawn.font.path)).is_file()
