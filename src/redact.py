"""Takes secrets out of whatever is about to be saved, logged or shown.

A value is a secret when its key looks like one (`password`, `token`, `api_key`, …), when it is the value of an
environment variable whose name looks like one, or when it is the password of a URL.
"""

from __future__ import annotations

import os
import re
from typing import Any

MASK = "***"
_KEY = re.compile(r"(pass(word|wd)?|secret|token|api_?key|credential|private_?key|access_?key)", re.IGNORECASE)
_URL = re.compile(r"(?P<head>[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@]*:)[^\s@/]+(?=@)")
_ASSIGNMENT = re.compile(r"(?P<head>[\w.]*(?:pass(?:word|wd)?|secret|token|api_?key|credential)[\w.]*=)[^\s&,]+", re.I)
_SHORTEST = 6  # a shorter value would mask half the text


def looks_secret(key: str) -> bool:
    """Whether a key's name says that its value is a credential."""
    return _KEY.search(key) is not None


def redact_text(text: str) -> str:
    """Mask passwords in URLs, `key=value` words with a secret key, and values of secret environment variables."""
    text = _URL.sub(rf"\g<head>{MASK}", text)
    text = _ASSIGNMENT.sub(rf"\g<head>{MASK}", text)
    for key, value in os.environ.items():
        if len(value) >= _SHORTEST and looks_secret(key):
            text = text.replace(value, MASK)
    return text


def redact(value: Any) -> Any:
    """The same plain data with every secret masked."""
    if isinstance(value, dict):
        return {k: MASK if looks_secret(str(k)) and v not in (None, "") else redact(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(v) for v in value]
    return redact_text(value) if isinstance(value, str) else value
