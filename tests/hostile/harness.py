"""Runs hostile cases and judges how they ended.

Each case is a fork of this warm process: a start of its own would cost a second, and a fork can hang, crash or eat its
memory without taking the others along. What is typed, printed and left is the real thing; only the
training behind it is cut off, since no hostile input may get that far unless it is sound.
"""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from tests.hostile.case import HOME, MARKER, REFUSED, SKIPPED, TAKEN, Case

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 15.0
MEMORY = 6 << 30  # bytes of address space that a case may add
LINES = 20  # of a refusal
PLACES = {"in", "outputs", "reports", "cwd", "tmp", "out"}  # all that a case may use below its folder
TORN = (".tmp", ".tmp.npz", ".part")
WHOLE = ("reports/", "out/", "outputs/sweeps/", "outputs/runs/")  # where a refusal leaves nothing
SEEN = ("left out", "skipped", "skip", "warning", "error")


@dataclass(frozen=True)
class Outcome:
    """How a case ended."""

    case: Case
    code: int | None  # None: it had to be killed
    out: str
    err: str
    seconds: float
    defects: list[str] = field(default_factory=list)

    @property
    def end(self) -> str:
        """One word for the table."""
        if self.defects:
            return "DEFECT"
        if self.code == 2:
            return REFUSED
        return SKIPPED if self.code == 1 or (SKIPPED in self.case.ends and TAKEN not in self.case.ends) else TAKEN


def run(case: Case, base: Path, *, process: bool = False) -> Outcome:
    """Lay a case out in a new folder below `base`, run it and judge it.

    Args:
        process: start a real process, as a user does, instead of a fork.
    """
    home = base / "".join(c if c.isalnum() else "-" for c in case.label)[:80]
    for place in ("in", "cwd", "tmp"):
        (home / place).mkdir(parents=True)
    case.build(home)
    before = snapshot(home)
    begun = time.monotonic()
    code = (_spawn if process else _fork)(case, home)
    seconds = time.monotonic() - begun
    out, err = ((home / name).read_text(encoding="utf-8", errors="replace") for name in ("stdout", "stderr"))
    found = Outcome(case, code, out, err, seconds)
    found.defects.extend(judge(found, home, before))
    if not found.defects:
        shutil.rmtree(home, ignore_errors=True)
    return found


def words_of(case: Case, home: Path) -> list[str]:
    """The words as typed."""
    return [word.replace(HOME, str(home)) for word in case.words]


