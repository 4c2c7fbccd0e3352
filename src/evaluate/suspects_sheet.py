"""Likely label errors and hard images as one HTML file with the pictures in it, and as JSON.

The sheet is self-contained, so that it can be sent to whoever mends the labels. Pictures of an encrypted dataset are
left out: it would hold them in plain.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.common import image_loaders
from src.common.errors import UserError
from src.common.whole_files import write_text
from src.data import Sample
from src.evaluate.suspects import Hard, Suspect
from src.inference import load_image

HTML, JSON = "suspects.html", "suspects.json"
SIDE = 320  # px of a picture in the sheet
CONTEXT = 1.0  # sides of the box that are shown around it
LABEL, SEEN = (31, 119, 180), (214, 39, 40)  # RGB: what the labels say, and what networks see
SAID = {
    "missing": "no label: {seen} is seen here",
    "class": "labelled {label}, seen as {seen}",
    "box": "the box of {label} lies off what is seen",
    "extra": "labelled {label}, nothing is seen",
}
STYLE = """html{color-scheme:light;background:#fff}
body{font:14px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#222}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(16rem,1fr));gap:1rem}
figure{margin:0;border:1px solid #ccc;border-radius:4px;overflow:hidden;background:#fafafa}
figure img{display:block;width:100%;height:15rem;object-fit:contain;background:#eee}
figcaption{padding:.5rem}b{display:block}small{color:#555;overflow-wrap:anywhere}
.l{color:#1f77b4}.s{color:#d62728}"""


@dataclass(frozen=True)
class Checked:
    """What was looked at: the images of one prepared split, and what was found."""

    samples: list[Sample]
    names: list[str]  # of the classes
    sources: list[str]  # the user's own file of each image
    listed: list[Suspect]
    hard: list[Hard]


def write_sheet(out: Path, checked: Sequence[Checked], most: int, about: str) -> list[dict[str, Any]]:
    """Write `suspects.html` and `suspects.json` into `out`; returns the rows of the latter's list.

    Args:
        out: folder.
        checked: datasets or folds, each with its own images.
        most: entries of each of the two lists.
        about: a sentence on where the detections come from.
    """
    pairs = sorted(((s, c) for c in checked for s in c.listed), key=lambda pair: -pair[0].suspicion)[:most]
    worst = sorted(((h, c) for c in checked for h in c.hard), key=lambda pair: -pair[0].errors)[:most]
    rows = [_row(s, c) for s, c in pairs]
    hard = [{"image": c.sources[h.image], **_without_image(h)} for h, c in worst]
    total = sum(len(c.samples) for c in checked)
    document = {"about": about, "images": total, "suspects": rows, "hard": hard}
    write_text(out / JSON, json.dumps(document, indent=1) + "\n")
    cards = [_card(r, _picture(c.samples[s.image], s)) for r, (s, c) in zip(rows, pairs, strict=True)]
    images = [_hard_card(r, _picture(c.samples[h.image], None)) for r, (h, c) in zip(hard, worst, strict=True)]
    write_text(out / HTML, _page(about, total, cards, images))
    return rows


def _row(s: Suspect, c: Checked) -> dict[str, Any]:
    label, seen = (c.names[k] if k >= 0 else None for k in (s.label, s.seen))
    said = SAID[s.kind].format(label=label, seen=seen)
    facts = {**_without_image(s), "label": label, "seen": seen, "suspicion": round(s.suspicion, 4)}
    return {"image": c.sources[s.image], "says": said, **facts, "score": round(s.score, 4)}


def _without_image(found: Suspect | Hard) -> dict[str, Any]:
    return {key: value for key, value in asdict(found).items() if key != "image"}


def _picture(sample: Sample, s: Suspect | None) -> str:
    """A data address of what is meant, with its surroundings; "" of an encrypted picture."""
    import cv2

    if image_loaders.is_private(sample.image):
        return ""
    try:
        image = load_image(sample.image)
    except UserError:  # what only a loader opens, which this command does not run
        return ""
    x1, y1, x2, y2 = (0, 0, sample.width, sample.height) if s is None else _around(s, sample)
    scale = SIDE / max(x2 - x1, y2 - y1, 1)
    size = max(round((x2 - x1) * scale), 1), max(round((y2 - y1) * scale), 1)
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR  # the former shows a small object as a few squares
    crop = cv2.resize(np.ascontiguousarray(image[y1:y2, x1:x2]), size, interpolation=kind)

    def frame(box: Sequence[float], colour: tuple[int, int, int], width: int) -> None:
        a, b, c, d = ((v - o) * scale for v, o in zip(box, (x1, y1, x1, y1), strict=True))
        cv2.rectangle(crop, (round(a), round(b)), (round(c), round(d)), colour, width)

    for box in sample.boxes.tolist():
        frame(box, LABEL, 1)
    if s is not None and s.label >= 0:
        frame(s.box, LABEL, 3)
    if s is not None and s.seen_box is not None:
        frame(s.seen_box, SEEN, 2)
    content = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode('ascii')}"


def _around(s: Suspect, sample: Sample) -> tuple[int, int, int, int]:
    """The part of the picture that holds the boxes and their surroundings, at least 16 px."""
    boxes = [s.box, *([s.seen_box] if s.seen_box else [])]
    x1, y1 = min(b[0] for b in boxes), min(b[1] for b in boxes)
    x2, y2 = max(b[2] for b in boxes), max(b[3] for b in boxes)
    more = max(x2 - x1, y2 - y1, 16) * CONTEXT / 2
    left, top = max(int(x1 - more), 0), max(int(y1 - more), 0)
    return left, top, max(min(int(x2 + more), sample.width), left + 1), max(min(int(y2 + more), sample.height), top + 1)


def _card(row: dict[str, Any], picture: str) -> str:
    seen = f", score {row['score']:.2f}" if row["seen"] else ""
    facts = f"{row['kind']}, suspicion {row['suspicion']:.2f}{seen}"
    return _figure(picture, row["says"], facts, row["image"])


def _hard_card(row: dict[str, Any], picture: str) -> str:
    said = f"{row['errors']:.0%} of the answers are wrong"
    return _figure(picture, said, f"missed {row['missed']:g}, false {row['false']:g}", row["image"])


def _figure(picture: str, said: str, facts: str, name: str) -> str:
    shown = f'<img src="{picture}" alt="{html.escape(said)}">' if picture else "<p>encrypted: no picture</p>"
    words = f"<b>{html.escape(said)}</b>{html.escape(facts)}<br><small>{html.escape(name)}</small>"
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"


def _page(about: str, images: int, cards: Sequence[str], hard: Sequence[str]) -> str:
    none = "<p>None: labels and detections agree.</p>"
    key = '<span class="l">blue</span>: what the labels say; <span class="s">red</span>: what the networks see'
    order = "The most suspicious come first. Suspicion orders the list; it is no probability that holds by itself."
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Likely label errors</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>
<h1>Likely label errors</h1>
<p>{html.escape(about)} {images:,} images. {key}. {order}</p>
<div class="sheet">{"".join(cards)}</div>{"" if cards else none}
<h2>Hard images</h2>
<p>Where the networks go wrong most, whatever the labels: more images like these help most.</p>
<div class="sheet">{"".join(hard)}</div>{"" if hard else none}
</body></html>
"""
