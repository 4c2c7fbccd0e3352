"""What every command shares: Hydra's command line, and errors that a user can read.

Hydra prints a traceback or a compact message and ends in 1 whatever went wrong. Here a wrong configuration ends in 2,
work that failed in 1 and an interruption in 130, told in a few lines; DETSWEEP_TRACEBACK=1 shows the traceback too.
"""

from __future__ import annotations

import logging
import os
import re
import select
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.wrong_types import refusal_of
from src.common.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, UserError, is_disk_full
from src.common.redaction import redact_text
from src.common.root import ROOT
from src.config.checks import check
from src.config.schema import AppConfig, register
from src.config.strictness import TARGETS, refuse_odd_numbers, refuse_unknown, refuse_unwritable
from src.config.unused_keys import refuse_unused
from src.machine.abilities import lacking, require_locks
from src.machine.environment import take_secret_words
from src.records.parsing import RecordError

T = TypeVar("T")
# Option of hydra/launcher -> the extra that brings it.
LAUNCHERS = {"joblib": "joblib", "ray": "ray", "ray_aws": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}
NAMES = ("replay", "sweep", "tracking.experiment", "decision.device")
NUMBER = re.compile(r"[0-9_]*\.?[0-9_]+([eE][+-]?[0-9_]+)?|inf|nan", re.IGNORECASE)
CONF = str(ROOT / "conf")
WRITTEN = ("outputs", "reports")  # keys of folders
MAX_LINES = 12  # of an error message: Hydra lists every option of a group


def main(task: Callable[[AppConfig], int | None]) -> None:
    """Run `task` as the Hydra application `conf/config.yaml` on the checked configuration, and exit with its code."""
    register()
    take_secret_words()

    def checked(cfg: AppConfig) -> int | None:
        if cfg.train.cache_folder:
            refuse_unwritable(**{"train.cache_folder": cfg.train.cache_folder})
        require_locks()
        check(cfg)
        refuse_unused([cfg])
        for sentence in lacking():
            logging.getLogger(__name__).warning("%s", sentence)
        return task(cfg)

    sys.exit(guarded(lambda: _run(checked, "config", AppConfig, CONF, WRITTEN)))


def application(
    task: Callable[[T], int | None],
    name: str,
    schema: type[T],
    groups: dict[str, str] | None = None,
    writes: Collection[str] = WRITTEN,
) -> None:
    """Run `task` as the Hydra application `python -m src.<name>` and exit with its code (None counts as 0).

    Args:
        task: gets the configuration as an object of `schema`.
        name: module of the command below `src`.
        schema: dataclass that holds every key with its type and default; no YAML file repeats it.
        groups: options of the groups of `conf/` that it begins with, by group. Without any it doesn't see those groups,
            as a key named like a group would be a choice of that group: `model=NAME` of `src.promote` is a name.
        writes: keys of folders that are written to, where the schema has them.
    """
    store = ConfigStore.instance()
    store.store(name=f"{name}_schema", node=schema, provider="detsweep", replace=True)
    store.store(name=name, node=_primary(name, groups or {}), provider="detsweep", replace=True)
    sys.exit(guarded(lambda: _run(task, name, schema, CONF if groups else None, writes)))


def _primary(name: str, groups: dict[str, str]) -> dict[str, Any]:
    """What Hydra starts from: the schema, the groups, and settings that leave no file or folder of Hydra's own."""
    chosen = [{group: option} for group, option in groups.items()]
    return {
        "defaults": [f"{name}_schema", *chosen, {"override hydra/job_logging": "stdout"}, "_self_"],
        "hydra": {
            "output_subdir": None,
            "hydra_logging": {"formatters": {"simple": {"format": "%(message)s"}}},
            "run": {"dir": "."},
            "job": {"chdir": False, "name": name},
            "help": {"app_name": f"python -m src.{name}"},
        },
    }


def _run(
    task: Callable[[T], int | None], config_name: str, schema: type[T], folder: str | None, writes: Collection[str]
) -> int | None:
    typed = _composed(config_name, schema, folder)
    if typed is None:
        return EXIT_OK
    refuse_unwritable(**{key: str(value) for key in writes if (value := getattr(typed, key, None))})
    return task(typed)


def as_name(word: str) -> str:
    """A word that gives a name, quoted where Hydra would read a number: the run id 148e400647 is not infinite."""
    key, _, value = word.partition("=")
    return f"{key}='{value}'" if key in NAMES and NUMBER.fullmatch(value) else word


def refuse_empty(words: Sequence[str]) -> None:
    """Refuse a key without a value: `source=$FOLDER` of a variable that isn't set would mean the folder one is in.

    Raises:
        UserError: naming the key.
    """
    for word in words:
        key, equals, value = word.partition("=")
        if equals and value in ("", "''", '""') and not key.startswith(("-", "~")):
            remedy = f"{key}=VALUE (is a variable of the shell not set?), or leave it out"
            raise UserError(f"{key} has no value", value=word, remedy=remedy)


def quote_paths(keys: Collection[str]) -> None:
    """Quote the values of these keys on the command line.

    In a path or an address brackets and equals signs stand for themselves; to Hydra they mean something.
    """
    sys.argv[1:] = [_quoted(word, keys) for word in sys.argv[1:]]


