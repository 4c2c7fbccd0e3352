"""What a check leaves behind: `check.md` and `check.json` beside the prepared dataset, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from src.common.whole_files import write_text
from src.data.layout import load_index
from src.data.samples import read_split
from src.data.types import SPLITS, Finding, no_classes

SHOWN = 20  # findings of one kind that are printed; check.md lists all


def write_report(base: Path) -> list[Path]:
    """Write `check.md` and `check.json` of a prepared folder, where they aren't there yet."""
    files = [base / "check.md", base / "check.json"]
    if not all(file.is_file() for file in files):
        index = load_index(base)
        findings = [Finding(**row) for row in index["findings"]]
        summary = summarise_folder(base, index)
        title, _, *lines = describe(summary)
        write_text(files[0], _as_markdown(title, [*lines, "", *list_findings(findings, shown=None)]))
        write_text(files[1], json.dumps({**summary, "findings": index["findings"]}, indent=1, sort_keys=True) + "\n")
    return files


def read_summary(base: Path) -> dict[str, Any]:
    """The figures of a prepared folder's check."""
    summary: dict[str, Any] = json.loads((base / "check.json").read_bytes())
    return summary


def write_failure(findings: Sequence[Finding], name: str, folder: Path) -> Path:
    """Write every finding of a dataset that did not pass."""
    file = folder / f"failed-{name}.md"
    write_text(file, _as_markdown("# Dataset check: errors", list_findings(findings, shown=None)))
    write_text(file.with_suffix(".json"), json.dumps([asdict(f) for f in findings], indent=1) + "\n")
    return file


def _as_markdown(title: str, lines: Sequence[str]) -> str:
    """Lines of columns as a page: outside a code block a viewer would run them together, and read names as Markdown."""
    return "\n".join([title, "", "````text", *lines, "````"]) + "\n"


def summarise_folder(base: Path, index: dict[str, Any]) -> dict[str, Any]:
    """The figures of a check as plain data."""
    total = len(index["class_names"])
    counts = {}
    for split in SPLITS:
        labels = np.concatenate([no_classes(), *(s.classes for s in read_split(base, split))])
        counts[split] = np.bincount(labels, minlength=total).tolist()
    return {
        "name": index["name"],
        "origin": index["notes"]["origin"],
        "fingerprint": index["fingerprint"],
        "label_fingerprint": index["notes"]["label_fingerprint"],
        "split_fingerprints": index["split_fingerprints"],
        "images": {split: len(index["splits"][split]) for split in SPLITS},
        "calibration": len(index["calibration"]),
        "class_names": index["class_names"],
        "boxes": counts,
        "resolvable_map_difference": index["notes"]["resolvable"],
        "left_out": index["notes"]["skipped"],
        "errors": sum(row["level"] == "error" for row in index["findings"]),
        "warnings": sum(row["level"] == "warning" for row in index["findings"]),
    }


def describe(summary: dict[str, Any]) -> list[str]:
    """The figures of a check as lines of text."""
    sizes, boxes = summary["images"], summary["boxes"]
    lines = [f"# Dataset check: {summary['name']}", "", f"source       {summary['origin']}"]
    lines.append(f"fingerprint  {summary['fingerprint']}")
    lines += [f"{split:<13}{sizes[split]} images, {sum(boxes[split])} boxes" for split in SPLITS]
    lines.append(f"calibration  {summary['calibration']} images, a part of train")
    lines.append(f"classes      {len(summary['class_names'])}")
    for split, value in summary["resolvable_map_difference"].items():
        lines.append(f"{split + ' tells':<13}mAP differences of {value:.3f} or more from chance (95 %, rule of thumb)")
    lines.append(f"findings     {summary['errors']} errors, {summary['warnings']} warnings")
    lines.append(f"left out     {len(summary['left_out'])} images")
    return lines


def list_findings(findings: Sequence[Finding], shown: int | None = SHOWN) -> list[str]:
    """Findings grouped by level and kind, errors first; `shown` limits each group."""
    lines: list[str] = []
    for level in ("error", "warning"):
        groups: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding.level == level:
                groups.setdefault(finding.code, []).append(finding)
        for code, group in groups.items():
            lines.append(f"{level}: {code} ({len(group)})")
            lines += [f"  {finding}" for finding in group[:shown]]
            if shown is not None and len(group) > shown:
                lines.append(f"  … and {len(group) - shown} more")
    return lines
