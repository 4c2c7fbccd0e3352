"""`python -m tests.hostile [kind=…] [quick=true] [shard=0/2] [keep=DIR] [json=FILE]`: the whole set, as a table."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.hostile.cases import all_cases, quick_cases
from tests.hostile.harness import Outcome, run, table, warm


def main(words: list[str]) -> int:
    """Run, print the table and every defect; 1 when there is one."""
    given = dict(word.split("=", 1) for word in words)
    cases = quick_cases() if given.get("quick") == "true" else all_cases()
    if kind := given.get("kind"):
        cases = [c for c in cases if c.kind in kind.split(",")]
    if name := given.get("name"):
        cases = [c for c in cases if name in c.label]
    if shard := given.get("shard"):
        part, parts = map(int, shard.split("/"))
        cases = cases[part::parts]
    if not cases:
        kinds = ", ".join(sorted({case.kind for case in all_cases()}))
        print(f"no case is asked for by {' '.join(words)}; kinds: {kinds}", file=sys.stderr)
        return 2
    warm(cases)
    with tempfile.TemporaryDirectory(prefix="detsweep-hostile-") as scratch:
        base = Path(given.get("keep") or scratch)
        outcomes = [told(run(case, base)) for case in cases]
    bad = [o for o in outcomes if o.defects]
    print(table(outcomes))
    if target := given.get("json"):
        rows = [{"case": o.case.label, "end": o.end, "code": o.code, "defects": o.defects} for o in outcomes]
        Path(target).write_text(json.dumps(rows))
    return 1 if bad else 0


def told(found: Outcome) -> Outcome:
    """Print a defect as soon as it is found."""
    if found.defects:
        last = (found.err.strip().splitlines() or found.out.strip().splitlines() or [""])[-3:]
        words = " ".join(found.case.words)[-160:]
        print(f"{found.case.label}: {'; '.join(found.defects)}\n  {words!r}\n  {' | '.join(last)[:300]}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
