"""Catalogues, Markdown and numbers."""

from __future__ import annotations

import math
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from src.common.errors import UserError
from src.decide.notes import note
from src.report.markdown import Raw, code, escape, table
from src.report.text import TEMPLATES, catalogue, languages


def placeholders(sentence: str) -> list[str]:
    return sorted(f"{name}:{spec}" for _, name, spec, _ in string.Formatter().parse(sentence) if name)


def test_languages_hold_the_same_keys_and_placeholders() -> None:
    english, french = catalogue("en").sentences, catalogue("fr").sentences
    assert languages() == ["en", "fr"]
    assert english.keys() == french.keys()
    for key, sentence in english.items():
        assert placeholders(sentence) == placeholders(french[key]), key


def test_every_key_in_the_template_exists() -> None:
    text = (TEMPLATES / "decision.md.j2").read_text()
    for key in re.findall(r'say\("(\w+)"\)', text):
        assert key in catalogue("en").sentences


def test_numbers_follow_the_language() -> None:
    assert catalogue("en").number(0.4154) == "0.415"
    assert catalogue("fr").number(0.4154) == "0,415"
    assert catalogue("en").number(math.nan) == "—"
    assert "0,010" in catalogue("fr").say(note("risk_gap", val=0.5, test=0.49, gap=0.01))


def test_unknown_values_read_not_established() -> None:
    said = catalogue("en").say("search_cost", n=3, hours=1.0, finalists=0.5, wall=math.nan)
    assert "not established h from start" in said


def test_unknown_language() -> None:
    with pytest.raises(UserError, match="language"):
        catalogue("xx")


@given(st.text())
def test_escaped_text_renders_as_itself(text: str) -> None:
    """Through a CommonMark renderer nothing but the text comes out: no tags, links or emphasis."""
    rendered = MarkdownIt("commonmark", {"html": True}).renderInline("x" + escape(text) + "x")
    assert not re.search(r"<(?!/?br)", rendered)


@given(st.text())
def test_cells_stay_in_their_column(text: str) -> None:
    lines = table(["a", "b"], [[text, code(text)]]).split("\n")
    assert len(lines) == 3
    assert len(re.findall(r"(?<!\\)\|", lines[2].replace("\\\\", ""))) == 3


def test_raw_is_left_alone() -> None:
    assert escape(Raw("**x**")) == "**x**"
    assert escape("tiny_person") == "tiny_person"
    assert escape("_x_") == "\\_x\\_"


SOURCES = [*Path("src").rglob("*.py"), *TEMPLATES.glob("*.j2")]
SPOKEN = "\n".join(p.read_text() for p in SOURCES).replace("'", '"')
FAMILIES = set(re.findall(r'f"(\w+_)\{', SPOKEN)) | set(re.findall(r'"(\w+_)" ~', SPOKEN))


def spoken(key: str) -> bool:
    """Whether code or a template says `key`, by its name or as a member of a family (`level_` and `"high"`)."""
    stem = key.removesuffix("_interval")
    if f'"{key}"' in SPOKEN or f'"{stem}"' in SPOKEN:
        return True
    members = [key.removeprefix(f) for f in FAMILIES if key.startswith(f)]
    return any(f'"{m}"' in SPOKEN or f'"{m.removesuffix("_interval")}"' in SPOKEN for m in members)


def test_every_sentence_is_used() -> None:
    assert [key for key in catalogue("en").sentences if not spoken(key)] == []