def _quoted(word: str, keys: Collection[str]) -> str:
    key, equals, value = word.partition("=")
    if key not in keys or not equals or value[:1] in ("'", '"') or value in ("", "null"):
        return word
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{escaped}'"


def _composed(config_name: str, schema: type[T], folder: str | None) -> T | None:
    """The configuration that the command line composes; None where Hydra did all there was to do.

    Raises:
        UserError: it can't be composed, or holds a key or number that makes no sense.
    """
    jobs: list[DictConfig] = []
    # Hydra must raise instead of printing, so that the exit code is ours.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    _begun.clear()
    refuse_empty(sys.argv[1:])
    sys.argv[1:] = map(as_name, sys.argv[1:])
    try:
        hydra.main(config_path=folder, config_name=config_name, execution_whitelist=TARGETS)(jobs.append)()
    except (UserError, RecordError, HydraException, OmegaConfBaseException) as error:
        if refusal := refusal_of(error, schema):
            raise refusal from None
        raise
    except Exception as error:
        if _begun:
            raise
        for word in sys.argv[1:]:
            key, _, value = word.partition("=")
            if value == "null" and folder is not None and (Path(folder) / key).is_dir():
                raise UserError(
                    f"{key} names a file of conf/{key}/, and null is none", value=word, remedy="--help lists them"
                ) from None
        # Hydra and its parser fail in ways of their own on some words (null for a group, a number of 20,000 digits).
        reason = (str(error).splitlines() or [""])[0][:200]
        raise UserError(f"the configuration can't be composed ({reason or type(error).__name__})") from None
    # The job runs here and not inside Hydra, which would print a line of its own about every error. A sweep has run
    # inside Hydra by now, and --help and --cfg have shown what they show: they leave no job.
    if not jobs:
        return None
    if missing := sorted(OmegaConf.missing_keys(jobs[0])):
        raise UserError(f"{missing[0]} is not set", remedy=f"{missing[0]}=…")
    refuse_unknown(jobs[0], schema)
    typed = OmegaConf.to_object(jobs[0])
    assert isinstance(typed, schema)
    refuse_odd_numbers(typed)
    return typed


_begun: list[bool] = []


def begin() -> None:
    """A sweep begins its work inside Hydra: what goes wrong from here on is no fault of the words."""
    _begun.append(True)


def guarded(work: Callable[[], int | None]) -> int:
    """Run `work`, tell what went wrong on stderr, and return the exit code of the contract."""
    signal.signal(signal.SIGTERM, _interrupt)
    logging.raiseExceptions = False  # a log file on a full disk would end in a traceback for every line
    try:
        return _unless_full(work) or EXIT_OK
    except (UserError, RecordError, HydraException, OmegaConfBaseException) as error:
        _tell(_message(error), error)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("\ninterrupted: what was finished is saved; the same command goes on from there", file=sys.stderr)
        return EXIT_INTERRUPTED
    except SystemExit as stop:  # --help and --cfg end this way; argparse ends in 2
        return stop.code if isinstance(stop.code, int) else EXIT_OK if stop.code is None else EXIT_FAILED
    except Exception as error:
        if not (isinstance(error, BrokenPipeError) and _reader_left()):
            _tell(f"{type(error).__name__}: {error}\n  DETSWEEP_TRACEBACK=1 shows where", error)
        return EXIT_FAILED


def _reader_left() -> bool:
    """Whether nobody reads the output any more, as after `… | head`: no error that a user must read.

    Python would complain once more when it flushes the rest at its end, so that this goes nowhere.
    """
    try:
        output = sys.stdout.fileno()
        watch = select.poll()
        watch.register(output, 0)  # errors are always told
        left = any(event & select.POLLERR for _, event in watch.poll(0))
    except (OSError, ValueError, AttributeError):  # no real file, or a system without `poll`
        return False
    if left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return left


def _unless_full(work: Callable[[], int | None]) -> int | None:
    try:
        return work()
    except Exception as error:
        if not is_disk_full(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        _tell(
            f"the disk is full: {reason}\n  what was finished is saved; with some room, the same command goes on", error
        )
        return EXIT_FAILED


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _message(error: BaseException) -> str:
    """The error with its cause, without repetition."""
    lines = str(error).splitlines()
    cause = error.__cause__
    if cause is not None and str(cause) not in str(error):
        lines += str(cause).splitlines()
    lines = [line.rstrip() for line in lines if line.strip() and not line.strip().startswith("object_type=")]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"  … ({len(lines) - MAX_LINES + 1} more lines)"]
    if isinstance(error, MissingConfigException) and (remedy := remedy_of(error.missing_cfg_file or "")):
        lines.append(f"  remedy: {remedy}")
    return "\n".join(lines)


def remedy_of(option: str) -> str:
    """How to get a launcher whose package is missing; "" where nothing is known to help."""
    group, _, name = option.rpartition("/")
    return f"make setup EXTRAS={LAUNCHERS[name]}" if group == "hydra/launcher" and name in LAUNCHERS else ""


def _tell(message: str, error: BaseException) -> None:
    if os.environ.get("DETSWEEP_TRACEBACK") == "1":
        traceback.print_exception(error)
    print(f"error: {redact_text(message)}", file=sys.stderr)
