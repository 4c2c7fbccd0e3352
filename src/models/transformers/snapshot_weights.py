"""Weights of a snapshot folder for a network of this program's: renamed by transformers, positions in the input's size.

Older files have other names than the library's networks of today; `from_pretrained` renames them, given the tensors
themselves, so that it looks for no file and asks no hub. Learned positions are brought to the size of the input once,
by the library's own interpolation, which it would else do for every image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.hashes import sha256_file
from src.models.transformers.library import library, quietly
from src.models.transformers.published import CLASSES, config_of, parsed
from src.models.transformers.snapshot import CONFIG, IMAGES, WEIGHTS, check_weights
from src.models.transformers.timm_names import backbone_of_timm, renamed

OURS = "network."  # of the library's network inside this family's


def snapshot_weights(folder: Path, architecture: str, classes: int, imgsz: int) -> dict[str, Any]:
    """Tensors by their names in the family's network, those that fit `classes` classes and inputs of `imgsz` px.

    Raises:
        UserError: the file is damaged, or holds numbers that are none.
    """
    import torch

    of = parsed(architecture)
    given = _read(folder)
    if backbone_of_timm(of.config):
        given = renamed(given)
    kind = getattr(library(), CLASSES[of.kind])
    with quietly(), torch.random.fork_rng(devices=[]):
        try:
            model, said = kind.from_pretrained(
                None,
                config=config_of(of, classes),
                state_dict=given,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = (str(error).strip().splitlines() or [""])[0][:120]
            raise UserError(f"{WEIGHTS} does not fit its own config.json ({reason})", value=folder) from None
    state = model.state_dict()
    anew = {*said["missing_keys"], *(name for name, *_ in said["mismatched_keys"])}
    places = {state[name].data_ptr() for name in anew if name in state and state[name].numel()}  # heads may share one
    kept = {n: v for n, v in state.items() if n not in anew and v.data_ptr() not in places}
    return {f"{OURS}{name}": value for name, value in {**kept, **_positions(model, of.kind, kept, imgsz)}.items()}


def _read(folder: Path) -> dict[str, Any]:
    """Tensors of the file, float32 where they are fractions."""
    import torch
    from safetensors.torch import load_file

    check_weights(folder)
    given: dict[str, Any] = load_file(folder / WEIGHTS)
    broken = [n for n, v in given.items() if v.is_floating_point() and not torch.isfinite(v.float()).all()]
    if broken:
        raise UserError(
            f"{WEIGHTS} holds numbers that are not finite ({broken[0][:80]})",
            value=folder,
            remedy="copy it again",
        )
    return given


def _positions(model: Any, kind: str, kept: dict[str, Any], imgsz: int) -> dict[str, Any]:
    """Learned positions for square inputs of `imgsz` px, by their names."""
    import torch

    made: dict[str, Any] = {}
    with torch.no_grad():
        for name in (name for name in kept if name.endswith("position_embeddings")):
            owner = model.get_submodule(name.rpartition(".")[0])
            if kind == "yolos" and name.endswith("mid_position_embeddings"):
                made[name] = owner((imgsz, imgsz))
            elif kind == "yolos":
                made[name] = owner.interpolation(kept[name], (imgsz, imgsz))
            elif kind == "rf_detr":
                tokens = 1 + (imgsz // owner.patch_size) ** 2
                like = kept[name].new_zeros(1, tokens, kept[name].shape[-1])
                made[name] = owner.interpolate_pos_encoding(like, imgsz, imgsz)
    return made


def snapshot_hash(folder: Path) -> str:
    """Hashes of everything in a folder that decides a training."""
    files = {name: sha256_file(folder / name) for name in (CONFIG, WEIGHTS, IMAGES) if (folder / name).is_file()}
    return json.dumps(files, sort_keys=True)
