"""The French README keeps step with the English one, and PowerShell's script with the Makefile."""

from __future__ import annotations

import re

from tests.conftest import ROOT

ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
FRENCH = (ROOT / "README.fr.md").read_text(encoding="utf-8")
KEPT = re.compile(r"(?:python -m|make|export|decision|study|hydra/sweeper/sampler|model\.weights)\b[ =.:][^`]*")


def outside_of_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def commands(text: str) -> list[str]:
    """Inline code that a user types."""
    return sorted(
        {" ".join(code.split()) for code in re.findall(r"`([^`]+)`", outside_of_code(text)) if KEPT.match(code)}
    )


def test_headings_have_the_same_levels() -> None:
    levels = [re.findall(r"^(#+) ", outside_of_code(text), re.MULTILINE) for text in (ENGLISH, FRENCH)]
    assert levels[0] == levels[1]


def test_commands_keys_and_code_are_the_same() -> None:
    assert commands(ENGLISH) == [code for code in commands(FRENCH) if code != "report.language=fr"]
    blocks = [re.findall(r"```.*?```", text, re.DOTALL) for text in (ENGLISH, FRENCH)]
    assert blocks[0] == blocks[1]
    rows = [re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE) for text in (ENGLISH, FRENCH)]
    assert rows[0] == rows[1]


def test_links_lead_to_the_same_places() -> None:
    links = [set(re.findall(r"\]\(([^)]+)\)", text)) - {"README.md", "README.fr.md"} for text in (ENGLISH, FRENCH)]
    assert links[0] == links[1]


def test_both_name_the_same_keys_files_and_words() -> None:
    named = [set(re.findall(r"`([^`\n]+)`", text)) - {"report.language=fr"} for text in (ENGLISH, FRENCH)]
    assert named[0] == named[1]


def test_the_french_one_is_french() -> None:
    plain = re.sub(r"`[^`]*`|\[Read in English\]|\]\([^)]*\)", "", outside_of_code(FRENCH)).lower()
    words = re.findall(r"[a-zàâçéèêëîïôûùœ']+", plain)
    assert sum(word in ("the", "and", "which", "with") for word in words) == 0
    assert sum(word in ("le", "la", "les", "de", "et", "un", "une") for word in words) > 150


def test_powershell_names_every_target() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    script = (ROOT / "make.ps1").read_text(encoding="utf-8")
    named = re.search(r"those of make: ([^.]+)\.", script)
    assert named is not None
    assert sorted(name.strip() for name in named[1].split(",")) == sorted(targets)
    assert script.count("{") == script.count("}")
    assert "exit $LASTEXITCODE" in script
