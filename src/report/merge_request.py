"""A decision for a merge request: a short comment in Markdown, JUnit XML, and an exit code by policy.

Everything comes from two files `decision.json`, so no records, runs or libraries are needed where a merge request is
checked. What decides between two candidates is the decision itself; here only what changed is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

from src.common.errors import UserError
from src.common.whole_files import read_regular, write_text
from src.decide.verdict import Word
from src.report.markdown import code, escape, table

POLICIES = ("never", "reject", "conditional", "changed")
POLICY = "reject"  # where none is given
AGAIN = "write the report again: python -m src.report"
COMMENT, JUNIT = "merge_request.md", "junit.xml"
SCHEMA = 2
MOST = 5  # conditions and reasons that a comment repeats
FIGURES = (  # key of a candidate's metrics, words, digits
    ("test/mAP50-95", "mAP50-95, test", 3),
    ("val/mAP50-95", "mAP50-95, val", 3),
    ("latency", "latency {statistic}, ms", 2),
    ("throughput_ips", "throughput, images/s", 1),
    ("memory_mb", "memory, MB", 1),
    ("size_mb", "size, MB", 2),
)

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One question of the decision as a test."""

    name: str
    failed: str = ""  # why; "" = passed, or not told
    skipped: str = ""  # why nothing is known


def read_decision(path: Path) -> Json:
    """A written decision.

    Raises:
        UserError: it can't be read, is of another version, or lacks what a comment is made of.
    """
    try:
        found = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} can't be read as a decision ({error})", remedy="a decision.json of a report") from None
    if not isinstance(found, dict) or found.get("schema_version") != SCHEMA or "verdict" not in found:
        raise UserError(f"{path} is no decision of this version", remedy=AGAIN)
    if found["verdict"] not in get_args(Word):  # no policy would fail a word that it does not know
        raise UserError(f"{path}: verdict is none of {', '.join(get_args(Word))}", value=found["verdict"], remedy=AGAIN)
    try:  # all that is read of it, on both sides of a comparison
        comment(found, found, "")
        junit(found, "")
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        told = f"{type(error).__name__}: {str(error)[:100]}"
        raise UserError(f"{path} is damaged, or was altered ({told})", remedy=AGAIN) from None
    return found


def write_comment(now: Json, before: Json | None, fail_on: str, folder: Path) -> tuple[Path, str]:
    """Write `merge_request.md` and `junit.xml` into `folder`.

    Args:
        now: the decision.
        before: the one that it is held against; None = there is none.
        fail_on: policy, see `broken`.
        folder: of the two files.

    Returns:
        The path of the comment, and why the policy fails it; "" where it passes.

    Raises:
        UserError: an unknown policy, or one that needs a decision to hold against.
    """
    why = broken(now, before, fail_on)
    write_text(folder / COMMENT, comment(now, before, why))
    write_text(folder / JUNIT, junit(now, why))
    return folder / COMMENT, why


def broken(now: Json, before: Json | None, fail_on: str) -> str:
    """Why a policy fails a decision; "" where it passes.

    Args:
        now: the decision.
        before: the one that it is held against.
        fail_on: never; reject; conditional (and reject); changed: another file is recommended than before.
    """
    if fail_on not in POLICIES:
        raise UserError("fail_on is not known", value=fail_on, remedy=f"one of: {', '.join(POLICIES)}")
    if fail_on == "changed":
        if before is None:
            raise UserError("fail_on=changed needs a decision to hold against", remedy="against=OLD/decision.json")
        return "another file is recommended" if _file(now) != _file(before) else ""
    fails = {"never": (), "reject": ("reject",), "conditional": ("reject", "conditional")}[fail_on]
    return f"the verdict is {now['verdict']}" if now["verdict"] in fails else ""


def comment(now: Json, before: Json | None, why: str) -> str:
    """What a reviewer reads: the verdict, what ships, what changed, and what is asked for."""
    parts = [f"### detsweep: {escape(str(now['verdict']))} · {escape(str(now['sweep']))}"]
    if why:
        parts.append(f"**The policy fails this decision: {escape(why)}.**")
    parts.append(_ships(now, before))
    if _recommended(now):
        parts.append(_figures(now, before))
    parts += [escape(text) for text in _not_comparable(now, before)]
    if asked := [str(text) for text in now["conditions"]]:
        more = [f"… and {len(asked) - MOST} more in decision.md"] if len(asked) > MOST else []
        parts.append("\n".join(f"- {escape(text)}" for text in [*asked[:MOST], *more]))
    parts.append(f"Written again by {code('python -m src.report sweep=' + str(now['sweep']))}")
    return "\n\n".join(parts) + "\n"


