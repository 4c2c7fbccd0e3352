"""What a process that works for another one answers: a value, or an error that is raised again on the other side."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from src.common.errors import StageError, Unavailable, UserError
from src.common.whole_files import write_text
from src.machine.parent_process import leave_with_parent

MOST = 2000  # characters of an error message


def answer_of(work: Callable[[], Any]) -> dict[str, Any]:
    """Do the work; what came of it as plain data: `ok` with `value`, or the kind of error with its words."""
    try:
        return {"ok": True, "value": work()}
    except Unavailable as error:
        return {"ok": False, "kind": "unavailable", "message": str(error)}
    except UserError as error:
        value = None if error.value is None else str(error.value)
        return {"ok": False, "kind": "user", "message": error.what, "value": value, "remedy": error.remedy}
    except StageError as error:
        return {"ok": False, "kind": "error", "message": error.message}
    # Engines and converters are foreign code that fails in its own ways; whoever asked records the reason and goes on.
    except Exception as error:
        return {"ok": False, "kind": "error", "message": f"{type(error).__name__}: {error}"[:MOST]}


def work(do: Callable[[dict[str, Any]], dict[str, Any]]) -> NoReturn:
    """What `python -m WORKER job.json result.json` does: read the job, do it, write what came of it, and leave."""
    leave_with_parent(gently=False)
    source, result = map(Path, sys.argv[1:])
    write_text(result, json.dumps(do(json.loads(source.read_text(encoding="utf-8")))))
    sys.stdout.flush()
    # Some engines and converters crash while the interpreter takes them down; the answer is on disk: leave at once.
    os._exit(0)


def error_of(answer: Mapping[str, Any], stage: str, target: str) -> Exception:
    """The error that an answer without `ok` stands for."""
    message = str(answer.get("message", ""))
    if answer.get("kind") == "unavailable":
        return Unavailable(message)
    if answer.get("kind") == "user":
        return UserError(message, value=answer.get("value"), remedy=str(answer.get("remedy", "")))
    return StageError(stage, target, message)
