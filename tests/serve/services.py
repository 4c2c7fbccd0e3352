"""A service in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.services import free_port


class Running:
    """`python -m src.serve WORDS…`, waited for until it is ready."""

    def __init__(self, log: Path, *words: str, **env: str) -> None:
        self.port, self.log = free_port(), log
        command = [sys.executable, "-m", "src.serve", f"port={self.port}", *words]
        with open(log, "w") as stream:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **env}, stdout=stream, stderr=stream, start_new_session=True
            )
        deadline = time.monotonic() + 90
        while self.get("/v2/health/ready")[0] != 200:
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, content: bytes | None = None) -> tuple[int, Any]:
        """Status and JSON (or text) of an answer; 0 where there is none."""
        try:
            with urllib.request.urlopen(self.url + path, content, timeout=30) as answer:
                return answer.status, _read(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _read(error.read())
        except OSError:
            return 0, None

    def end(self) -> int:
        """Ask it to end; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and all its processes."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