def junit(now: Json, why: str) -> str:
    """The decision as a test suite: the verdict under the policy, and a case for every hard limit."""
    cases = list(_cases(now, why))
    suite = ElementTree.Element(
        "testsuite",
        name=f"detsweep {now['sweep']}",
        tests=str(len(cases)),
        failures=str(sum(bool(case.failed) for case in cases)),
        errors="0",
        skipped=str(sum(bool(case.skipped) for case in cases)),
    )
    for case in cases:
        node = ElementTree.SubElement(suite, "testcase", classname="decision", name=case.name)
        if case.failed:
            ElementTree.SubElement(node, "failure", message=case.failed)
        elif case.skipped:
            ElementTree.SubElement(node, "skipped", message=case.skipped)
    ElementTree.indent(suite)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suite, encoding="unicode")}\n'


def _cases(now: Json, why: str) -> Iterator[Case]:
    yield Case(f"verdict: {now['verdict']}", failed=why)
    for limit in now["constraints"]:
        name = f"{limit['name']} {limit['limit']} {limit['unit']}".strip()
        if limit["holds"] is None:
            yield Case(name, skipped="not established")
        else:
            yield Case(name, failed="" if limit["holds"] else f"{limit['metric']}: {limit['measured']}")


def _ships(now: Json, before: Json | None) -> str:
    ships = _shipped(now)
    if before is None:
        return f"Ships: **{ships}**"
    if _file(now) == _file(before) and ships == _shipped(before):
        return f"Ships the same file as before: **{ships}**"
    return f"Ships: **{ships}**; before: {_shipped(before)}"


def _shipped(decision: Json) -> str:
    """What may go out by a decision; of one that says no, the best of what was refused."""
    best = escape(_label(decision))
    if decision["verdict"] == "reject":
        return f"nothing ({best} is rejected)" if best else "nothing"
    return best or "nothing"


def _figures(now: Json, before: Json | None) -> str:
    heads = ["", "now [95 %]"] + (["before [95 %]"] if before is not None else [])
    rows = []
    for key, words, digits in FIGURES:
        statistic = str(now["latency_statistic"])
        cells = [_cell(side, key, digits) for side in (now, before) if side is not None]
        if any(cell != "—" for cell in cells):
            rows.append([words.format(statistic=statistic), *cells])
    return table(heads, rows)


def _cell(decision: Json, key: str, digits: int) -> str:
    found = _recommended(decision)
    name = f"latency_{decision['latency_statistic']}_ms" if key == "latency" else key
    value = found.get("metrics", {}).get(name)
    if value is None:
        return "—"
    interval = found.get("interval", {}).get(name)
    known = interval is not None and None not in interval
    spread = f" [{interval[0]:.{digits}f}; {interval[1]:.{digits}f}]" if known else ""
    return f"{value:.{digits}f}{spread}"


def _not_comparable(now: Json, before: Json | None) -> Iterator[str]:
    """Why figures of two decisions say nothing together; earlier versions don't tell."""
    if before is None:
        return
    for key, what, figures in (("datasets", "datasets", "accuracies"), ("machines", "machines", "latencies")):
        if now.get(key) != before.get(key) or not now.get(key):
            yield f"The two decisions are of different {what} (or one doesn't tell): don't compare their {figures}."


def _recommended(decision: Json) -> Json:
    """The candidate that is recommended, with its figures; empty where there is none."""
    chosen = decision["recommended"] or {}
    same = ("config_id", "format", "precision", "runtime")
    found: Json = next((c for c in decision["candidates"] if all(c[k] == chosen.get(k) for k in same)), {})
    return found


def _file(decision: Json) -> str | None:
    chosen = decision["recommended"] or {}
    return (chosen.get("artifact") or {}).get("sha256")


def _label(decision: Json) -> str:
    chosen = decision["recommended"]
    if not chosen:
        return ""
    trained = f"{chosen['model']} · {chosen['imgsz']} px · lr {chosen['lr']:.3g}"
    if chosen["format"] is None:
        return f"{trained} (no artifact was measured)"
    return f"{trained} · {chosen['format']}/{chosen['precision']} · {chosen['runtime']}"
