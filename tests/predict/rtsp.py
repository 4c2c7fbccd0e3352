"""A small RTSP server: pictures as RTP/JPEG (RFC 2435) over the RTSP connection (RFC 2326, interleaved)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Any

import cv2
import numpy as np

SIZE = (96, 64)  # width, height, px: multiples of 16
LEVELS = 200  # grey levels that a frame's number is told by
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 26\r\na=control:track1\r\n"
)
CHUNK = 1200  # bytes of a picture in a packet


def picture(number: int) -> np.ndarray[Any, Any]:
    """A grey picture whose level tells its number."""
    return np.full((SIZE[1], SIZE[0], 3), 20 + number % LEVELS, np.uint8)


def number_of(image: np.ndarray[Any, Any]) -> int:
    """The number that a picture tells, to within a level or two."""
    return round(float(image.mean())) - 20


def packets(number: int, sequence: int) -> list[bytes]:
    """RTP packets of a picture."""
    ok, content = cv2.imencode(".jpg", picture(number), [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert ok
    tables, scan = _parts(content.tobytes())
    found = []
    for offset in range(0, len(scan), CHUNK):
        part, last = scan[offset : offset + CHUNK], offset + CHUNK >= len(scan)
        rtp = struct.pack(">BBHII", 0x80, 26 | (0x80 if last else 0), sequence & 0xFFFF, number * 3600, 1)
        head = struct.pack(">B3sBBBB", 0, offset.to_bytes(3, "big"), 1, 255, SIZE[0] // 8, SIZE[1] // 8)
        quant = struct.pack(">BBH", 0, 0, len(tables)) + tables if offset == 0 else b""
        found.append(rtp + head + quant + part)
        sequence += 1
    return found


def _parts(jpeg: bytes) -> tuple[bytes, bytes]:
    """Quantisation tables and the entropy-coded scan of a JPEG."""
    at, tables = 2, b""
    while True:
        marker, length = struct.unpack(">HH", jpeg[at : at + 4])
        body = jpeg[at + 4 : at + 2 + length]
        if marker == 0xFFDB:
            tables += b"".join(body[i + 1 : i + 65] for i in range(0, len(body), 65))
        at += 2 + length
        if marker == 0xFFDA:
            return tables, jpeg[at:-2]


class Camera:
    """Serves one client at a time, as long as the block lasts.

    Args:
        frames: pictures per connection, after which it is cut; the numbers go on in the next one.
        connections: clients that are served; later ones are turned away.
        pause_s: between two pictures.
    """

    def __init__(self, frames: int, connections: int = 1, pause_s: float = 0.01) -> None:
        self.frames, self.left, self.pause_s = frames, connections, pause_s
        self.sent = 0
        self.refused = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        """Where to connect."""
        return f"rtsp://127.0.0.1:{self._socket.getsockname()[1]}/camera"

    def __enter__(self) -> Camera:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                client, _ = self._socket.accept()
                with client:
                    client.settimeout(2)
                    self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        if not self.left:
            self.refused += 1
            return
        while (request := self._request(client)) is not None:
            method, sequence, transport = request
            head, body = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nSession: 1\r\n", ""
            if method == "OPTIONS":
                head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                head, body = f"{head}Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n", SDP
            elif method == "SETUP" and "TCP" not in transport:
                head = f"RTSP/1.0 461 Unsupported Transport\r\nCSeq: {sequence}\r\n"
            elif method == "SETUP":
                head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            client.sendall(f"{head}\r\n{body}".encode())
            if method == "PLAY":
                self.left -= 1
                self._play(client)
                return

    def _request(self, client: socket.socket) -> tuple[str, str, str] | None:
        text = b""
        while b"\r\n\r\n" not in text:
            part = client.recv(4096)
            if not part:
                return None
            text += part
        lines = text.decode().splitlines()
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        return lines[0].split()[0], fields.get("CSeq", "0"), fields.get("Transport", "")

    def _play(self, client: socket.socket) -> None:
        sequence = 0
        for _ in range(self.frames):
            if self._over.is_set():
                return
            for packet in packets(self.sent, sequence):
                client.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                sequence += 1
            self.sent += 1
            time.sleep(self.pause_s)
