"""Hold the locked packages against known advisories: `make audit`.

pip-audit asks an advisory service, so this needs a network. Where none can be reached, where it does not know a package
(pip-audit itself then says "no known vulnerabilities"), or where pip-audit isn't installed, this says so plainly and
ends in 3: an audit that did not happen must not look like one that found nothing.

Every package of every lock file is asked about once, those for other machines than this one too.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sbom import Package, read_all, read_lock

HERE = Path(__file__).resolve().parent
NOT_DONE = 3
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


def answers(text: str) -> list[dict[str, Any]] | None:
    """What pip-audit says of each package; None where it says nothing."""
    try:
        packages: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    return packages or None


def batches(packages: Iterable[Package]) -> list[list[Package]]:
    """The packages in lists that hold each name once: pip-audit reads no second version of one."""
    found: list[list[Package]] = []
    seen: dict[str, int] = {}
    for package in packages:
        turn = seen.get(package.name, 0)
        seen[package.name] = turn + 1
        if turn == len(found):
            found.append([])
        found[turn].append(package)
    return found


def write(packages: list[Package], target: Path) -> None:
    """A requirements file without markers: pip-audit leaves out what is meant for another machine."""
    lines = (f"{p.name}=={p.version} " + " ".join(f"--hash=sha256:{h}" for h in p.hashes) for p in packages)
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(locks: list[str]) -> int:
    """Audit lock files, all of them unless some are named; 0 nothing known, 1 advisories, 3 not audited."""
    if importlib.util.find_spec("pip_audit") is None:
        return not_done("pip-audit is not installed (.venv/bin/uv pip install pip-audit); nothing was checked")
    packages = [p for name in locks for p in read_lock(HERE / name)] if locks else read_all()
    told: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="detsweep-audit-") as folder:
        for batch in batches(packages):
            write(batch, target := Path(folder) / "locked.txt")
            _, out, err = audit(target)
            found = answers(out)
            if found is None:
                lines = err.strip().splitlines() or ["no answer"]
                away = any(word in err.lower() for word in AWAY)
                reason = "no advisory database can be reached" if away else "pip-audit failed"
                return not_done(f"{reason} ({lines[-1][:160]}); nothing was checked")
            told += found
    return verdict(told, len(packages))


def verdict(told: list[dict[str, Any]], asked: int) -> int:
    """Print what is known, and about how many packages nothing could be learnt; returns the exit status."""
    known = {f"{p['name']} {p.get('version', '?')}: {v['id']}, {fixed(v)}" for p in told for v in p.get("vulns", [])}
    checked = sum("skip_reason" not in p for p in told)
    if known:
        print("\n".join(sorted(known)))
    if checked < asked:
        names = [p["name"] for p in told if "skip_reason" in p]
        listed = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        code = not_done(f"{asked - checked} of {asked} packages are not known to the advisory service ({listed})")
        return 1 if known else code
    print(f"{asked} packages checked" + ("" if known else ", no known advisory"))
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
