"""Hostile requests to a service: pictures, forms, tensors, headers, slow clients and crowds of them.

Each is sent to a service of its own over real sockets. Its answers must be of the kind that is listed; afterwards it
answers a sound picture, has let go of what it held, and ends in 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tests.hostile.case import HOME, REFUSED, TAKEN, Case
from tests.hostile.visitor import SIDE, request
from tests.hostile.visits import (
    INFER,
    Act,
    crowd,
    deaf,
    dripping,
    form,
    gone,
    half_bodies,
    infer,
    one_more,
    part,
    posted,
    second_request,
    sent,
    stalled,
    together,
)
from tests.serve.wrong import PICTURES, black, chunk, png, saved, tensors, zeros

Answer = tuple[int, str]
OK: Answer = (200, "")
CLOSED: Answer = (0, "")  # without an answer: nothing was asked
NO_IMAGE, FORM, BAD, HTTP = (400, "no_image"), (400, "bad_form"), (400, "bad_request"), (400, "bad_http")
NOT_ONE, SLOW, BUSY, FULL, LATE = (422, "not_an_image"), (408, "slow"), (503, "busy"), (429, "busy"), (504, "timeout")
LARGE, PIXELS, ENCODED = (413, "too_large"), (413, "too_many_pixels"), (415, "encoding")
NOWHERE, METHOD, MODEL = (404, "http"), (405, "http"), (404, "no_such_model")
BOMB = 1 << 28  # bytes; packed it has fewer than a request may


@dataclass(frozen=True)
class Visit:
    """What a client does, and how each of its requests may be answered."""

    act: Act
    expected: tuple[Answer, ...]


def bomb(kind: bytes) -> bytes:
    """A PNG whose text or colour profile has 256 MB once it is unpacked."""
    return png(64, 64, zeros(64 * 193), more=chunk(kind, b"a\0\0" + zeros(BOMB)))


def whole(name: str) -> bytes:
    """The content of a wrong picture."""
    return PICTURES[name]().content


def _pictures() -> dict[str, Visit]:
    listed = {
        f"picture-{name}": Visit(posted(partial(whole, name)), ((w.status, w.kind),))
        for name, w in ((name, make()) for name, make in PICTURES.items())
    }
    return listed | {
        "picture-inflates-to-256-MB": Visit(posted(lambda: png(64, 64, zeros(BOMB))), (OK, NOT_ONE, LATE)),
        "picture-text-of-256-MB": Visit(posted(partial(bomb, b"zTXt")), (OK, NOT_ONE, LATE)),
        "picture-profile-of-256-MB": Visit(posted(partial(bomb, b"iCCP")), (OK, NOT_ONE, LATE)),
        "picture-of-30-MB": Visit(posted(lambda: bytes(30_000_000)), (LARGE,)),
        "picture-16-bit": Visit(posted(lambda: black(1000, deep=True)), (OK,)),
        "pictures-60-at-once": Visit(together(lambda: black(1000)), (OK, FULL, BUSY, LATE)),
    }


def _forms() -> dict[str, Visit]:
    picture = saved("PNG", 64)
    return {
        "form-empty": Visit(form(), (NO_IMAGE,)),
        "form-of-another-field": Visit(form(part("picture", picture, "a.png")), (NO_IMAGE,)),
        "form-with-text-for-an-image": Visit(form(part("image", b"text")), (NO_IMAGE,)),
        "form-of-1000-fields": Visit(form(*(part(f"f{i}", b"x") for i in range(1000))), (FORM,)),
        "form-of-1000-files": Visit(form(*(part("image", b"x", "a.png") for _ in range(1000))), (FORM,)),
        "form-without-boundary": Visit(form(part("image", picture, "a.png"), kind="multipart/form-data"), (FORM,)),
        "form-with-another-boundary": Visit(form(kind="multipart/form-data; boundary=y"), (FORM, NO_IMAGE)),
        "form-with-an-endless-head": Visit(form(b"X: " + b"a" * 100_000), (FORM,)),
        "form-that-ends-early": Visit(
            sent(request("/predict", b"--x\r\nContent-", "Content-Type: multipart/form-data; boundary=x")),
            (FORM, NO_IMAGE),
        ),
        "form-with-a-path": Visit(form(part("image", picture, "../../../etc/passwd")), (OK,)),
    }


def _tensors() -> dict[str, Visit]:
    lying = "Inference-Header-Content-Length"
    return {f"tensor-{name}": Visit(infer(body), (BAD,)) for name, body in tensors(SIDE).items()} | {
        "tensor-deep": Visit(infer(b"[" * 200_000), (BAD,)),
        "tensor-no-json": Visit(infer(b"\xff\xfe"), (BAD,)),
        "tensor-head-longer-than-the-body": Visit(infer(b"{}", f"{lying}: 5"), (BAD,)),
        "tensor-head-of-text": Visit(infer(b"{}", f"{lying}: x"), (BAD,)),
        "tensor-head-negative": Visit(infer(b"{}", f"{lying}: -1"), (BAD,)),
        "tensor-of-no-model": Visit(sent(request("/v2/models/..%2f..%2fetc/infer", b"{}")), (MODEL, NOWHERE)),
        "tensor-too-large": Visit(infer(b" " * 300_001), (LARGE,)),
    }


def _headers() -> dict[str, Visit]:
    picture = saved("PNG", 64)
    jpeg, text, form_ = "Content-Type: image/jpeg", "Content-Type: image/png", "Content-Type: multipart/form-data"
    chunked = b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    return {
        "length-too-short": Visit(one_more, (NOT_ONE, HTTP)),
        "length-too-long": Visit(stalled(request("/predict", picture, length=len(picture) + 10)), (SLOW,)),
        "length-negative": Visit(sent(request("/predict", picture, length=-5)), (HTTP,)),
        "length-of-text": Visit(sent(request("/predict", picture, length="many")), (HTTP,)),
        "length-endless": Visit(sent(request("/predict", picture, length=10**18)), (LARGE,)),
        "length-of-40-digits": Visit(sent(request("/predict", picture, length=10**39)), (HTTP, LARGE)),
        "length-twice": Visit(sent(request("/predict", picture, "Content-Length: 5")), (HTTP,)),
        "length-and-chunks": Visit(
            sent(request("/predict", b"0\r\n\r\n", "Transfer-Encoding: chunked")), (HTTP, NO_IMAGE)
        ),
        "chunk-that-lies": Visit(sent(chunked + b"\r\nzz\r\nabc\r\n"), (HTTP,)),
        "chunks-without-end": Visit(sent(chunked + b"\r\n" + (b"ffff\r\n" + b"a" * 65535 + b"\r\n") * 6), (LARGE,)),
        "type-of-another-picture": Visit(posted(lambda: picture, jpeg), (OK,)),
        "type-of-a-picture-for-text": Visit(posted(lambda: b"text", text), (NOT_ONE,)),
        "type-of-a-form-for-a-picture": Visit(posted(lambda: picture, f"{form_}; boundary=x"), (FORM, NO_IMAGE)),
        "compressed": Visit(posted(lambda: picture, "Content-Encoding: gzip"), (ENCODED,)),
        "head-of-1-MB": Visit(sent(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000_000), (HTTP,)),
        "no-host": Visit(sent(b"GET / HTTP/1.1\r\n\r\n"), (HTTP,)),
        "no-http": Visit(sent(bytes(range(256)) + b"\r\n\r\n"), (HTTP,)),
        "a-tls-hello": Visit(sent(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n"), (HTTP,)),
        "path-outside": Visit(sent(request("/../../../etc/passwd", b"", method="GET")), (NOWHERE,)),
        "wrong-method": Visit(sent(request("/predict", b"", method="DELETE")), (METHOD,)),
        "an-upgrade": Visit(posted(lambda: picture, "Connection: upgrade", "Upgrade: websocket"), (OK,)),
    }


def _clients() -> dict[str, Visit]:
    head, body = b"POST /predict HTTP/1.1\r\nX: ", request("/predict", b"", length=100_000)
    return {
        "slow-silent": Visit(stalled(), (CLOSED,)),
        "slow-half-a-head": Visit(stalled(head), (SLOW,)),
        "slow-head-drips": Visit(dripping(head), (SLOW,)),
        "slow-body-drips": Visit(dripping(body), (SLOW,)),
        "slow-tensors-drip": Visit(dripping(request(INFER, b"", length=1000), b" "), (SLOW,)),
        "slow-second-request": Visit(second_request, (OK, SLOW)),
        "bodies-that-do-not-end": Visit(half_bodies, (SLOW, BUSY)),
        "gone-in-the-middle": Visit(gone, ()),
        "never-reads": Visit(deaf, ()),
        "10000-connections": Visit(crowd, (OK, BUSY)),
    }


VISITS: dict[str, Visit] = _pictures() | _forms() | _tensors() | _headers() | _clients()


def ends(visit: Visit) -> tuple[str, ...]:
    """How the visitor may end."""
    sound = OK in visit.expected or not visit.expected
    return (*((REFUSED,) if set(visit.expected) - {OK} else ()), *((TAKEN,) if sound else ()))


def cases() -> list[Case]:
    """All of them."""
    return [
        Case("served", name, "tests.hostile.visitor", (HOME, name), ends=ends(visit), heavy=True)
        for name, visit in VISITS.items()
    ]
