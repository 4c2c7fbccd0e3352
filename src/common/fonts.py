"""Names in any script in figures: from a font of this machine that has the letters, else as numbers with a list.

Matplotlib's own font has Latin, Greek, Cyrillic, Arabic and a little more. What it lacks would be drawn as boxes,
with a warning for every letter. Nothing is downloaded: where no installed font has a name's letters, the figure shows
`[1]` in its place, and a text file beside the figure says what `[1]` stands for.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import unicodedata
from pathlib import Path
from typing import Any

# Families that cover scripts beyond the default's, the better ones first; others of Noto are found by their prefix.
FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Malgun Gothic",
    "NanumGothic",
    "IPAexGothic",
    "Arial Unicode MS",
    "Droid Sans Fallback",
    "Noto Sans Arabic",
    "Noto Naskh Arabic",
    "Noto Sans Devanagari",
    "Lohit Devanagari",
    "Mangal",
    "Nirmala UI",
    "FreeSans",
    "Unifont",
)
PREFIXES = ("Noto Sans ", "Lohit ")
_UNSEEN = ("Cf", "Mn", "Me", "Zs")  # categories that may be left out without changing how a name reads
_SPACE = " "


@functools.cache
def installed() -> tuple[str, ...]:
    """The families of this machine that may have what the default font lacks, in the order to try them."""
    from matplotlib.font_manager import fontManager

    names = {entry.name for entry in fontManager.ttflist}
    more = sorted(name for name in names if name.startswith(PREFIXES) and name not in FAMILIES and "Emoji" not in name)
    return tuple(name for name in (*FAMILIES, *more) if name in names)


@functools.cache
def letters(family: str) -> frozenset[int]:
    """Code points that a family has; none where its file can't be read."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    try:
        return frozenset(get_font(fontManager.findfont(FontProperties(family=[family]))).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


def local_font(name: str) -> str:
    """A font file of this machine for pictures with names in any script; `name` is what others would download."""
    if "unicode" not in name.lower() and (shipped := _shipped()).is_file():
        return str(shipped)
    from matplotlib.font_manager import FontProperties, fontManager

    return str(fontManager.findfont(FontProperties(family=[*installed()[:1], "DejaVu Sans"])))


def _shipped() -> Path:
    """Matplotlib's own font, found without loading matplotlib, which takes most of a second."""
    spec = importlib.util.find_spec("matplotlib")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(*folders[:1], "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")


class Legend:
    """What numbers in a figure stand for."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, text: str, default: tuple[str, ...]) -> tuple[str, list[str]]:
        """The text as it can be drawn, and the families to draw it with.

        Args:
            text: of one line.
            default: families that it is set in.
        """
        missing = {ord(c) for c in text if c > _SPACE} - frozenset().union(*map(letters, default))
        families = list(default)
        for family in installed() if missing else ():
            if missing & letters(family):
                families.append(family)
                missing -= letters(family)
        return (self._numbered(text, missing) if missing else text), families

    def lines(self) -> str:
        """A line for each number; "" where every name could be drawn."""
        return "".join(f"[{number}] {name}\n" for name, number in self._numbers.items())

    def _numbered(self, text: str, missing: set[int]) -> str:
        unseen = {code for code in missing if unicodedata.category(chr(code)) in _UNSEEN}
        if unseen == missing:
            return "".join(c for c in text if ord(c) not in missing)
        one = "[" + "".join(re.escape(chr(code)) for code in sorted(missing)) + "]"
        return re.sub(rf"{one}+(?: +{one}+)*", lambda found: self._number(found[0]), text)

    def _number(self, name: str) -> str:
        return f"[{self._numbers.setdefault(name, len(self._numbers) + 1)}]"


@functools.cache
def canvas_class() -> Any:
    """Matplotlib's canvas, with letters of any script; its `legend` holds what could only be numbered."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg

    class Renderer(RendererAgg):
        """Draws and measures text as it can be read."""

        legend: Legend

        def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> Any:
            return super().get_text_width_height_descent(*self._legible(s, prop), ismath)

        def draw_text(
            self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, ismath: Any = False, mtext: Any = None
        ) -> None:
            super().draw_text(gc, x, y, *self._legible(s, prop), angle, ismath, mtext)

        def _legible(self, s: str, prop: Any) -> tuple[str, Any]:
            if s.isascii():
                return s, prop
            s, families = self.legend.of(s, tuple(prop.get_family()))
            prop = prop.copy()
            prop.set_family(families)
            return s, prop

    class Canvas(FigureCanvasAgg):
        """A canvas with such a renderer."""

        def __init__(self, figure: Any) -> None:
            self.legend = Legend()
            super().__init__(figure)

        def get_renderer(self) -> Any:
            width, height = (int(side) for side in self.get_width_height(physical=True))
            key = (width, height, self.figure.dpi)
            if getattr(self, "_made_for", None) != key:
                self.renderer = Renderer(width, height, self.figure.dpi)
                self.renderer.legend = self.legend
                self._made_for = key
            return self.renderer

    return Canvas
