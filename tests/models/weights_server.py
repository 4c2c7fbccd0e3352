"""A server on loopback that publishes weights: it cuts answers off, knows ranges or not, and sends to other places."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Server:
    """Serves files by name; cuts answers off after some bytes, as often as asked."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)  # bytes sent of the next answers
    ranges: bool = True
    asked: list[tuple[str, int]] = field(default_factory=list)  # name and first byte
    elsewhere: dict[str, str] = field(default_factory=dict)  # name that is answered with another place


@contextmanager
def serving() -> Iterator[Server]:
    """A server that runs while the block does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, begin = self.path.lstrip("/"), 0
            if name in made.elsewhere:
                self.send_response(302)
                self.send_header("Location", f"/{made.elsewhere[name]}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
                begin = int(found[1]) if made.ranges else 0
            made.asked.append((name, begin))
            content = made.files.get(name)
            if content is None or (begin and begin >= len(content)):
                self.send_error(404 if content is None else 416)
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            end = begin + made.cuts.pop(0) if made.cuts else len(content)
            self.wfile.write(content[begin:end])

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made = Server(f"http://127.0.0.1:{http.server_port}")
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        http.shutdown()
