"""What a plan may name: files of its bundle, and pictures of its split."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.benchmark.bundle.plan import altered, check_processor, from_text, read_plan
from src.common.errors import UserError

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["files"].update({"../../etc/passwd": "ab" * 32}), "no file of a bundle"),
        (lambda p: p["files"].update({"/etc/passwd": "ab" * 32}), "no file of a bundle"),
        (lambda p: p["files"].update({"": "ab" * 32}), "no file of a bundle"),
        (lambda p: p["fitted"].update({"x": "a/../../b.npz"}), "no file of a bundle"),
        (lambda p: p["ring"].append("C:\\x"), "no file of a bundle"),
        (lambda p: p["candidates"][0]["artifact"].update(path="/dev/zero"), "no file of a bundle"),
        (lambda p: p["candidates"][0].update(id="../../x"), "numbers of their own"),
        (lambda p: p["candidates"].append(p["candidates"][0]), "numbers of their own"),
        (lambda p: p.update(candidates=[]), "numbers of their own"),
        (lambda p: p["pictures"][0].update(index=-1), "pictures are none"),
        (lambda p: p["pictures"][0].update(index=10**9), "pictures are none"),
        (lambda p: p.update(pictures=[]), "pictures are none"),
    ],
)
def test_a_plan_that_leads_out_of_its_bundle_is_refused(home: Path, change: Change, words: str) -> None:
    path = home / "bundle" / "plan.json"
    content = json.loads(path.read_text())
    from_text(json.dumps(content), "plan.json")
    change(content)
    with pytest.raises(UserError, match=words):
        from_text(json.dumps(content), "plan.json")


def test_a_file_that_became_a_pipe_is_altered_and_not_waited_for(home: Path) -> None:
    plan, _ = read_plan(home / "bundle")
    assert altered(plan, home / "bundle") == []
    (home / "bundle" / "run.py").unlink()
    os.mkfifo(home / "bundle" / "run.py")
    assert altered(plan, home / "bundle") == ["run.py"]


@pytest.mark.parametrize("name", ["", "tpu", "cuda:", "cuda:x", "cuda:²", "CPU", "cpu:0", "cuda:00000"])
def test_what_is_no_processor(name: str) -> None:
    with pytest.raises(UserError):
        check_processor(name)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:3"])
def test_what_is_a_processor(name: str) -> None:
    check_processor(name)
