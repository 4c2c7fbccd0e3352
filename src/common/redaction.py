"""Takes secrets out of whatever is about to be saved, logged or shown.

A value is a secret when its key looks like one (`password`, `token`, `api_key`, …), when it is the value of an
environment variable whose name looks like one, when it is the password of a URL, there or here, or when it has the
form of a well-known kind of token.
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
_PLACES = ("PWD",)  # the folder that a shell is in, whose name would be masked in every path below it
# Every pattern begins where a word does and looks at each letter once or twice: texts come from outside, and one that
# is read again from each of its letters takes hours at some length.
_WORDS = re.compile(r"[^\s'\"]+")
_URL = re.compile(r"(?<![a-zA-Z0-9+.-])[a-zA-Z0-9+.-]+://[^\s/:@'\"]*:")
_BARE = re.compile(r"(?P<head>https?://)[^\s/:@'\"]{8,}(?=@)")  # https://TOKEN@host
_HEADER = re.compile(r"(?P<head>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
# Credentials that say themselves what they are: of GitHub, GitLab, Hugging Face, AWS, OpenAI and its kin, Slack; JWTs.
_TOKEN = re.compile(
    r"(?<![\w-])(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{18,}|hf_[A-Za-z0-9]{30,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)|sk-(?:proj-|ant-)?[A-Za-z0-9]{20,}|xox[abprs]-[\w-]{16,}"
    r"|eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+)"
)
_QUOTED = r"\"[^\"]*\"|'[^']*'"
_ASSIGNMENT = re.compile(r"(?<![\w.-])(?P<key>[\w.-]+)="), re.compile(rf"{_QUOTED}|[^\s&,]+")  # key=value
_PAIR = re.compile(r"[\"'](?P<key>[\w.-]+)[\"']\s*:\s*"), re.compile(_QUOTED)  # "key": "value"
_SHORTEST = 6  # a shorter value would mask half the text
_PASSWORD = re.compile(r"://[^\s/:@]*:(?P<password>[^\s]+)@")


def looks_secret(key: str) -> bool:
    """Whether a key's name says that its value is a credential."""
    return _KEY.search(key) is not None


def redact_text(text: str) -> str:
    """Mask passwords in URLs, `key=value` words with a secret key, and values of secret environment variables."""
    text = _WORDS.sub(_without_password, text)
    for pattern in (_BARE, _HEADER):
        text = pattern.sub(rf"\g<head>{MASK}", text)
    text = _TOKEN.sub(MASK, text)
    for keys, values in (_ASSIGNMENT, _PAIR):
        text = _without_values(text, keys, values)
    for value in _known():
        text = text.replace(value, MASK)
    return text


def _without_password(word: re.Match[str]) -> str:
    """A word without the password of its URL, which ends at the last @: it may hold : / or @ itself."""
    text = word[0]
    end = text.rfind("@")
    head = _URL.search(text, 0, end) if end > 0 else None
    return text if head is None or head.end() == end else text[: head.end()] + MASK + text[end:]


def _without_values(text: str, keys: re.Pattern[str], values: re.Pattern[str]) -> str:
    """A text without the values that stand behind secret keys."""
    parts, done = [], 0
    for key in keys.finditer(text):
        if key.start() < done or not looks_secret(key["key"]):
            continue
        if (value := values.match(text, key.end())) is not None and value[0] != "…":  # a remedy's "export TOKEN=…"
            parts += [text[done : key.end()], MASK]
            done = value.end()
    return "".join([*parts, text[done:]])


def _known() -> list[str]:
    """Secret values of the environment as they may be written, the longest first: one may be part of another."""
    found: set[str] = set()
    for name, value in os.environ.items():
        if _VARIABLE.search(name) and name not in _PLACES:
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
