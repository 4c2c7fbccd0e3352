"""What an exporter is asked to do and what it hands back; the seam between the room and its format modules.

A format module has `FORMAT` (its facts, see `src.common.backends`), `tool_versions()` and `build(job, folder)`, which
writes into `folder` and returns a `Built`. It may have `check_available()`, for what the facts can't say (raises
`Unavailable`), and `read(path, trust)`, which tells what a file of another maker is: see
`src.benchmark.file_metadata`.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from src.common.errors import UserError
from src.config.schema import ExportConfig
from src.export.calibration import chosen
from src.export.rewrite import rewritten
from src.models.base import ExportSource, family
from src.records.model_io import Input, Output
from src.records.schema import Artifact, Checkpoint


@dataclass(frozen=True)
class Job:
    """One artifact to make."""

    checkpoint: Checkpoint
    format: str
    precision: str
    cfg: ExportConfig
    calibration: tuple[str, ...]  # image files
    trust: bool
    out_dir: Path  # holds the artifacts of this checkpoint: some formats are made from another one

    @property
    def label(self) -> str:
        """`format/precision`."""
        return f"{self.format}/{self.precision}"

    def source(self) -> ExportSource:
        """The checkpoint's network, as its family prepares it for this format."""
        found = family(self.checkpoint.family).export_source(self.checkpoint, trust=self.trust, fmt=self.format)
        return found if self.format == "pytorch" else rewritten(found, self.cfg.rewrite)

    @property
    def folder(self) -> Path:
        """Where the artifact lies, with its manifest; a file with layers that stay float has a folder of its own."""
        mixed = f"-keep{len(self.kept)}" if self.kept else ""
        return self.out_dir / f"{self.format}-{self.precision}{mixed}"

    @property
    def kept(self) -> tuple[str, ...]:
        """Layers of a static INT8 file that stay float. `auto` begins with none: who judges the file names them."""
        keep = self.cfg.int8.keep
        return tuple(keep) if self.uses_calibration and isinstance(keep, (list, tuple)) else ()

    def base(self, target: str) -> Artifact:
        """Another artifact of the same checkpoint that this one is made from; made now if it isn't there."""
        from src.export import export  # the dispatcher imports this module

        return export(self.checkpoint, target, self.out_dir, self.cfg, calibration=self.calibration, trust=self.trust)

    @property
    def uses_calibration(self) -> bool:
        """Whether the images decide the artifact."""
        return self.precision == "int8"

    def calibration_images(self) -> Sequence[str]:
        """The images to calibrate on, evenly chosen when there are many.

        Raises:
            UserError: there are none.
        """
        if not self.calibration:
            raise UserError(
                "static quantisation needs calibration images",
                value=self.label,
                remedy="use a dataset with a training split of at least one image, or leave int8 out of export.targets",
            )
        return chosen(self.calibration, self.format, self.cfg)


@dataclass(frozen=True)
class Built:
    """What an exporter wrote."""

    path: Path  # file, or folder for formats of several files
    input: Input
    output: Output
    facts: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)  # of the classes; the index is the class id


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Converters tell their whole story on standard output and error; what matters reaches us as exceptions."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        out, err = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
        with warnings.catch_warnings(), out, err:
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def versions(*packages: str) -> dict[str, str]:
    """Installed versions, for the manifest."""
    return {package: importlib.metadata.version(package) for package in packages}
