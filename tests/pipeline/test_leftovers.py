"""What killed processes were writing aside is cleared away, and nothing else."""

from __future__ import annotations

import threading
from pathlib import Path

from src.common.whole_files import locked
from src.pipeline.leftovers import clear_sweep

ASIDE = (".sweep.json.7.tmp", "trials/0001/.record.json.7.tmp", "truths/.val.npz.7.tmp.npz", "benchmark/.a.7.tmp.npz")
KEPT = ("sweep.json", "run.key", "trials/0001/record.json", "costs/.v8n.json.7.tmp", "truths/val.npz")


def sweep(home: Path) -> Path:
    for name in (*ASIDE, *KEPT, "../report/.decision.md.7.tmp", "../report/decision.md"):
        (home / "sweep" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "sweep" / name).touch()
    (home / "sweep/trials/0001/.artifacts.7.tmp").mkdir()  # an export writes a folder aside
    return home / "sweep"


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() or p.name.startswith("."))


def test_everything_written_aside_goes_and_the_rest_stays(tmp_path: Path) -> None:
    folder = sweep(tmp_path)
    clear_sweep(folder, tmp_path / "report")
    assert files(folder) == sorted([*KEPT, "open.lock"]), "costs are another lock's"
    assert files(tmp_path / "report") == ["decision.md"]


def test_a_command_that_opens_the_sweep_is_waited_for(tmp_path: Path) -> None:
    folder = sweep(tmp_path)
    with locked(folder / "open.lock"):
        thread = threading.Thread(target=clear_sweep, args=(folder, tmp_path / "report"), daemon=True)
        thread.start()
        thread.join(0.3)
        assert (folder / ".sweep.json.7.tmp").exists()
    thread.join(10)
    assert not (folder / ".sweep.json.7.tmp").exists()
