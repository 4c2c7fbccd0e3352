"""The page on what was served: what drifted, since when, by how much, with figures, per class and per source."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from src.common.whole_files import write_text
from src.monitor.drift import Finding
from src.monitor.features import FEATURES, UNITS, Observation
from src.monitor.figures import draw_figures
from src.monitor.history import Course, Drift, by_source, sources_of
from src.monitor.log import PICTURES
from src.report.html import render_html

MOST_ROWS = 60
CAPTIONS = {
    "course": "Every number over time. A point is a window; orange ones are reported.",
    "distributions": "Val and the latest window: the share of images up to each value.",
    "classes": "Share of images in which each class is detected.",
    "sources": "The latest window by source: mean and middle half.",
}


def write_page(course: Course, folder: Path, log: Path | None = None) -> Path:
    """Write `monitor.html` and `monitor.md` with their figures into `folder`; returns the HTML page.

    Args:
        course: of a log against its reference.
        folder: made where it is missing.
        log: folder of the log, for its pictures.
    """
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    drawn = draw_figures(course, figures)
    pictures = _thumbnails(course.drifts, figures, log)
    text = markdown(course, drawn, pictures)
    write_text(folder / "monitor.md", text)
    page = folder / "monitor.html"
    write_text(page, render_html(text, folder, "en"))
    return page


def _thumbnails(drifts: Sequence[Drift], figures: Path, log: Path | None) -> dict[str, str]:
    """Copies of the examples' pictures as PNG, by their name in the log; those that are gone are left out."""
    from PIL import Image, UnidentifiedImageError

    made: dict[str, str] = {}
    for name in {o.picture for d in drifts for o in d.examples if log and o.picture}:
        assert log is not None
        target = f"example-{re.sub(r'[^A-Za-z0-9-]', '-', Path(name).stem)}.png"
        try:
            with Image.open(log / PICTURES / Path(name).name) as picture:
                picture.thumbnail((220, 220))
                picture.convert("RGB").save(figures / target, "PNG")
        except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError):
            continue
        made[name] = f"figures/{target}"
    return made


def markdown(course: Course, drawn: Iterable[str], pictures: dict[str, str]) -> str:
    """The page as Markdown; what came from outside is shown as text."""
    lines = ["# What is served, against val", "", *_summary(course), *_drifts(course)]
    for name in drawn:
        lines += ["", f"![{CAPTIONS[name]}](figures/{name}.png)", "", CAPTIONS[name]]
    lines += _all_examples(course, pictures)
    return "\n".join([*lines, *_numbers(course), *_classes(course), *_sources(course), *_method(course)]) + "\n"


def _summary(course: Course) -> list[str]:
    if not course.compared:
        few = course.settings.window_images
        return [f"{course.images} observations: too few for a window of {few} images, so nothing is said yet."]
    now = [d for d in course.drifts if d.now]
    names = ", ".join(said(course, d.what) for d in now)
    verdict = f"**Drifted now: {names}.**" if now else "**Nothing has drifted** in the latest window."
    first, last = course.compared[0].begin, course.compared[-1].end
    alarms = sum(len(c.drifted) for c in course.compared)
    broken = f" {course.broken} lines of the log could not be read." if course.broken else ""
    return [
        f"{verdict} {course.images} images in {len(course.compared)} windows from {when(first)} to {when(last)} UTC; "
        f"{alarms} findings, where {course.promised:.2g} false ones were to be expected.{broken}{_repeated(course)}"
    ]


def _repeated(course: Course) -> str:
    """A sentence where most images are the same ones: nothing that is tested then means what it says."""
    looked = sum(len(w.observed) for w in course.windows)
    if 2 * course.repeated <= looked:
        return ""
    return (
        f" **{course.repeated} of {looked} images look exactly like another one of their window**: the tests take "
        "images to be independent, and one picture sent again and again is none of them."
    )


def _drifts(course: Course) -> list[str]:
    drifts = course.drifts
    if not drifts:
        return []
    lines = ["", "## What drifted", ""]
    lines += _table(
        ("what", "unit", "since (UTC)", "until", "windows", "val", "window", "size", "p"),
        [
            (
                said(course, d.what),
                unit_of(course, d.what),
                when(d.since),
                "now" if d.now else when(d.until),
                d.windows,
                *(_value(d.strongest, v) for v in (d.strongest.reference, d.strongest.window)),
                f"{d.strongest.size:+.2f}" if _is_share(d.what) else f"D = {d.strongest.size:.2f}",
                f"{d.strongest.p:.1g}",
            )
            for d in drifts
        ],
    )
    return [*lines, "", "Means, or shares of images; those of the window in which chance explains least."]


def _all_examples(course: Course, pictures: dict[str, str]) -> list[str]:
    lines = ["", "## Examples"] if course.drifts else []
    for d in course.drifts:
        lines += ["", f"Examples of {said(course, d.what)}{_in_words(d.what)}:", "", *_examples(course, d, pictures)]
    return lines


