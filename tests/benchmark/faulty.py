"""A worker that fails in the way its job asks for."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    """Crash, hang, answer nonsense, or tell about the process."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = {"ok": True, "value": {"threads": os.environ["OMP_NUM_THREADS"], "parent": os.getppid()}}
    match job["how"]:
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            time.sleep(60)
        case "exit":
            print("the last words", file=sys.stderr)
            sys.exit(3)
        case "nonsense":
            Path(sys.argv[2]).write_text("{", encoding="utf-8")
            return
        case "unavailable":
            answer = {"ok": False, "kind": "unavailable", "message": "not here"}
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


main()
