"""`python -m src.benchmark import results=FILE sweep=NAME device=NAME`: what a device found becomes part of the sweep.

Nothing that a device says is taken over but raw samples and boxes. Percentiles, intervals and ratios are made of the
samples here, by the code that a sweep's own measurements go through; accuracy is judged here too, from the boxes and
the sweep's saved ground truth. Results of another bundle, of other files or with altered figures are refused.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from src.benchmark.bundle.checked import cleaned
from src.benchmark.bundle.judge import Judge
from src.benchmark.bundle.plan import Plan, from_text, sha256_of
from src.benchmark.bundle.results import Results, load_results
from src.common.errors import UserError
from src.common.whole_files import read_regular, whole_folder
from src.config.devices import OWN, is_processor
from src.decide.load import Saved
from src.decide.plausible import check_finalist
from src.records.schema import DeviceRecord
from src.records.store import save
from src.records.sweep_folder import SweepFolder, is_name

OWN_WORDS = (OWN, "any", "auto")  # `decision.device` takes them for something else


def import_results(saved: Saved, file: Path, device: str, *, replace_old: bool = False) -> DeviceRecord:
    """Check results, judge them, and keep them as a device of the sweep.

    Raises:
        UserError: they are altered, malformed, or of another protocol, bundle or sweep; or the device has some already.
    """
    place = SweepFolder(saved.folder)
    check_name(device, place, replace_old)
    found, checksum = load_results(file)
    results = cleaned(found, file)
    plan = plan_of(results, place, file)
    with whole_folder(place.device(device)) as aside:
        aside.mkdir()
        judge = Judge(saved, plan, results, file, aside, f"{place.devices.name}/{device}")
        record = judge.record(device, checksum)
        check_finalist(record, file)  # as whoever loads the sweep does
        save(aside / place.device_record(device).name, record)
        if replace_old and place.device(device).exists():
            shutil.rmtree(place.device(device))  # the new one is whole by now
    return record


def check_name(device: str, place: SweepFolder, replace_old: bool) -> None:
    """Refuse what is no name for a device, or is one already.

    Raises:
        UserError: naming the value and the remedy.
    """
    if not is_name(device) or device in OWN_WORDS or is_processor(device):
        raise UserError(
            "device must be a plain name (letters, digits, '.', '_', '-'), and none that stands for a processor or for "
            "the sweep's own machine",
            value=device,
            remedy="for example device=pi5",
        )
    if place.device(device).exists() and not replace_old:
        raise UserError(
            "the sweep has measurements of a device of this name",
            value=device,
            remedy="another device=NAME, or replace=true",
        )


def plan_of(results: Results, place: SweepFolder, file: Path) -> Plan:
    """The plan that the results were measured by, as this sweep kept it when it packed the bundle.

    Raises:
        UserError: the sweep packed no such bundle.
    """
    kept = place.bundle(results.bundle_sha256) if re.fullmatch("[0-9a-f]{64}", results.bundle_sha256) else None
    if kept is None or not kept.is_file() or results.sweep != place.path.name:
        raise UserError(
            f"the results are of a bundle that sweep {place.path.name} did not pack",
            value=f"{file}: sweep {results.sweep}, bundle {results.bundle_sha256[:12]}",
            remedy="sweep=NAME of the sweep that packed it",
        )
    text = read_regular(kept).decode("utf-8")
    if sha256_of(text) != results.bundle_sha256:
        raise UserError(
            "the sweep's copy of the plan was altered", value=kept, remedy="copy plan.json of the bundle there"
        )
    return from_text(text, str(kept))
