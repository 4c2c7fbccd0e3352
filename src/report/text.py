"""Words apart from numbers: a catalogue turns a note of the decision into a sentence of one language.

The catalogues lie in `reports/templates/text/<language>.yaml`; they hold the same keys with the same placeholders.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from src.common.errors import UserError
from src.common.root import ROOT
from src.decide.notes import Note

TEMPLATES = ROOT / "reports" / "templates"


class _Formatter(string.Formatter):
    """str.format with the language's decimal sign and `not established` for what is not a number."""

    def __init__(self, comma: bool, unknown: str) -> None:
        self.comma, self.unknown = comma, unknown

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return self.unknown
        text = str(format(value, format_spec))
        return text.replace(".", ",") if self.comma and isinstance(value, float) else text

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return kwargs[str(key)]


class Catalogue:
    """The sentences of one language."""

    def __init__(self, language: str, sentences: dict[str, str]) -> None:
        self.language = language
        self.sentences = sentences
        self._formatter = _Formatter(language == "fr", sentences["not_established"])

    def say(self, what: Note | str, /, **values: Any) -> str:
        """The sentence for a note, or for a key with values."""
        key, given = (what.key, what.values) if isinstance(what, Note) else (what, values)
        words = {k: self.say(v) if isinstance(v, Note) else v for k, v in given.items()}
        return self._formatter.vformat(self.sentences[key], (), words)

    def plain(self, value: float) -> str:
        """A number with as many digits as it needs."""
        return self._formatter.format_field(float(value), "g")

    def number(self, value: float | None, digits: int = 3) -> str:
        """A number in the language's notation, `—` when unknown."""
        if value is None or not math.isfinite(value):
            return "—"
        return self._formatter.format_field(float(value), f".{digits}f")


def languages() -> list[str]:
    """Languages that have a catalogue."""
    return sorted(p.stem for p in (TEMPLATES / "text").glob("*.yaml"))


@lru_cache
def catalogue(language: str) -> Catalogue:
    """The catalogue of `language`.

    Raises:
        UserError: there is none.
    """
    if language not in languages():
        raise UserError("report.language is not known", value=language, remedy=f"one of: {', '.join(languages())}")
    text = (TEMPLATES / "text" / f"{language}.yaml").read_text(encoding="utf-8")
    return Catalogue(language, yaml.safe_load(text))