def _examples(course: Course, d: Drift, pictures: dict[str, str]) -> list[str]:
    lines = []
    for o in d.examples:
        value = _of(course, d.what, o)
        where = f", source {text(o.source)}" if o.source else ""
        lines.append(f"- {text(o.key) if o.key else 'an image'}, {when(o.when)}{where}: {value}")
    shown = [pictures[o.picture] for o in d.examples if o.picture in pictures]
    lines = list(dict.fromkeys(lines))  # the same picture again and again, in one second
    return lines + (["", " ".join(f"![example]({path})" for path in shown)] if shown else [])


def _of(course: Course, what: str, o: Observation) -> str:
    if what.startswith("class:"):
        names = [_name(course, c) for c in o.classes]
        return "detects " + (", ".join(map(text, names)) if names else "nothing")
    value = o.latency_ms if what == "latency_ms" else o.values.get(what, math.nan)
    return _short(value)


def _in_words(what: str) -> str:
    """The unit of an example's number."""
    return "" if what.startswith("class:") else f" ({UNITS.get(what, 'ms')})"


def unit_of(course: Course, what: str) -> str:
    """What is compared."""
    if what.startswith("class:"):
        return "share of images with it"
    if what != "latency_ms":
        return UNITS[what]
    promise = course.profile.promise
    return f"share above the promised {promise.statistic} of {promise.latency_ms:.3g} ms"


def _numbers(course: Course) -> list[str]:
    if not course.compared:
        return []
    found = {f.what: f for f in course.compared[-1].findings}
    rows = [
        (name.replace("_", " "), UNITS[name], _short(f.reference), _short(f.window), f"{f.size:.2f}", _drifted(f))
        for name in FEATURES
        if (f := found.get(name))
    ]
    if late := found.get("latency_ms"):
        unit = unit_of(course, "latency_ms")
        rows.append(
            ("latency", unit, f"{late.reference:.1%}", f"{late.window:.1%}", f"{late.size:+.2f}", _drifted(late))
        )
    header = ("number", "unit", "val, mean", "latest window, mean", "D", "reported")
    return ["", "## Numbers of the latest window", "", *_table(header, rows)]


def _classes(course: Course) -> list[str]:
    if not course.compared:
        return []
    found = [f for f in course.compared[-1].findings if f.what.startswith("class:")]
    found.sort(key=lambda f: (not f.drifted, -f.reference))
    rows = [
        (text(_name(course, int(f.what[6:]))), f"{f.reference:.1%}", f"{f.window:.1%}", f"{f.size:+.2f}", _drifted(f))
        for f in found[:MOST_ROWS]
    ]
    more = [f"{len(found) - MOST_ROWS} more are not shown."] if len(found) > MOST_ROWS else []
    header = ("class", "val: images with it", "latest window", "difference", "reported")
    return ["", "## Classes", "", *_table(header, rows), "", *more]


def _sources(course: Course) -> list[str]:
    if not course.windows:
        return []
    latest = course.windows[-1].observed
    names = sources_of(latest)
    columns = ("images", *FEATURES, "latency_ms")
    rows = []
    for name in names[:MOST_ROWS]:
        own = by_source(latest, name)
        rows.append((text(name) if name else "(none)", *(_short(own[c]) for c in columns)))
    header = ("source", *(c.replace("_", " ") for c in columns))
    note = "Means, in the units above. Sources are not tested: the promise on false alarms is about the whole."
    return ["", "## Sources in the latest window", "", *_table(header, rows), "", note]


def _method(course: Course) -> list[str]:
    s = course.settings
    level = f" Level of each test in the latest window: {course.compared[-1].level:.2g}." if course.compared else ""
    return [
        "",
        "## How it is found",
        "",
        f"A window lasts at least {s.window_s:g} s and has at least {s.window_images} images. Numbers are compared by "
        "Smirnov's exact two-sample test, classes by Fisher's, latency by the share of calls above the promised "
        f"quantile. `monitor.false_alarms_per_day={s.false_alarms_per_day:g}` is divided among windows by their "
        f"length and among the tests.{level} Images that depend on each other, as frames of a video do, raise more.",
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    return [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *(f"| {' | '.join(map(str, r))} |" for r in rows)]


def said(course: Course, what: str) -> str:
    """A test in words."""
    if what.startswith("class:"):
        return f"class {text(_name(course, int(what[6:])))}"
    return "latency" if what == "latency_ms" else what.replace("_", " ")


def _name(course: Course, number: int) -> str:
    names = course.profile.class_names
    return names[number] if 0 <= number < len(names) else str(number)


def text(value: str) -> str:
    """A name from outside on one line, without a meaning in Markdown."""
    plain = "".join(c if c.isprintable() else " " for c in value)[:120]
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~&])", r"\\\1", plain)


def when(seconds: float) -> str:
    """A time in UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s"


def _is_share(what: str) -> bool:
    return what.startswith("class:") or what == "latency_ms"


def _value(f: Finding, value: float) -> str:
    return f"{value:.1%}" if _is_share(f.what) else _short(value)


def _short(value: float) -> str:
    """Four digits, without an exponent where a number such as pixels of a picture is large."""
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def _drifted(f: Finding) -> str:
    return f"**drifted**, p = {f.p:.1g}" if f.drifted else ""
