"""Hold the locked packages against known advisories: `make audit`.

pip-audit asks an advisory service, so this needs a network. Where none can be reached, or pip-audit isn't installed, it
says so plainly and ends in 3: an audit that did not happen must not look like one that found nothing.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NOT_DONE = 3
LOCKS = ("base.txt", "runtimes.txt", "dev.txt", "uv.txt")
AWAY = (
    "connection",
    "resolve",
    "timed out",
    "timeout",
    "unreachable",
    "proxy",
    "serviceerror",
    "403",
    "404",
    "502",
    "503",
)


def not_done(reason: str) -> int:
    """Say that nothing was checked."""
    print(f"NOT AUDITED: {reason}", file=sys.stderr)
    return NOT_DONE


def audit(lock: Path) -> tuple[int, str, str]:
    """pip-audit on one lock file: its exit status and what it printed."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format=json", "-r", str(lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return 1, "", "timed out"
    return done.returncode, done.stdout, done.stderr


def fixed(advisory: dict[str, Any]) -> str:
    """Where an advisory is mended."""
    return "mended in " + (", ".join(advisory.get("fix_versions", [])) or "no version")


def findings(text: str) -> list[str] | None:
    """A line for each advisory; None where the answer is none."""
    try:
        packages: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    return [f"{p['name']} {p.get('version', '?')}: {v['id']}, {fixed(v)}" for p in packages for v in p.get("vulns", [])]


def main(locks: list[str]) -> int:
    """Audit the lock files; 0 nothing known, 1 advisories, 3 not audited."""
    if importlib.util.find_spec("pip_audit") is None:
        return not_done("pip-audit is not installed (.venv/bin/uv pip install pip-audit); nothing was checked")
    known: set[str] = set()
    for name in locks or LOCKS:
        _, out, err = audit(HERE / name)
        found = findings(out)
        if found is None:
            lines = err.strip().splitlines() or ["no answer"]
            away = any(word in err.lower() for word in AWAY)
            reason = "no advisory database can be reached" if away else "pip-audit failed"
            return not_done(f"{reason} ({lines[-1][:160]}); nothing was checked")
        known |= set(found)
    print("\n".join(sorted(known)) or "no known advisory")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
