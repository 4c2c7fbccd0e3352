"""The command: wrong arguments, and a whole search against a small server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from src.common.errors import UserError
from src.loadtest.__main__ import run
from src.loadtest.options import LoadtestArgs


class Handler(BaseHTTPRequestHandler):
    """Answers everything at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = 401 if self.path == "/locked" else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"bytes")
    return str(path)


def test_one_rate_is_tried_and_kept_raw(
    url: str, image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    assert run(LoadtestArgs(url=url, image=image, rate=40, seconds=1.5, p99_ms=900, out=str(out))) == 0
    kept = json.loads(out.read_text())
    assert len(kept["raw"]) == 1
    assert len(kept["raw"][0]["latency_ms"]) == kept["steps"][0]["requests"] > 20
    assert "keeps" in capsys.readouterr().out


def test_a_search_ends_with_a_sentence(url: str, image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(LoadtestArgs(url=url, image=image, seconds=1, p99_ms=0.1, steps=3, demand=100)) == 0
    said = capsys.readouterr().out
    assert "no rate was found" in said or "capacity" in said


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"url": "http://127.0.0.1:9"}, "no service answers"),
        ({"url": "nothing"}, "no HTTP address"),
        ({"image": "/nowhere.jpg"}, "no pictures"),
        ({"p99_ms": 0.0}, "p99_ms"),
        ({"rate": -1.0}, "rate"),
        ({"seconds": 0.0}, "seconds"),
    ],
)
def test_what_is_wrong_is_told(wrong: dict[str, object], named: str, url: str, image: str) -> None:
    words: dict[str, object] = {"url": url, "image": image, **wrong}
    with pytest.raises(UserError, match=named):
        run(LoadtestArgs(**words))  # type: ignore[arg-type]


def test_a_token_is_asked_for(url: str, image: str) -> None:
    with pytest.raises(UserError, match="token"):
        run(LoadtestArgs(url=url + "/locked", image=image))
