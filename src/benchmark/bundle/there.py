"""What the remote path does on a device beside running the bundle: looks what is there, and puts sent files in place.

It goes to the device as text, through the standard input of its Python, with the data in front as `ASKED`: nothing
passes through a shell there. It must be understood by any Python 3, if only to say that it is too old.
"""

import hashlib
import importlib.util
import json
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any


def look(asked: Any) -> Any:
    """Which files are missing, how much room there is, and what Python this is."""
    folder = Path(asked["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "sent").exists():  # what an earlier try left takes room
        (folder / "sent").unlink()
    return {
        "python": list(sys.version_info[:3]),
        "numpy": importlib.util.find_spec("numpy") is not None,
        "venv": (folder / "venv" / "bin" / "python").exists(),
        "free": shutil.disk_usage(str(folder)).free,
        "missing": [name for name, digest in sorted(asked["files"].items()) if sha256(folder / name) != digest],
    }


def place(asked: Any) -> Any:
    """Move a sent file to its place, or unpack a sent archive there; tells what is not as it was sent."""
    folder, files = Path(asked["folder"]), asked["files"]
    sent = folder / "sent"
    if asked["name"]:
        target = folder / asked["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        sent.replace(target)
    else:
        with tarfile.open(str(sent)) as archive:
            for item in archive:
                if item.name in files and item.isfile():
                    archive.extract(item, str(folder))
        sent.unlink()
    return {"wrong": [name for name, digest in files.items() if sha256(folder / name) != digest]}


def sha256(path: Path) -> str:
    """Hash of a file; "" where there is none."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            for part in iter(lambda: stream.read(1 << 20), b""):
                digest.update(part)
    except OSError:
        return ""
    return digest.hexdigest()


if "ASKED" in globals():
    wanted = json.loads(globals()["ASKED"])
    print("\n" + json.dumps({"look": look, "place": place}[wanted["do"]](wanted)))
