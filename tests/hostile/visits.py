"""What hostile clients do to a service over their sockets."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.hostile.visitor import CONNECTIONS, MODEL, SIDE, TIME_S, Visited, read, request
from tests.serve.wrong import saved

INFER = f"/v2/models/{MODEL}/infer"
LONG_S = TIME_S * 5  # by which the service must have turned anybody away
MANY = 10_000  # connections
Act = Callable[[Visited], object]
Content = Callable[[], bytes]


def sent(content: bytes) -> Act:
    """Send bytes as they are."""
    return lambda found: found.send(content)


def posted(content: Content, *fields: str) -> Act:
    """Send a picture as the body."""
    return lambda found: found.send(request("/predict", content(), *fields))


def form(*parts: bytes, kind: str = "multipart/form-data; boundary=x") -> Act:
    """Send a form."""
    body = b"".join(b"--x\r\n" + one + b"\r\n" for one in parts) + b"--x--\r\n"
    return sent(request("/predict", body, f"Content-Type: {kind}"))


def part(name: str, content: bytes, filename: str = "") -> bytes:
    """A field of a form."""
    file = f'; filename="{filename}"' if filename else ""
    return f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content


def infer(body: object, *fields: str) -> Act:
    """Send tensors."""
    return sent(request(INFER, body if isinstance(body, bytes) else json.dumps(body).encode(), *fields))


def stalled(*contents: bytes) -> Act:
    """Send a beginning, then nothing more."""

    def act(found: Visited) -> None:
        with found.connect() as one:
            for content in contents:
                one.sendall(content)
            one.settimeout(LONG_S)
            found.note(read(one))

    return act


def dripping(head: bytes, more: bytes = b"a") -> Act:
    """Send a byte now and then, until the service has enough of it."""

    def act(found: Visited) -> None:
        deadline = time.monotonic() + LONG_S
        with found.connect() as one:
            one.sendall(head)
            while time.monotonic() < deadline:
                if select.select([one], [], [], 0.2)[0]:
                    found.note(read(one))
                    return
                one.sendall(more)
        found.wrong.append("a client that drips is not turned away")

    return act


def second_request(found: Visited) -> None:
    """One request, and half of another on the same connection."""
    with found.connect() as one:
        one.sendall(request("/predict", saved("PNG", 64)))
        found.note(read(one))
        one.sendall(b"POST /predict HT")
        one.settimeout(LONG_S)
        found.note(read(one))


def one_more(found: Visited) -> None:
    """A length that is too short: what is left is no other request."""
    with found.connect() as one:
        one.sendall(request("/predict", b"x" * 10 + b"more\r\n\r\n", length=10))
        found.note(read(one))
        found.note(read(one))


def gone(found: Visited) -> None:
    """Clients that leave in the middle of a body."""
    for _ in range(30):
        with found.connect() as one:
            one.sendall(request("/predict", b"x" * 1000, length=100_000))
    time.sleep(0.3)


def deaf(found: Visited) -> None:
    """Clients that ask for much and never read."""
    count = 64 * 3 * SIDE * SIDE
    tensor = {"name": "images", "shape": [64, 3, SIDE, SIDE], "datatype": "UINT8"}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": count}}]}).encode()
    asked = request(INFER, head + bytes(count), f"Inference-Header-Content-Length: {len(head)}")
    held = [socket.socket() for _ in range(20)]
    for one in held:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", found.port))
        one.sendall(asked)
    time.sleep(LONG_S)
    kept = sum(c.status == "ESTABLISHED" for c in found.process().net_connections())
    if kept:
        found.wrong.append(f"{kept} connections of clients that do not read are kept")
    for one in held:
        one.close()


def together(content: Content, count: int = 60) -> Act:
    """Many at once."""

    def act(found: Visited) -> None:
        asked = request("/predict", content())
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda _: found.send(asked), range(count)))

    return act


def half_bodies(found: Visited) -> None:
    """Nearly as many bodies as there may be connections, none of which ends."""
    held = [found.connect() for _ in range(CONNECTIONS - 10)]
    for one in held:
        one.sendall(request("/predict", b"x" * 250_000, length=290_000))
    for one in held:
        one.settimeout(LONG_S)
        found.note(read(one))
        one.close()


def crowd(found: Visited) -> None:
    """Ten thousand connections at once; one that was there before goes on being answered."""
    asked, held = request("/predict", saved("PNG", 64)), []
    with found.connect() as before:
        for number in range(MANY):
            held.append(found.connect())
            if number % 500 == 0:
                before.sendall(asked)
                found.note(read(before))
        found.note(read(held[CONNECTIONS * 2]))
    for one in held:
        one.close()
