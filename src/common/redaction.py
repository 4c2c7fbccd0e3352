"""Takes secrets out of whatever is about to be saved, logged or shown.

A value is a secret when its key looks like one (`password`, `token`, `api_key`, …), when it is the value of an
environment variable whose name looks like one, or when it is the password of a URL, there or here.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote

MASK = "***"
_WORD = r"pass(?:word|wd)?|secret|token|api_?key|credential|private_?key|access_?key"
_KEY = re.compile(rf"({_WORD})", re.IGNORECASE)
# Names of variables are less regular than our keys: GH_PAT, SMTP_PWD, HTTP_AUTH, SENTRY_DSN, STRIPE_KEY.
_VARIABLE = re.compile(rf"{_WORD}|(?:^|_)(?:pwd|pat|auth|dsn|key|cookie|signature)$", re.IGNORECASE)
# Up to the last @ before a space or quote: a password may hold what it should not, such as : / or @ itself.
_URL = re.compile(r"(?P<head>[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@'\"]*:)[^\s'\"]+(?=@)")
_BARE = re.compile(r"(?P<head>https?://)[^\s/:@'\"]{8,}(?=@)")  # https://TOKEN@host
_HEADER = re.compile(r"(?P<head>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_QUOTED = r"\"[^\"]*\"|'[^']*'"
_ASSIGNMENT = re.compile(rf"(?P<head>[\w.-]*(?:{_WORD})[\w.-]*=)(?:{_QUOTED}|[^\s&,]+)", re.IGNORECASE)
_PAIR = re.compile(rf"(?P<head>[\"'][\w.-]*(?:{_WORD})[\w.-]*[\"']\s*:\s*)(?:{_QUOTED})", re.IGNORECASE)
_SHORTEST = 6  # a shorter value would mask half the text
_PASSWORD = re.compile(r"://[^\s/:@]*:(?P<password>[^\s]+)@")


def looks_secret(key: str) -> bool:
    """Whether a key's name says that its value is a credential."""
    return _KEY.search(key) is not None


def redact_text(text: str) -> str:
    """Mask passwords in URLs, `key=value` words with a secret key, and values of secret environment variables."""
    for pattern in (_URL, _BARE, _HEADER, _ASSIGNMENT, _PAIR):
        text = pattern.sub(rf"\g<head>{MASK}", text)
    for value in _known():
        text = text.replace(value, MASK)
    return text


def _known() -> list[str]:
    """Secret values of the environment as they may be written, the longest first: one may be part of another."""
    found: set[str] = set()
    for name, value in os.environ.items():
        if _VARIABLE.search(name):
            found |= {value, quote(value, safe="")}
        if (inside := _PASSWORD.search(value)) is not None:  # DATABASE_URL and its like
            found.add(inside["password"])
    return sorted((value for value in found if len(value) >= _SHORTEST), key=len, reverse=True)


def redact(value: Any) -> Any:
    """The same plain data with every secret masked."""
    if isinstance(value, dict):
        return {k: MASK if looks_secret(str(k)) and v not in (None, "") else redact(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(v) for v in value]
    return redact_text(value) if isinstance(value, str) else value
