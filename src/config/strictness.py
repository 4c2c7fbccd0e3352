"""What the typed schema alone lets through: keys added with `+`, numbers that are none, folders that can't be written.

A word such as `+epoch=3` is legal to Hydra and reaches nothing, so a misspelt key would be lost in silence. The same
door lets a study bring `_target_`, which names code: Hydra instantiates nothing here but what `TARGETS` lists.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from src.common.errors import UserError

# All that a configuration may name as code: Hydra's own parts, its launchers, and the samplers a study chooses from.
TARGETS = (
    "hydra._internal.*",
    "hydra_plugins.hydra_joblib_launcher.*",
    "hydra_plugins.hydra_optuna_sweeper.*",
    "hydra_plugins.hydra_ray_launcher.*",
    "hydra_plugins.hydra_submitit_launcher.*",
    "optuna.samplers.*",
    "src.sweep_plugin.DetsweepSweeper",
)


def refuse_unknown(cfg: DictConfig, schema: type) -> None:
    """Refuse keys that the schema does not have.

    Raises:
        UserError: naming the first one.
    """
    for key in _unknown(cfg, schema, ""):
        raise UserError("this key does not exist", value=key, remedy="--cfg job shows every key")


def _unknown(cfg: Any, schema: type, prefix: str) -> list[str]:
    fields = {field.name: field for field in dataclasses.fields(schema)}
    found = [f"{prefix}{key}" for key in cfg if key not in fields and not (key == "hydra" and not prefix)]
    for key in cfg:
        node = cfg._get_node(key)
        inner = node._metadata.object_type if isinstance(node, DictConfig) else None
        if key in fields and inner is not None and dataclasses.is_dataclass(inner):
            found += _unknown(node, inner, f"{prefix}{key}.")
    return found


def refuse_odd_numbers(cfg: Any, prefix: str = "") -> None:
    """Refuse NaN and infinities anywhere in a typed configuration: no key means something by them.

    Raises:
        UserError: naming the first one.
    """
    for field in dataclasses.fields(cfg):
        value, key = getattr(cfg, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            refuse_odd_numbers(value, f"{key}.")
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                raise UserError(f"{key} must be a finite number", value=number, remedy=_finite(key, cfg, field.name))


def _finite(key: str, cfg: Any, name: str) -> str:
    """A value that works: the default, where that is a number."""
    default = getattr(type(cfg), name, None)
    return f"for example {key}={default:g}, the default" if isinstance(default, float) else f"a plain number for {key}"


def refuse_unwritable(**places: str) -> None:
    """Refuse a folder that can't be made or written, before anything is computed for it.

    Raises:
        UserError: naming the key and the reason.
    """
    for key, value in places.items():
        path = Path(value).absolute()
        made: list[Path] = []
        try:
            for folder in [*reversed(path.parents), path]:
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    made.append(folder)
            if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(0, "not a folder that can be written")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{key} can't be used ({reason})", value=value, remedy=f"{key}=FOLDER") from None
        finally:
            _unmake(made)


def refuse_unwritable_file(**places: str) -> None:
    """Refuse a file that can't be written, before anything is computed for it.

    Raises:
        UserError: naming the key and the reason.
    """
    for key, value in places.items():
        path = Path(value).absolute()
        try:
            refuse_unwritable(**{key: str(path.parent)})
        except UserError as error:
            raise UserError(error.what, value=value, remedy=f"{key}=FILE") from None
        if path.exists() and not path.is_file():
            raise UserError(f"{key} can't be used (it is no file)", value=value, remedy=f"{key}=FILE")


def _unmake(made: list[Path]) -> None:
    """A refused command leaves no folder behind."""
    for folder in reversed(made):
        try:
            folder.rmdir()
        except OSError:  # another process has begun to use it
            return


def refuse_twice(key: str, values: Sequence[Any]) -> None:
    """Refuse a list that holds a thing twice: the second one does nothing.

    Raises:
        UserError: naming the first that is there again.
    """
    for i, value in enumerate(values):
        if value in values[:i]:
            once = list(dict.fromkeys(values))
            raise UserError(
                f"{key} holds {value} twice", value=list(values), remedy=f"{key}=[{','.join(map(str, once))}]"
            )


def one_of(key: str, values: list[str], known: list[str]) -> None:
    """Refuse words of a key that are not known.

    Raises:
        UserError: naming the first that is not, and those that are.
    """
    for value in values:
        if value not in known:
            raise UserError(f"{key} holds an unknown value", value=value, remedy=f"one of: {', '.join(known)}")
