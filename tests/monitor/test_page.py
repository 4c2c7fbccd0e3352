"""The page and the command: what drifted, since when, by how much; bad input in a few lines."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.monitor.history import Course, course_of, examples
from src.monitor.log import Log
from src.monitor.page import markdown, text, write_page
from src.monitor.profile import profile_of, save_profile
from src.monitor.settings import MonitorConfig
from tests.conftest import ROOT, run_command
from tests.monitor.worlds import NAMES, World, profile

SETTINGS = MonitorConfig(window_s=60, window_images=60)
HOURS = 1.79e9


def changing(settings: MonitorConfig = SETTINGS) -> Course:
    """Five quiet windows, then five of blurred pictures, in the last two of which a class is missing."""
    rng = np.random.default_rng(3)
    gone = (0.0, 0.4, 0.3, 0.1)
    images = World().images(rng, 300, HOURS) + World(blur=0.4).images(rng, 180, HOURS + 300)
    images += World(blur=0.4, shares=gone).images(rng, 121, HOURS + 480)
    return course_of(profile(rng), images, settings)


def test_what_drifted_since_when_and_by_how_much() -> None:
    course = changing()
    blur, gone = course.drifts
    assert (blur.what, blur.since, blur.now, blur.windows) == ("sharpness", HOURS + 300, True, 5)
    assert (gone.what, gone.since, gone.now, gone.windows) == ("class:0", HOURS + 480, True, 2)
    assert blur.strongest.window == pytest.approx(0.4 * blur.strongest.reference, rel=0.2)
    assert gone.strongest.window == 0
    assert all(0 not in o.classes for o in gone.examples)
    assert max(o.values["sharpness"] for o in blur.examples) < 100


def test_a_drift_that_is_over_says_until_when() -> None:
    rng = np.random.default_rng(1)
    images = World(brighter=60).images(rng, 120, HOURS) + World().images(rng, 301, HOURS + 120)
    (drift,) = course_of(profile(rng), images, SETTINGS).drifts
    assert (drift.now, drift.since, drift.until) == (False, HOURS, HOURS + 120)


def test_a_drift_that_came_back_counts_from_its_return() -> None:
    rng = np.random.default_rng(1)
    parts = [(World(brighter=60), 120), (World(), 300), (World(brighter=60), 121)]
    images, begin = [], HOURS
    for world, count in parts:
        images += world.images(rng, count, begin)
        begin += count
    (drift,) = course_of(profile(rng), images, SETTINGS).drifts
    assert (drift.now, drift.since, drift.windows) == (True, HOURS + 420, 2)


def test_examples_prefer_those_with_a_picture() -> None:
    course = changing()
    seen = course.windows[-1].observed
    kept = [
        replace(o, picture="a.jpg") if i == 0 else o
        for i, o in enumerate(sorted(seen, key=lambda o: o.values["sharpness"]))
    ]
    finding = next(f for f in course.compared[-1].findings if f.what == "sharpness")
    assert examples("sharpness", finding, kept)[0].picture == "a.jpg"


def test_the_page_says_it_with_figures(tmp_path: Path) -> None:
    page = write_page(changing(), tmp_path)
    html = page.read_text()
    assert html.count("data:image/png;base64,") == 4
    assert "Drifted now: sharpness, class cup" in html
    assert "2026-09-21 14:18:20" in html
    assert "variance of the Laplacian" in html
    assert not re.search(r"\de\+\d", html.split("base64,")[0] + html.rsplit("base64,", 1)[1]), "pixels as 6.3e+05"
    assert {p.stem for p in (tmp_path / "figures").glob("*.png")} == {"course", "distributions", "classes", "sources"}


def test_names_from_outside_are_shown_as_text(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hostile = "<script>alert(1)</script>|`x`\n# a ![](figures/course.png)"
    images = [replace(o, source=hostile, key=hostile) for o in World(blur=0.3).images(rng, 61, HOURS)]
    reference = replace(profile(rng), class_names=[hostile, *NAMES[1:]])
    html = write_page(course_of(reference, images, SETTINGS), tmp_path).read_text()
    assert "<script>" not in html
    assert "alert" in html
    assert html.count("data:image/png") == 3
    assert "\n" not in text("a\nb\r")


def test_a_log_that_is_too_short_is_said_to_be(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    course = course_of(profile(rng), World().images(rng, 10), SETTINGS)
    assert "too few" in markdown(course, [], {})
    assert write_page(course, tmp_path).is_file()


def test_one_window_without_classes_or_sources_makes_a_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [replace(o, source="", classes=()) for o in World().images(rng, 61)]
    write_page(course_of(profile_of(images, []), images, SETTINGS), tmp_path)
    assert {p.stem for p in (tmp_path / "figures").glob("*.png")} == {"course", "distributions"}


def lay_out(home: Path, images: int = 130) -> None:
    rng = np.random.default_rng(0)
    save_profile(home / "profile.json", profile(rng))
    log = Log(home / "log", MonitorConfig(pictures=True))
    noise = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    for one in World(blur=0.3).images(rng, images, HOURS):
        log.write(replace(one, picture=log.keep_picture(noise)))


COMMAND = [sys.executable, "-X", "importtime", "-m", "src.monitor"]


def test_the_command_needs_neither_torch_nor_mlflow(tmp_path: Path) -> None:
    lay_out(tmp_path)
    words = [f"log={tmp_path / 'log'}", f"profile={tmp_path / 'profile.json'}", f"out={tmp_path / 'page'}"]
    done = subprocess.run(
        [*COMMAND, *words, "monitor.window_s=60"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "drift  sharpness: since 2026-09-21 14:13:20, still" in done.stdout
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "numpy" in imported
    assert not imported & {"torch", "mlflow", "ultralytics", "onnxruntime", "optuna", "scipy"}
    assert 'alt="example"' in (tmp_path / "page" / "monitor.html").read_text()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], "log or profile is not set"),
        (["log=@/log"], "log or profile is not set"),
        (["log=@/none", "profile=@/profile.json"], "log is no folder"),
        (["log=@/log", "profile=@/none.json"], "profile can't be read"),
        (["log=@/log", "profile=@/log"], "profile can't be read"),
        (["log=@/log", "profile=@/profile.json", "monitor.false_alarms_per_day=0"], "monitor.false_alarms_per_day"),
        (["log=@/log", "profile=@/profile.json", "monitor.window_s=nan"], "window_s"),
        (["log=@/log", "labels=@/log"], "labels belong to an experiment"),
        (["experiment=@/log"], "experiment can't be read"),
    ],
)
def test_bad_input_ends_in_2_and_a_few_lines(words: list[str], names: str, tmp_path: Path) -> None:
    lay_out(tmp_path, 3)
    said = [word.replace("@", str(tmp_path)) for word in words]
    done = subprocess.run([sys.executable, "-m", "src.monitor", *said], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert names in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 4


def test_one_picture_sent_again_and_again_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    (one,) = World(blur=0.1).images(rng, 1, HOURS)
    again = [replace(one, when=HOURS + i / 10) for i in range(601)]
    page = markdown(course_of(profile(rng), again, SETTINGS), ["course"], {})
    assert "images look exactly like another one of their window" in page
    _, _, shown = page.partition("Examples of sharpness (variance of the Laplacian):")
    assert shown.partition("Examples")[0].count("- image 0") == 1  # told once
    assert page.index("figures/course.png") < page.index("## Examples")
    assert "exactly like" not in markdown(changing(), [], {})


def test_a_folder_of_any_name_is_taken_as_it_is_typed(tmp_path: Path) -> None:
    folder = tmp_path / "det=a,b (c)[d] {e}"
    save_profile(folder / "profile.json", profile(np.random.default_rng(0)))
    log = Log(folder, MonitorConfig())
    for one in World().images(np.random.default_rng(1), 60):
        log.write(one)
    done = run_command("src.monitor", f"log=~/{folder.name}", f"profile={folder}/profile.json", HOME=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "monitor" / "monitor.html").is_file()
