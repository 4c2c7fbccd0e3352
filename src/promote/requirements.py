"""The packages that a served model needs: those of the runtime it was measured on, not of its file's format.

One ONNX file may be chosen on ONNX Runtime or on OpenVINO, and each needs nothing of the other.
"""

from __future__ import annotations

import logging
from importlib.metadata import PackageNotFoundError, version

from src.common.backends import Names, engine_facts
from src.models.base import family
from src.records.schema import Artifact

log = logging.getLogger(__name__)

OPENCV: Names = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
ALWAYS: tuple[Names, ...] = (("mlflow",), ("numpy",), ("pandas",), OPENCV)


def requirements(runtime: str, artifact: Artifact) -> list[str]:
    """Packages that a model file on `runtime` needs to be loaded and to predict, at the versions of now.

    A checkpoint needs its family's library too; an exported file does not.

    Raises:
        KeyError: there is no such runtime.
    """
    found = []
    own = family(artifact.family).packages if artifact.format == "pytorch" else ()
    for names in (*ALWAYS, *engine_facts(runtime).packages, *((name,) for name in own)):
        pinned = next((f"{name}=={installed}" for name in names if (installed := installed_version(name))), None)
        if pinned is None:
            log.warning("%s is not installed here, so the model's requirements leave it out", names[0])
        else:
            found.append(pinned)
    return found


def installed_version(name: str) -> str | None:
    """Public part of the version installed here (`2.14.1+cpu` is on no index); None where there is none."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None
