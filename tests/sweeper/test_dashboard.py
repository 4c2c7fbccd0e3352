"""optuna-dashboard on a sweep's study."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.common.errors import UserError
from src.sweeper.dashboard import DashboardArgs, journal_of, run
from src.sweeper.space import parse_space
from src.sweeper.storage import open_storage
from src.sweeper.study import Study
from tests.conftest import ROOT, Command
from tests.services import free_port

HERE_SPEC = ModuleSpec("optuna_dashboard", None)
HERE = importlib.util.find_spec("optuna_dashboard") is not None


def test_a_study_in_a_database_is_named_by_its_url(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="database"):
        journal_of(tmp_path)


@pytest.mark.skipif(HERE, reason="it is here")
def test_without_the_package_the_remedy_is_told(command: Command) -> None:
    done = command("src.sweeper.dashboard")
    assert done.returncode == 2
    assert "make setup EXTRAS=dashboard" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not HERE, reason="make setup EXTRAS=dashboard")
@pytest.mark.parametrize("kind", ["journal", "database"])
def test_it_shows_the_study_on_this_machine_alone(tmp_path: Path, kind: str) -> None:
    folder, port = tmp_path / "sweeps" / "toy", free_port()
    url = None if kind == "journal" else f"sqlite:///{tmp_path}/s.db"
    study = Study(open_storage(url, folder / "study.log"), parse_space({}, ["imgsz=32,64"], n_trials=None), {}, None)
    study.lay_out()
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "sweep.json").write_text("{}")
    words = ["sweep=toy", f"outputs={tmp_path}"] if url is None else [f"storage={url}"]
    server = subprocess.Popen([sys.executable, "-m", "src.sweeper.dashboard", *words, f"port={port}"], cwd=ROOT)
    try:
        studies = fetch(f"http://127.0.0.1:{port}/api/studies")["study_summaries"]
        sockets = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()]
        half = socket.create_connection(("127.0.0.1", port))
        half.sendall(b"GET /api/studies HTTP/1.1\r\n")  # a request under way keeps nobody from ending it
    finally:
        server.terminate()
        assert server.wait(20) == 0
    half.close()
    assert [s["study_name"] for s in studies] == ["sweep"]
    assert f"0100007F:{port:04X}" in sockets
    assert f"00000000:{port:04X}" not in sockets


def test_a_port_that_is_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", SimpleNamespace(wsgi=lambda storage: None, __spec__=HERE_SPEC))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port={port + 1}"):
            run(DashboardArgs(storage=f"sqlite:///{tmp_path}/s.db", port=port))


def fetch(url: str) -> dict[str, list[dict[str, str]]]:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: dict[str, list[dict[str, str]]] = json.load(answer)
                return found
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
