"""Hostile records: what a sweep left behind, torn, altered or written by somebody else, then read by every command."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.case import HOME, REFUSED, SKIPPED, TAKEN, Case, instead
from tests.hostile.models import TOY, pickled
from tests.hostile.words import Evil
from tests.report.factory import deep_study

NAME = "friday"
PLACES = (f"outputs={HOME}/outputs", f"reports={HOME}/reports")
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "report": ("src.report", (f"sweep={NAME}", *PLACES)),
    "latest": ("src.report", ("sweep=latest", *PLACES)),
    "check": ("src.report", (f"sweep={NAME}", "check=true", *PLACES)),
    "evaluate": ("src.evaluate", (f"sweep={NAME}", f"outputs={HOME}/outputs")),
    "replay": ("src.run", (*TOY, "replay=abcdef123456")),
}
ODD = (REFUSED, TAKEN)


def saved(home: Path) -> dict[str, Path]:
    """A sweep on disk; its files by what they hold."""
    folder = deep_study().write(home / "outputs")
    return {
        "sweep": folder / "sweep.json",
        "record": sorted(folder.glob("trials/*/record.json"))[0],
        "finalist": sorted(folder.glob("trials/*/finalist.json"))[0],
        "evaluation": sorted(folder.glob("trials/*/evaluation/*.json"))[0],
    }


def case(
    kind: str, file: str, name: str, change: Callable[[Path], object], command: str, ends: tuple[str, ...]
) -> Case:
    module, words = COMMANDS[command]

    def build(home: Path) -> None:
        change(saved(home)[file])

    return Case(kind, f"{file}-{name}-{command}", module, words, build, ends)


def text(content: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def work(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return work


def field(name: str, value: object) -> Callable[[Path], object]:
    return edit(lambda content: content.update({name: value}))


WHOLE: dict[str, Callable[[Path], object]] = {
    "empty": text(""),
    "text": text("no json"),
    "torn": lambda p: p.write_bytes(p.read_bytes()[:300]),
    "binary": text(bytes(range(256))),
    "utf-16": lambda p: p.write_text(p.read_text(), encoding="utf-16"),
    "nul": lambda p: p.write_bytes(p.read_bytes() + b"\0"),
    "twice": lambda p: p.write_bytes(p.read_bytes() * 2),
    "deep": text("[" * 200_000),
    "deep-object": text('{"a":' * 100_000),
    "a-list": text("[]"),
    "null": text("null"),
    "a-number": text("1e999"),
    "long-number": text('{"schema_version": ' + "9" * 6000 + "}"),
    "a-pickle": lambda p: p.write_bytes(pickled(Evil(str(p)))),
    "future": field("schema_version", 99),
    "no-version": edit(lambda c: c.pop("schema_version")),
    "unknown-field": field("evil", 1),
    "of-another-sweep": field("sweep", "monday"),
    "pipe": instead(os.mkfifo),
    "folder": instead(Path.mkdir),
    "endless": instead(lambda p: p.symlink_to("/dev/zero")),
    "unreadable": instead(lambda p: p.symlink_to(p.name)),
}


def whole() -> list[Case]:
    """A file that is no record at all, in turn each file and command."""
    files, found = ("sweep", "record", "finalist", "evaluation"), []
    for i, (name, change) in enumerate(WHOLE.items()):
        for file in (files[i % 4], files[(i + 1) % 4]):
            command = ("report", "latest", "check")[i % 3]
            ends = ODD if file == "evaluation" and name == "of-another-sweep" else (REFUSED,)
            if file == "sweep" and name == "of-another-sweep":
                ends = (REFUSED,)
            found.append(case("records", file, name, change, command, ends))
    return found


NASTY: tuple[object, ...] = (None, -1, 1e308, 10**30, "", "../../x", "=cmd|calc", "<script>", [], {}, [None],
                             {"a": [1]}, True, "9" * 5000, float("nan"), float("inf"), "\ud800")  # fmt: skip


def altered(count: int = 40) -> list[Case]:
    """Records with one field changed at random, however deep: refused, or taken where it means something."""
    rng = random.Random(99)
    found = []
    for i in range(count):
        file = rng.choice(("sweep", "record", "record", "finalist", "finalist", "evaluation"))
        value, path = rng.choice(NASTY), rng.random()

        def change(content: dict[str, Any], value: object = value, path: float = path) -> None:
            place: Any = content
            local = random.Random(path)
            while True:
                keys = list(place) if isinstance(place, dict) else list(range(len(place)))
                key = local.choice(keys)
                if isinstance(place[key], (dict, list)) and place[key] and local.random() < 0.8:
                    place = place[key]
                    continue
                place[key] = value
                return

        command = rng.choice(("report", "report", "latest", "check", "evaluate"))
        found.append(case("records", file, f"altered-{i}", edit(change), command, (REFUSED, TAKEN, SKIPPED)))
    return found


def names() -> list[Case]:
    """Records that name files elsewhere."""
    outside = "../../../../../../etc/passwd"

    def each(key: str, of: str) -> Callable[[Path], object]:
        def change(content: dict[str, Any]) -> None:
            for row in content[of]:
                row[key] = outside

        return edit(change)

    return [
        case("records", "sweep", "named-dots", field("sweep", ".."), "report", (REFUSED,)),
        case("records", "sweep", "named-path", field("sweep", "../../escaped"), "report", (REFUSED,)),
        case("records", "sweep", "named-absolute", field("sweep", "/tmp/escaped"), "latest", (REFUSED,)),
        case("records", "finalist", "artifact-outside", each("path", "artifacts"), "report", ODD),
        case("records", "finalist", "samples-outside", each("samples_file", "measurements"), "report", ODD),
        case("records", "finalist", "detections-outside", each("detections_file", "verifications"), "evaluate", ODD),
        case("records", "finalist", "runtime-outside", each("runtime", "verifications"), "evaluate", ODD),
        case("records", "finalist", "split-outside", each("split", "verifications"), "evaluate", ODD),
        case("records", "record", "not-a-trial", field("trial", -5), "report", ODD),
        case("records", "record", "replay", field("run_id", "*"), "replay", (REFUSED,)),
    ]


# --- journals, locks and reports

LINE = {"op_code": 0, "worker_id": "x", "study_name": "sweep", "directions": [2]}
JOURNALS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "torn-line": (json.dumps(LINE).encode()[:20], ODD),
    "text": (b"no json\n", (REFUSED,)),
    "binary": (bytes(range(256)) + b"\n", (REFUSED,)),
    "pickle": (pickled([1]) + b"\n", (REFUSED,)),
    "a-list": (b"[]\n", (REFUSED,)),
    "null": (b"null\n", (REFUSED,)),
    "a-number": (b"5\n", (REFUSED,)),
    "deep": (b"[" * 200_000 + b"\n", (REFUSED,)),
    "unknown-operation": (json.dumps({**LINE, "op_code": 999}).encode() + b"\n", (REFUSED,)),
    "operation-text": (json.dumps({**LINE, "op_code": "rm"}).encode() + b"\n", (REFUSED,)),
    "no-operation": (b'{"a": 1}\n', (REFUSED,)),
    "trial-of-no-study": (b'{"op_code": 4, "worker_id": "x", "study_id": 7}\n', ODD),
    "empty-lines": (b"\n\n\n", (REFUSED, TAKEN)),
    "minimises": (json.dumps({**LINE, "directions": [1]}).encode() + b"\n", ODD),
    "two-objectives": (json.dumps({**LINE, "directions": [1, 2]}).encode() + b"\n", ODD),
    "slot-text": (
        json.dumps(LINE).encode() + b"\n" + json.dumps(
            {"op_code": 4, "worker_id": "x", "study_id": 0, "datetime_start": None, "datetime_complete": None,
             "distributions": {}, "params": {}, "user_attrs": {"slot": "../x"}, "system_attrs": {},
             "state": 4, "intermediate_values": {}, "values": None}).encode() + b"\n", ODD),
}  # fmt: skip


def journals() -> list[Case]:
    """What an earlier run of the same sweep seems to have left."""

    def one(name: str, content: bytes, ends: tuple[str, ...]) -> Case:
        def build(home: Path) -> None:
            file = home / "outputs" / "sweeps" / "x" / "study.log"
            file.parent.mkdir(parents=True)
            file.write_bytes(content)

        return Case("journals", name, "src.run", ("-m", *TOY, "seed=1,2", "sweep=x"), build, ends)

    def earlier(name: str, change: Callable[[Path], object]) -> Case:
        def build(home: Path) -> None:
            file = home / "outputs" / "sweeps" / "x" / "sweep.json"
            file.parent.mkdir(parents=True)
            change(file)

        return Case("journals", name, "src.run", ("-m", *TOY, "seed=1,2", "sweep=x"), build, (REFUSED,))

    return [
        *(one(name, content, ends) for name, (content, ends) in JOURNALS.items()),
        earlier("sweep-text", text("no json")),
        earlier("sweep-pipe", os.mkfifo),
        earlier("sweep-folder", Path.mkdir),
    ]


def cases() -> list[Case]:
    """All of them."""
    return [*whole(), *altered(), *names(), *journals()]
