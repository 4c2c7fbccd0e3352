"""What a process that works for another one answers: a value, or an error that is raised again on the other side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from src.common.errors import StageError, Unavailable, UserError

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


def error_of(answer: Mapping[str, Any], stage: str, target: str) -> Exception:
    """The error that an answer without `ok` stands for."""
    message = str(answer.get("message", ""))
    if answer.get("kind") == "unavailable":
        return Unavailable(message)
    if answer.get("kind") == "user":
        return UserError(message, value=answer.get("value"), remedy=str(answer.get("remedy", "")))
    return StageError(stage, target, message)
