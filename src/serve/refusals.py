"""What a client is told when its request is not answered: one form for every kind."""

from __future__ import annotations

from typing import Any

RETRY_S = 1  # after which a client that was turned away may come again


class Refusal(Exception):  # noqa: N818 - most are the client's mistakes, not ours
    """A request that is not answered.

    Args:
        status: of HTTP.
        kind: a word for programs.
        text: a sentence for people, without anything of the server's inside.
        remedy: what to do instead.
    """

    def __init__(self, status: int, kind: str, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.status, self.kind, self.text, self.remedy = status, kind, text, remedy

    @property
    def body(self) -> dict[str, Any]:
        """As JSON; `error` is a sentence, as the Open Inference Protocol wants it."""
        return {"error": self.text, "kind": self.kind} | ({"remedy": self.remedy} if self.remedy else {})

    @property
    def headers(self) -> dict[str, str]:
        """When to come again, where that helps; a body that was not read whole ends the connection."""
        again = {"Retry-After": str(RETRY_S)} if self.status in (429, 503) else {}
        return again | ({"Connection": "close"} if self.status in (408, 413) else {})


def busy() -> Refusal:
    """The queue is full."""
    return Refusal(429, "busy", "as many pictures wait already as may", "come again after the seconds of Retry-After")


def not_ready() -> Refusal:
    """The model is not loaded yet, or the service is ending."""
    return Refusal(503, "not_ready", "the service is starting or ending", "come again after the seconds of Retry-After")


def too_late() -> Refusal:
    """The answer took too long."""
    return Refusal(504, "timeout", "the answer was not ready in time", "send fewer pictures at once")


def internal() -> Refusal:
    """Something of ours went wrong: the log has it, the client does not."""
    return Refusal(500, "failed", "the request failed; the server's log tells why")


def too_many() -> Refusal:
    """More connections than may be open."""
    return Refusal(503, "busy", "as many connections are open as may", "come again after the seconds of Retry-After")


def incomplete() -> Refusal:
    """A request whose beginning came, and not its end."""
    return Refusal(408, "slow", "the request did not arrive in time", "send it faster")


def malformed() -> Refusal:
    """What arrived is no request of HTTP/1.1."""
    return Refusal(400, "bad_http", "this is no request of HTTP/1.1, or its headers contradict each other")
