"""Devices behind ssh: a real sshd on loopback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.benchmark.bundle import remote
from src.benchmark.bundle.candidates import Asked
from src.benchmark.bundle.commands import RemoteArgs, devices_of
from src.benchmark.bundle.plan import read_plan
from src.benchmark.bundle.ssh import GUARD, Link, host_of
from src.common.errors import StageError, UserError
from src.decide.load import Saved, load_sweep
from tests.benchmark.bundle.conftest import QUICK
from tests.conftest import ROOT
from tests.disks import fill, small_disk
from tests.sshd import Sshd


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    daemon = Sshd(tmp_path_factory.mktemp("sshd"))
    yield daemon
    daemon.remove()


def words_for(home: Path, sshd: Sshd, *more: str) -> list[str]:
    """The command, at as little effort as it takes."""
    effort = ["benchmark=quick", "benchmark.min_samples=140", "benchmark.min_seconds=0"]
    return [
        sys.executable, "-m", "src.benchmark", "sweep=squares", f"outputs={home / 'outputs'}", *effort,
        f"ssh_config={sshd.config}", f"folder={home / 'there'}", f"python={sys.executable}", *more,
    ]  # fmt: skip


def command(home: Path, sshd: Sshd, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words_for(home, sshd, *more), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_two_devices_at_once(home: Path, sshd: Sshd) -> None:
    done = command(home, sshd, "remote=ssh://pi5,ssh://jetson")
    assert done.returncode == 0, done.stderr
    assert set(load_sweep(home / "outputs/sweeps/squares").devices) == {"pi5", "jetson"}


@pytest.mark.slow
def test_one_that_is_killed_goes_on(home: Path, sshd: Sshd) -> None:
    more = ["remote=ssh://pi5", "benchmark.min_seconds=4", "benchmark.rounds=2"]
    process = subprocess.Popen(words_for(home, sshd, *more), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "round 2/2" in line:
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder,) = (home / "there").iterdir()
    runner = int((folder / "work" / "pid").read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{runner}").exists() and time.monotonic() < deadline:  # nothing works on for nobody
        time.sleep(0.2)
    assert not Path(f"/proc/{runner}").exists()
    kept = {p.name: p.stat().st_mtime_ns for p in (folder / "work" / "blocks").iterdir()}
    assert kept.keys() == {"01-000.json"}
    done = command(home, sshd, *more)
    assert done.returncode == 0, done.stderr
    assert "sends" not in done.stdout  # the files are there
    assert "goes on with the run" in done.stdout
    assert (folder / "work" / "blocks" / "01-000.json").stat().st_mtime_ns == kept["01-000.json"]
    again = command(home, sshd, *more)
    assert again.returncode == 0
    assert "measured already" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "words"),
    [("stranger", "asks for a password"), ("unknown", "host key"), ("pi5:1", "can't be reached")],
)
def test_hosts_that_do_not_let_us_in(home: Path, sshd: Sshd, host: str, words: str) -> None:
    done = command(home, sshd, f"remote=ssh://{host}")
    assert done.returncode == 2
    assert words in done.stderr
    assert "remedy:" in done.stderr
    assert not (home / "there").exists()


@pytest.mark.slow
def test_nothing_is_installed_unasked(home: Path, saved: Saved, sshd: Sshd, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    done = command(home, sshd, "remote=ssh://pi5", f"python={tmp_path / 'bare' / 'bin' / 'python'}")
    assert done.returncode == 2
    assert "install=true" in done.stderr
    assert not any(path.name == "venv" for path in (home / "there").glob("*/*"))


@pytest.mark.slow
def test_a_device_whose_disk_is_full_goes_on_with_room(home: Path, saved: Saved, sshd: Sshd) -> None:
    with small_disk(home / "disk", "40m") as disk:
        words = ["remote=ssh://pi5", f"folder={disk / 'there'}"]
        filler = fill(disk, 1 << 22)
        done = command(home, sshd, *words)
        assert done.returncode == 2
        assert "no room for the bundle" in done.stderr
        assert "remedy:" in done.stderr
        filler.unlink()
        sent = Link(host_of("ssh://pi5"), sys.executable, str(sshd.config))
        bundle = remote.packed(saved, Asked(QUICK), home / "outputs", lambda _: None)
        files = read_plan(bundle)[0].files
        filler = fill(disk, 8192)
        with pytest.raises(StageError, match="its disk is full"):
            remote._send(sent, bundle, str(disk / "there" / "x"), files, 1 << 40, lambda _: None)
        filler.unlink()
        done = command(home, sshd, *words)
        assert done.returncode == 0, done.stderr
        assert list(disk.glob("there/*/sent")) == []


@pytest.fixture
def link() -> Link:
    return Link(host_of("ssh://pi5"))


class Played:
    """A device that is not there: it answers what it is told to."""

    def __init__(self, **answer: Any) -> None:
        self.answer = {"python": [3, 11, 2], "numpy": True, "venv": False, "free": 1 << 40, "missing": []} | answer

    def ask(self, do: str, **_: Any) -> dict[str, Any]:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"python": [3, 8, 1]}, "Python 3.9"),
        ({"numpy": False}, "numpy is not installed"),
        ({"missing": ["plan.json"], "free": 1 << 20}, "no room"),
    ],
)
def test_what_a_device_may_lack(
    home: Path, saved: Saved, link: Link, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(Link, "ask", lambda self, do, **data: Played(**answer).ask(do))
    monkeypatch.setattr(Link, "send", lambda *_: pytest.fail("sent"))
    trip = remote.Trip(saved, home / "bundle", "there", install=False, replace=False)
    records, failed = remote.measure_on([remote.Device("pi5", link)], trip, lambda _: None)
    assert records == []
    assert [(name, words in str(error)) for name, error in failed] == [("pi5", True)]


def test_the_bundle_of_a_command_is_packed_once(home: Path, saved: Saved) -> None:
    first = remote.packed(saved, Asked(QUICK), home / "outputs", lambda _: None)
    made = (first / "plan.json").stat().st_mtime_ns
    assert remote.packed(saved, Asked(QUICK), home / "outputs", lambda _: None) == first
    assert (first / "plan.json").stat().st_mtime_ns == made
    assert remote.packed(saved, Asked(replace(QUICK, rounds=1)), home / "outputs", lambda _: None) != first


def test_a_bundle_that_was_damaged_since_is_packed_again(home: Path, saved: Saved) -> None:
    first = remote.packed(saved, Asked(QUICK), home / "outputs", lambda _: None)
    (first / "run.py").write_text("other")
    said: list[str] = []
    assert remote.packed(saved, Asked(QUICK), home / "outputs", said.append) == first
    assert "packed again" in said[0]
    assert (first / "run.py").read_text() != "other"


class Commands:
    """A device where commands succeed or not, as they are told to."""

    def __init__(self, fails: tuple[str, ...]) -> None:
        self.fails, self.asked = fails, list[str]()

    def __call__(self, link: Link, folder: str, words: list[str]) -> tuple[int, str]:
        text = " ".join(words)
        self.asked.append(text)
        return (1, "no such release") if text.endswith(self.fails) else (0, "")


@pytest.mark.parametrize(
    ("fails", "said", "last"),
    [
        (("openvino==2026.4.1",), "another version", "openvino"),
        (("openvino==2026.4.1", "openvino"), "skipped", "openvino"),
        (("none",), "", "openvino==2026.4.1"),
    ],
)
def test_a_version_that_the_device_can_not_have_is_told(
    home: Path, link: Link, monkeypatch: pytest.MonkeyPatch, fails: tuple[str, ...], said: str, last: str
) -> None:
    played, told = Commands(fails), list[str]()
    monkeypatch.setattr(Link, "run_guarded", lambda *words: played(*words))
    plan = replace(read_plan(home / "bundle")[0], packages={"openvino": "openvino==2026.4.1"})
    assert remote._installed(link, plan, "there", True, told.append) == "venv/bin/python"
    assert not any("-m venv" in words for words in played.asked)
    assert played.asked[-1].split()[-1] == last
    assert said in told[-1]


def test_an_environment_without_pip_is_made_again(home: Path, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    played = Commands(("--version",))
    monkeypatch.setattr(Link, "run_guarded", lambda *words: played(*words))
    remote._installed(link, read_plan(home / "bundle")[0], "there", True, lambda _: None)
    assert played.asked[1] == "python3 -m venv --clear venv"


@pytest.mark.skipif(sys.platform == "win32", reason="devices behind ssh are POSIX systems")
def test_what_is_guarded_ends_with_all_that_it_started(tmp_path: Path) -> None:
    inner = f"echo $$ > {tmp_path / 'pid'}; exec sleep 60"
    words = [sys.executable, "-c", GUARD, sys.executable, "-c", f"import os; os.system({inner!r})"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 1
    child = Path("/proc", (tmp_path / "pid").read_text().strip())
    while child.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not child.exists()


def test_what_is_guarded_answers_with_its_own_code() -> None:
    words = [sys.executable, "-c", GUARD, sys.executable, "-c", "raise SystemExit(7)"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.wait(20) == 7


@pytest.mark.slow
def test_an_environment_is_installed_where_it_is_asked_for(home: Path, sshd: Sshd) -> None:
    done = command(home, sshd, "remote=ssh://pi5", "install=true")
    if "can't be installed" in done.stdout or "pip install" in done.stderr:
        pytest.skip(f"numpy and ONNX Runtime can't be had: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    (python,) = (home / "there").glob("*/venv/bin/python")
    found = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "onnxruntime" in found
    record = load_sweep(home / "outputs/sweeps/squares").devices["pi5"]
    assert {m.scope for m in record.measurements} == {"model_only"}  # no OpenCV was installed


def test_names_of_devices() -> None:
    args = RemoteArgs(remote="ssh://me@pi5,ssh://jetson:2222")
    assert [device.name for device in devices_of(args)] == ["pi5", "jetson"]
    args.device = "a,b"
    assert [device.name for device in devices_of(args)] == ["a", "b"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("device", "a"), ("device", "a,a"), ("folder", "a b"), ("folder", "-x"), ("folder", "$(ls)"), ("folder", ""),
        ("python", "python3; ls"), ("python", "-c"), ("ssh_config", "/none"), ("remote", "pi5,pi6"),
        ("remote", "ssh://pi5,ssh://me@pi5"),
    ],
)  # fmt: skip
def test_arguments_that_are_none(key: str, value: str) -> None:
    args = RemoteArgs(remote="ssh://pi5,ssh://pi6")
    setattr(args, key, value)
    with pytest.raises(UserError):
        devices_of(args)


def test_a_process_without_a_device_is_not_left(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "print('here', flush=True); import time; time.sleep(60)"
    monkeypatch.setattr(Link, "_ssh", lambda self, command: [sys.executable, "-c", code])

    def stopped(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        link.follow("x", ["y"], stopped)
    assert link.running == []
