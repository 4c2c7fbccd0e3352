"""One prediction from its arguments: opens the model and the source, runs, writes, and says what was found."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from src import runtime
from src.common.errors import UserError
from src.common.redaction import redact_text
from src.common.whole_files import write_text
from src.machine.environment import cores
from src.predict.engine import Predictor, Wanted
from src.predict.model import Opened, choose_runtime, open_model
from src.predict.options import PredictArgs, check_source, out_folder
from src.predict.parallel import at_once, workers_for
from src.predict.run import AHEAD, Done, Stats, ahead, in_turn, keep
from src.predict.sources import Frame, Notes, find_files, is_live, is_video, open_video, read_picture, read_video
from src.predict.stream import Stream
from src.predict.writers import Aside, make_writers
from src.records.tiling import says, tiling_of

log = logging.getLogger(__name__)


def execute(args: PredictArgs) -> int:
    """Predict as asked; returns 0.

    Raises:
        UserError: the model, the source or an argument is wrong.
    """
    source = str(args.source)
    notes = Notes()
    live = is_live(source)
    files = [] if live else find_files(source, notes)
    check_source(args, live=live, clips=any(is_video(path) for _, path in files))
    for why, names in notes.left_out.items():
        log.warning("%d file(s) of the source are left out (%s), e.g. %s", len(names), why, ", ".join(names[:3]))
    opened = open_model(Path(args.model).expanduser(), imgsz=args.imgsz, names=args.names, trust=args.trust)
    if (
        files and opened.fixed_batch
    ):  # a file that insists on a number of pictures gets as many, the last call filled up
        args.batch = opened.fixed_batch
    wanted = wanted_of(args, opened)
    clips = {name: open_clip(path) for name, path in files if is_video(path)}
    aside = Aside(out_folder(args))
    total = args.frames if not files else frames_in(files, clips, args.every)
    engine, threads = choose_runtime(opened.artifact, args.runtime), args.threads or cores()
    workers = workers_for(engine, args.device, threads, -(-total // args.batch)) if files else 1
    # An engine with n threads adds n - 1 to those that call it.
    predictor = load(args, opened, wanted, engine, threads - workers + 1)
    if told := what_is_drawn(opened):
        log.warning("%s", told)
    stream = None
    if not files:
        stream = Stream(source, queue=args.queue, attempts=args.attempts, backoff_s=args.backoff_s)
    frames = islice(stream.frames(), args.frames or None) if stream else read_all(files, args.every, notes)
    fps = {name: rate / args.every for name, (_, rate) in clips.items()}
    with aside, progress_bar(total, shown=args.progress) as tick:
        aside.writers = make_writers(args.save, aside.folder, opened, fps)
        try:
            with closing(predicted(frames, predictor, args.batch, workers, depth=1 if stream else AHEAD)) as batches:
                stats = keep(batches, aside.writers, tick)
        finally:
            if stream is not None:
                stream.stop()
        for why, names in notes.depths.items():
            log.warning("%d picture(s): %s, e.g. %s", len(names), why, ", ".join(names[:3]))
        facts = summary(stats, opened, source, stream, says(wanted.tiling)) | notes.as_dict()
        write_text(aside.folder / "summary.json", json.dumps(facts, indent=1) + "\n")
    print("\n".join(f"{key:<12} {value}" for key, value in facts.items()))
    print(f"{'results':<12} {aside.target}")
    return 0


def wanted_of(args: PredictArgs, opened: Opened) -> Wanted:
    """What the user wants to see of this model."""
    tiling = tiling_of(args.tile, args.overlap, args.merge, batch=args.batch)
    classes = classes_of(args.classes, opened)
    return Wanted(args.conf, args.iou, args.max_det, args.nms, classes, tiling)  # type: ignore[arg-type]


def predicted(
    frames: Iterator[Frame], predictor: Predictor, batch: int, workers: int, depth: int
) -> Generator[Done, None, None]:
    """Predicted batches: several at a time, or one after the other while `depth` are made ready."""
    if workers > 1:
        return at_once(frames, predictor, batch=batch, workers=workers)
    return in_turn(ahead(frames, predictor, batch=batch, depth=depth), predictor)


def frames_in(files: list[tuple[str, Path]], clips: dict[str, tuple[int, float]], every: int) -> int:
    """Frames to predict; 0 where a video does not tell."""
    if not all(count for count, _ in clips.values()):
        return 0
    return sum(-(-clips[name][0] // every) if name in clips else 1 for name, _ in files)


def open_clip(path: Path) -> tuple[int, float]:
    """Frames and frames per second of a video; it is opened once before anything runs."""
    capture, clip = open_video(path)
    capture.release()
    return clip.frames, clip.fps


def read_all(files: list[tuple[str, Path]], every: int, notes: Notes) -> Iterator[Frame]:
    """Frames of all files, in order; what is odd about one is noted."""
    for name, path in files:
        if is_video(path):
            yield from read_video(name, path, every=every)
        else:
            yield Frame(name, read_picture(path, notes))


def load(args: PredictArgs, opened: Opened, wanted: Wanted, engine: str, threads: int) -> Predictor:
    """The model in its engine, which may use so many threads."""
    session = runtime.load(engine, opened.artifact, threads=threads, device=args.device, trust=args.trust)
    predictor = Predictor(session, opened.artifact, wanted)
    predictor.try_out(opened.artifact.path, batch=args.batch)
    return predictor


def what_is_drawn(opened: Opened) -> str:
    """What the user has to know of the boxes of a model for more than boxes; "" of a plain detector."""
    task = opened.artifact.output.task if opened.artifact.output else ""
    if task == "obb":
        return "an OBB model: each box is the upright one around it"
    if task in ("segment", "pose"):
        return f"a {task} model: its boxes alone are read"
    return ""


def classes_of(words: list[str] | None, opened: Opened) -> tuple[int, ...] | None:
    """Ids of the classes asked for.

    Raises:
        UserError: there is no such class.
    """
    if words is None:
        return None
    known = {name: i for i, name in enumerate(opened.names)}
    found = []
    for word in map(str, words):
        if word in known:
            found.append(known[word])
        elif word.isdecimal() and (not known or int(word) < len(known)):
            found.append(int(word))
        else:
            shown = ", ".join(list(known)[:20]) or "ids, as the model has no names"
            raise UserError(
                "classes holds a class that the model does not have", value=word, remedy=f"some of: {shown}"
            )
    return tuple(found)


def summary(stats: Stats, opened: Opened, source: str, stream: Stream | None, tiling: str = "") -> dict[str, Any]:
    """What a run did, as plain data."""
    facts: dict[str, Any] = {
        "model": f"{opened.artifact.label} {opened.size} px",
        "source": redact_text(source),
        **({"tiles": tiling} if tiling else {}),
        "frames": stats.frames,
        "boxes": stats.boxes,
        "fps": round(stats.fps, 2),
        "call_ms_p50": round(stats.percentile(50), 3),
        "call_ms_p95": round(stats.percentile(95), 3),
        "classes": {opened.name_of(i): n for i, n in sorted(stats.per_class.items())},
    }
    if stream is not None:
        facts |= {"read": stream.stats.read, "dropped": stream.dropped, "reconnects": stream.stats.reconnects}
        facts |= {"waited_s": round(stream.stats.waited_s, 2), "ended": stream.stats.ended}
    return facts


@contextmanager
def progress_bar(total: int, *, shown: bool) -> Iterator[Any]:
    """A function that moves a bar by so many frames; on a terminal only."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("predict"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown or not sys.stderr.isatty()) as bar:
        task = bar.add_task("predict", total=total or None)
        yield lambda done: bar.advance(task, done)