def _fork(case: Case, home: Path) -> int | None:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _child(case, home)
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _child(case: Case, home: Path) -> NoReturn:
    os.setsid()
    for name, number in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(home / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in ("stdout", "stderr"):  # pytest and others may have put something else there
        setattr(sys, name, os.fdopen(1 if name == "stdout" else 2, "w", encoding="utf-8", errors="backslashreplace"))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    os.environ.update(environment(case, home))
    os.chdir(home / "cwd")
    sys.argv = [case.module, *words_of(case, home)]
    code = 1
    try:
        _cut_training()
        stopped = importlib.import_module(_main_of(case.module)).main()
        code = stopped if isinstance(stopped, int) else 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _main_of(module: str) -> str:
    """The module that `python -m` would run."""
    return f"{module}.__main__" if (ROOT / module.replace(".", "/") / "__main__.py").is_file() else module


def _cut_training() -> None:
    """What would train says so and stops: everything before it is the command's own."""
    from src.pipeline import single, sweep

    def taken(*_: object, **__: object) -> NoReturn:
        print("taken: training would begin")
        raise SystemExit(0)

    vars(single)["run_trial"] = taken
    vars(sweep)["_work"] = taken
    vars(sweep)["run_workers"] = taken


def environment(case: Case, home: Path) -> dict[str, str]:
    """What a case's process sees beside this one's variables."""
    return {
        "TMPDIR": str(home / "tmp"),
        "DETSWEEP_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
        **dict(case.env),
    }


def _spawn(case: Case, home: Path) -> int | None:
    command = [sys.executable, "-m", case.module, *words_of(case, home)]
    with open(home / "stdout", "wb") as out, open(home / "stderr", "wb") as err:
        try:
            return subprocess.run(
                command,
                cwd=home / "cwd",
                env={**os.environ, **environment(case, home)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                timeout=LIMIT_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def snapshot(home: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below a case's folder, with what changes when it is written."""
    found = {}
    for folder, _, files in os.walk(home):
        for name in files:
            path = Path(folder, name)
            stat = path.lstat()
            found[path.relative_to(home).as_posix()] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def judge(found: Outcome, home: Path, before: dict[str, tuple[int, int, int]]) -> list[str]:
    """What is wrong with how a case ended."""
    case, after = found.case, snapshot(home)
    ran = (home / MARKER).exists()
    return [
        *_judge_end(found),
        *(["ran code"] if ran and not case.may_run else []),
        *_judge_trust(found, ran),
        *_judge_files(case, found.code, before, after),
        *(f"wrote outside: {p.name}" for p in home.iterdir() if p.name not in PLACES | {MARKER, "stdout", "stderr"}),
        *(f"wrote into the working folder: {p.name}" for p in (home / "cwd").iterdir()),
    ]


def _judge_end(found: Outcome) -> Iterable[str]:
    case, text = found.case, found.out + found.err
    if "Traceback (most recent call last)" in text:
        yield "traceback"
    if found.code is None:
        yield f"no end within {LIMIT_S:g} s"
    elif found.code < 0:
        yield f"died of {signal.Signals(-found.code).name}"
    elif found.code == 2:
        if REFUSED not in case.ends:
            yield "refused, though it is sound"
        if "error" not in found.err and "usage" not in text.lower():
            yield "refused without a word"
        if len(found.err.splitlines()) > LINES:
            yield f"refused in {len(found.err.splitlines())} lines"
    elif found.code == 1:
        listed = any(word in text for word in SEEN) and "DETSWEEP_TRACEBACK=1 shows where" not in text
        if SKIPPED not in case.ends or not listed:
            yield "failed (exit 1) instead of being refused"
    elif found.code == 0:
        if TAKEN not in case.ends and SKIPPED not in case.ends:
            yield "taken, though it is broken"
        elif TAKEN not in case.ends and not any(word in text for word in SEEN):
            yield "skipped without a word"
    else:
        yield f"exit {found.code}"
    if case.names and found.code != 0 and case.names not in text:
        yield f"does not name {case.names}"


def _judge_trust(found: Outcome, ran: bool) -> Iterable[str]:
    if found.case.may_run:
        if not ran:
            yield "trust=true did not reach the loader"
        if "trust" not in found.out + found.err:
            yield "ran code by trust=true without saying so"


def _judge_files(
    case: Case, code: int | None, before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]]
) -> Iterable[str]:
    for name, state in before.items():
        if name.startswith("in/") and after.get(name) != state:
            yield f"changed the input: {name}"
    for name in sorted(after.keys() - before.keys()):
        base = name.rpartition("/")[2]
        if (base.startswith(".") and base.endswith(TORN)) or "/.datasets" in name:
            yield f"left a torn file: {name}"
        elif code == 2 and not name.endswith("lock") and name.startswith(WHOLE):
            yield f"half-written: {name}"


def warm(cases: Iterable[Case]) -> None:
    """Import once what the cases' commands import."""
    os.environ["DETSWEEP_OFFLINE"] = "1"
    for module in ["src.pipeline.single", "src.pipeline.sweep", *sorted({_main_of(c.module) for c in cases})]:
        importlib.import_module(module)
    for name in ("src.data.prepare", "src.data.tools", "src.data.pictures", "src.report", "cv2"):
        importlib.import_module(name)
    if any(case.heavy for case in cases):
        from src.models.ultralytics.checkpoint import prepare_environment, quiet_settings

        prepare_environment(Path(os.environ.get("TMPDIR", "/tmp")) / f"detsweep-hostile-{os.getpid()}")
        quiet_settings()
        for name in ("torch", "ultralytics.nn.tasks", "onnx", "onnxruntime"):
            importlib.import_module(name)


def table(outcomes: list[Outcome]) -> str:
    """Cases by kind and end."""
    ends = (REFUSED, SKIPPED, TAKEN, "DEFECT")
    rows = [["kind", "cases", *ends, "slowest s"]]
    for kind in dict.fromkeys(o.case.kind for o in outcomes):
        mine = [o for o in outcomes if o.case.kind == kind]
        counts = [str(sum(o.end == end for o in mine)) for end in ends]
        rows.append([kind, str(len(mine)), *counts, f"{max(o.seconds for o in mine):.1f}"])
    totals = [str(sum(o.end == end for o in outcomes)) for end in ends]
    rows.append(["all", str(len(outcomes)), *totals, f"{max(o.seconds for o in outcomes):.1f}"])
    return "\n".join(f"{row[0]:<14}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows)
