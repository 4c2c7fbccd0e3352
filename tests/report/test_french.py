"""The French report is French throughout: nothing of the English catalogue, and no English words of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from src.report import Options, write_report
from src.report.text import catalogue
from tests.report.factory import ONNX, PYTORCH, Sweep, deep_study, failed, finalist, study, trial
from tests.report.test_confused import unclaimed
from tests.report.test_looks import SETTLED, look, looked, question
from tests.report.test_report import whole

ENGLISH = re.compile(
    r"\b(the|of|and|with|without|was|were|is|are|not|for|from|by|than|what|which|that|this|these|has|have|no|yes|none|"
    r"trial|trials|training|benchmark|pass|warn|fail|verify|size|throughput|loss|latency|threshold|recall|memory)\b",
    re.IGNORECASE,
)
QUOTED = re.compile(
    r"`[^`]*`|« .*? »|!\[[^\]]*\]\([^)]*\)|\([^)]*python -m[^)]*\)|[\w.]+=[\w.…]+|\b\w+_\w+\b|\bpar lot\b"
)


def odd() -> Sweep:
    """Trials that failed and were pruned, a small scratch-trained model, limits that break: the rarer sentences."""
    trials = [trial(i, ("v8n", "v11n")[i % 2], (160, 320)[i // 2 % 2], seed=1 + i // 4, score=0.3) for i in range(8)]
    trials = [
        replace(t, checkpoint=replace(t.checkpoint, start="scratch (no pretrained weights at hand)", best_epoch=10))
        for t in trials
        if t.checkpoint
    ]
    dataset = replace(trials[0].dataset, split_sizes={"train": 40, "val": 10, "test": 10}, warnings=["a is b's copy"])  # type: ignore[type-var]
    trials = [replace(t, dataset=dataset) for t in trials]
    trials += [failed(8, lr=0.5), replace(trial(9, seed=9), state="pruned", metrics={}, checkpoint=None)]
    limits = {"max_latency_ms": 9.0, "max_size_mb": 5.0, "max_memory_mb": 500.0, "min_throughput_ips": 10.0}
    decision = {"max_export_loss": 0.05, "min_map": 0.1, **limits}
    made = [finalist(t, (PYTORCH, replace(ONNX, p99=False))) for t in trials[:2]]
    return Sweep(trials, made, decision)


def nothing() -> Sweep:
    one = trial(0, score=0.0)
    return Sweep([one], [finalist(one, test=None)])


CLOSED = [looked(*SETTLED), looked(look(4, stopped="decided"))]
CLOSED += [looked(look(4), look(5, question(0.05), stopped=word)) for word in ("trainings", "hours", "seeds", "")]
OTHERS = [study(), deep_study(), unclaimed(), odd(), nothing(), Sweep([failed(0)]), Sweep([trial(0)])]


@pytest.mark.parametrize("sweep", [*OTHERS, *CLOSED])
def test_no_english_is_left(sweep: Sweep, tmp_path: Path) -> None:
    text = whole(write_report(sweep.write(tmp_path), tmp_path / "reports", Options(language="fr")))
    for line in text.splitlines():
        found = ENGLISH.search(QUOTED.sub(" ", line))
        assert not found, f"{found.group(0)!r} in {line!r}"


def test_sentences_are_translated() -> None:
    """What reads the same in both languages is a name, a symbol or a word that French has too."""
    english, french = catalogue("en").sentences, catalogue("fr").sentences
    same = {key for key, words in english.items() if words == french[key] and len(words.split()) > 2}
    assert same == {"col_mean", "col_val_ci", "col_test_ci"}


def test_what_was_recorded_is_quoted_as_it_is(tmp_path: Path) -> None:
    text = whole(write_report(odd().write(tmp_path), tmp_path / "reports", Options(language="fr")))
    assert "« loss is not finite in epoch 2 »" in text
    assert "essai 8" in text
    assert "| entraînement |" in text
