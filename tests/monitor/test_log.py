"""The log keeps every whole line, within its quota, and pictures only when they are asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.common.errors import UserError
from src.monitor.log import PICTURES, Log, read_log
from src.monitor.settings import MonitorConfig
from tests.conftest import ROOT
from tests.monitor.worlds import World

IMAGES = World().images(np.random.default_rng(0), 200)


def fill(folder: Path, settings: MonitorConfig | None = None) -> Log:
    log = Log(folder, settings or MonitorConfig())
    for one in IMAGES:
        log.write(one)
    return log


def test_what_is_written_is_read(tmp_path: Path) -> None:
    fill(tmp_path)
    found, broken = read_log(tmp_path)
    assert broken == 0
    assert [(o.when, o.classes, o.source, o.key) for o in found] == [
        (o.when, o.classes, o.source, o.key) for o in IMAGES
    ]
    assert found[3].values == pytest.approx(IMAGES[3].values, rel=1e-5, nan_ok=True)


def test_a_torn_last_line_costs_itself_alone(tmp_path: Path) -> None:
    fill(tmp_path).close()
    path = next(tmp_path.glob("*.jsonl"))
    os.truncate(path, path.stat().st_size - 20)
    fill(tmp_path)
    found, broken = read_log(tmp_path)
    assert (len(found), broken) == (399, 1)


def test_files_are_turned_over_within_the_quota(tmp_path: Path) -> None:
    fill(tmp_path, MonitorConfig(file_mb=0.01, log_mb=0.03))
    sizes = [p.stat().st_size for p in tmp_path.glob("*.jsonl")]
    assert len(sizes) > 1
    assert sum(sizes) <= 31_000
    found = read_log(tmp_path)[0]
    assert found[-1].key == IMAGES[-1].key
    assert len(found) < len(IMAGES)


def test_several_processes_keep_the_quota_together(tmp_path: Path) -> None:
    settings = MonitorConfig(file_mb=0.02, log_mb=0.04, workers=4)
    logs = [Log(tmp_path, settings) for _ in range(settings.workers)]
    for number, one in enumerate(IMAGES * 3):
        logs[number % len(logs)].write(one)
        assert sum(p.stat().st_size for p in tmp_path.glob("*.jsonl")) <= 41_000


@pytest.mark.parametrize("taken", ["removed", "moved", "folder"])
def test_a_file_that_somebody_takes_away_costs_what_was_in_it(taken: str, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = Log(folder, MonitorConfig())
    for one in IMAGES[:5]:
        log.write(one)
    path = next(folder.glob("*.jsonl"))
    if taken == "moved":
        path.rename(tmp_path / "old.1")
    else:
        path.unlink()
    if taken == "folder":
        folder.rmdir()
    for one in IMAGES[5:9]:
        log.write(one)
    assert [o.key for o in read_log(folder)[0]] == [o.key for o in IMAGES[5:9]]


@pytest.mark.parametrize("line", ["1" + "0" * 400, "Infinity", "[]", "null", '"x"', "{}"])
def test_any_json_in_any_place_of_a_line_costs_that_line(line: str, tmp_path: Path) -> None:
    own = {"when": 1.0, "latency_ms": 1.0, "values": {"brightness": 1.0}, "classes": [1], "source": "x"}
    wrong = [json.dumps({**own, key: "@"}).replace('"@"', line) for key in own]
    wrong += [json.dumps(own).replace('"brightness": 1.0', f'"brightness": {line}')]
    wrong += [json.dumps(own).replace("[1]", f"[{line}]")]
    (tmp_path / "observed-1.jsonl").write_text("\n".join([*wrong, json.dumps(own)]))
    found, broken = read_log(tmp_path)
    assert len(found) + broken == len(wrong) + 1
    assert all(o.when == 1.0 for o in found)
    assert broken or line in ("null", "{}", '"x"', "[]")


def test_a_kill_loses_no_line_that_was_written(tmp_path: Path) -> None:
    script = (
        "import numpy as np, sys; from pathlib import Path; from tests.monitor.test_log import Log, IMAGES;"
        "from src.monitor.settings import MonitorConfig; log = Log(Path(sys.argv[1]), MonitorConfig())\n"
        "for i in range(10**9): log.write(IMAGES[i % 200]); print(i, flush=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    written = 0
    for _ in range(500):
        written = int(process.stdout.readline()) + 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(read_log(tmp_path)[0]) >= written == 500


def test_pictures_are_kept_only_when_asked_for_and_within_their_quota(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    assert Log(tmp_path / "a", MonitorConfig()).keep_picture(picture) == ""
    assert list((tmp_path / "a").iterdir()) == []
    log = Log(tmp_path / "b", MonitorConfig(pictures=True, pictures_mb=1.0))
    names = [log.keep_picture(picture) for _ in range(52)]
    kept = {p.name for p in (tmp_path / "b" / PICTURES).iterdir()}
    assert names[-1] in kept
    assert names[0] not in kept
    import cv2

    kept_picture = cv2.imread(str(tmp_path / "b" / PICTURES / names[-1]))
    assert kept_picture is not None
    assert kept_picture.shape == (480, 640, 3)


def test_colours_of_kept_pictures_are_right(tmp_path: Path) -> None:
    import cv2

    log = Log(tmp_path, MonitorConfig(pictures=True))
    red = np.zeros((50, 50, 3), np.uint8)
    red[:, :, 0] = 250
    for name in (log.keep_picture(red), log.keep_picture(np.ascontiguousarray(red[:, :, ::-1]), bgr=True)):
        kept = cv2.imread(str(tmp_path / PICTURES / name))
        assert kept is not None
        assert kept[25, 25, 2] > 240 > 20 > kept[25, 25, 0]


@pytest.mark.parametrize("lay", ["nothing", "empty", "noise"])
def test_no_log_is_refused(lay: str, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    if lay != "nothing":
        folder.mkdir()
    if lay == "noise":
        (folder / "observed-1.jsonl").write_bytes(b"\xff\xfe\n[]\n{}\nnull\n" + b"[" * 100_000)
    with pytest.raises(UserError, match="log "):
        read_log(folder)
