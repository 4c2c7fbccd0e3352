"""Hostile logs, profiles, experiments and labels: what a service or somebody else left, read by `src.monitor`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from src.monitor.log import Log
from src.monitor.profile import save_profile
from src.monitor.settings import MonitorConfig
from tests.hostile.case import HOME, REFUSED, TAKEN, Case, instead
from tests.monitor.worlds import World, profile

WATCH = (f"log={HOME}/in/log", f"profile={HOME}/in/profile.json", f"out={HOME}/out/page")
LIVE = (f"experiment={HOME}/outputs/live", f"labels={HOME}/in/labels", f"out={HOME}/out/outcome")
Change = Callable[[Path], object]


def lay_out(home: Path) -> None:
    """A log, a profile, an experiment and labels."""
    folder, rng = home / "in", np.random.default_rng(0)
    save_profile(folder / "profile.json", profile(rng, 30))
    log = Log(folder / "log", MonitorConfig())
    for one in World().images(rng, 60):
        log.write(one)
    log.close()
    live = home / "outputs" / "live"
    live.mkdir(parents=True)
    live.joinpath("experiment.json").write_text(json.dumps({"name": "a", "champion": "1", "challenger": "2"}))
    live.joinpath("events.jsonl").write_text(
        '{"event":"image","image":"a","answers":{"champion":[[1,2,3,4,0,0.5]]},"size":[9,9]}\n'
    )
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")


def text(content: str | bytes) -> Change:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


CONTENT: dict[str, Change] = {
    "empty": text(""),
    "binary": text(bytes(range(256)) * 20),
    "deep": text("[" * 200_000),
    "a-list": text("[]"),
    "null": text("null"),
    "a-number": text("1e999"),
    "a-pipe": instead(lambda path: os.mkfifo(path)),
    "a-folder": instead(lambda path: path.mkdir()),
    "endless": instead(lambda path: path.symlink_to("/dev/zero")),
}
FILES = ("in/profile.json", "outputs/live/experiment.json", "in/labels/a.txt")
LINES = {
    "nan": '{"when":NaN,"values":{},"classes":[],"latency_ms":null}',
    "far-future": '{"when":1e300,"values":{},"classes":[],"latency_ms":1}',
    "huge-class": '{"when":1,"values":{},"classes":[99999999999999999999],"latency_ms":1}',
    "markup": '{"when":1,"values":{},"classes":[0],"latency_ms":1,"source":"<script>x</script>","key":"|\\u202e"}',
    "escape": '{"when":1,"values":{},"classes":[0],"latency_ms":1,"picture":"../../../etc/passwd"}',
}
EVENTS = {
    "class-of-a-billion": '{"event":"image","image":"b","answers":{"champion":[[1,2,3,4,999999999,0.5]]}}',
    "infinite-box": '{"event":"image","image":"b","answers":{"champion":[[1e999,2,3,4,0,0.5]]}}',
    "step-far": '{"event":"step","step":1e9}',
    "unknown": '{"event":"__class__"}',
}


def _append(name: str, line: str) -> Change:
    def work(home: Path) -> None:
        path = next(iter(sorted((home / "in" / "log").glob("*.jsonl")))) if name == "log" else home / name
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    return work


def cases() -> list[Case]:
    """Every hostile file in its place, and hostile lines among sound ones."""
    found = [
        _case(f"{file}-{name}", WATCH if "profile" in file else LIVE, _at(file, change), (REFUSED, TAKEN))
        for file in FILES
        for name, change in CONTENT.items()
    ]
    found += [_case(f"log-{name}", WATCH, _append("log", line), (TAKEN,)) for name, line in LINES.items()]
    events = "outputs/live/events.jsonl"
    found += [_case(f"events-{name}", LIVE, _append(events, line), (TAKEN,)) for name, line in EVENTS.items()]
    return found


def _at(file: str, change: Change) -> Change:
    return lambda home: change(home / file)


def _case(name: str, words: tuple[str, ...], change: Change, ends: tuple[str, ...]) -> Case:
    def build(home: Path) -> None:
        lay_out(home)
        change(home)

    return Case("watched", name.replace("/", "-"), "src.monitor", words, build, ends)
