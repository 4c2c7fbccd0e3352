"""Bill of materials from the lock files, as CycloneDX 1.6 JSON, and what is wrong with the lock files themselves.

python requirements/sbom.py [FILE]     write the bill (default: sbom.cdx.json)

Nothing but the standard library is imported and nothing is asked of the network: the lock files hold all there
is to say. The same lock files give the same bytes.

No tool at hand says the same: cyclonedx-py (7.5) reads one requirements file at a time, so a package of several lock
files is never one component, lists the alternative files' hashes as those of one, and names an index; uv exports the
format from a uv.lock only, which is not how these files are made.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<extras>\[[^\]]+\])?==(?P<version>[^\s;\\]+)(?P<marker>\s*;[^\\]*)?"
)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")
LICENCES = {  # SPDX, of the families of detectors, which are named after their packages
    "ultralytics": "AGPL-3.0",
    "torchvision": "BSD-3-Clause",
    "transformers": "Apache-2.0",
}
# Any option but a hash, and any address: a lock file says what is installed, never from where.
ADDRESS = re.compile(r"--(?!hash=)\S|\S://|git\+|file:|@\s*\S+://", re.IGNORECASE)


@dataclass
class Package:
    """One pinned package of a lock file."""

    name: str
    version: str
    hashes: list[str] = field(default_factory=list)  # sha256 of the files that may be installed
    marker: str = ""  # environments that it is meant for
    files: list[str] = field(default_factory=list)  # lock files that pin it


def read_lock(path: Path) -> list[Package]:
    """The packages of a lock file.

    Raises:
        ValueError: a line that is no pinned package with hashes.
    """
    found = []
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        line = line.partition(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        pinned = PINNED.match(line)
        hashes = HASH.findall(line)
        if pinned is None or not hashes or ADDRESS.search(line):
            raise ValueError(f"{path.name}: no pinned package with hashes, or an address: {line[:80]}")
        marker = (pinned["marker"] or "").split("--hash")[0].strip(" ;")
        found.append(Package(pinned["name"].lower(), pinned["version"], sorted(set(hashes)), marker, [path.name]))
    return found


def read_all(folder: Path = HERE) -> list[Package]:
    """Every package of every lock file once, sorted; one that several pin alike names all of them."""
    merged: dict[tuple[str, str], Package] = {}
    for path in sorted(folder.glob("*.txt")):
        for package in read_lock(path):
            known = merged.setdefault((package.name, package.version), package)
            if known is not package:
                known.files = sorted({*known.files, *package.files})
                known.hashes = sorted({*known.hashes, *package.hashes})
    return [merged[key] for key in sorted(merged)]


def bill(packages: list[Package]) -> dict[str, Any]:
    """The bill of materials."""
    components = [*(_component(p) for p in packages), *models()]
    digest = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "detsweep", "bom-ref": "detsweep"}},
        "components": components,
        "dependencies": [{"ref": "detsweep", "dependsOn": [c["bom-ref"] for c in components]}],
    }


def _component(package: Package) -> dict[str, Any]:
    purl = f"pkg:pypi/{package.name.replace('_', '-').replace('.', '-')}@{package.version}"
    properties = [{"name": "detsweep:lock", "value": name} for name in package.files]
    if package.marker:
        properties.append({"name": "detsweep:marker", "value": package.marker})
    # Which of the files is installed depends on the machine, so the hashes are alternatives, not hashes of one thing.
    properties += [{"name": "detsweep:sha256", "value": value} for value in package.hashes]
    licence = LICENCES.get(package.name)
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        **({"licenses": [{"license": {"id": licence}}]} if licence else {}),
        "purl": purl,
        "properties": properties,
    }


def models(folder: Path = HERE.parent / "conf" / "model") -> list[dict[str, Any]]:
    """The detectors that can be trained, with the licence of their code and of what is trained with it."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        said = dict(re.findall(r"^(name|family|licence): *([^\s#]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        own = said.get("family", "ultralytics")
        licences = dict.fromkeys([LICENCES[own], said.get("licence", LICENCES[own])])
        found.append(
            {
                "type": "machine-learning-model",
                "bom-ref": f"model:{said['name']}",
                "name": said["name"],
                "licenses": [{"license": _said(licence)} for licence in licences],
                "properties": [{"name": "detsweep:family", "value": own}],
            }
        )
    return found


def _said(licence: str) -> dict[str, str]:
    """A licence as the format wants it: `id` is for those of SPDX's list alone."""
    return {"name" if licence.startswith("LicenseRef-") else "id": licence}


def main(words: list[str]) -> int:
    """Write the bill."""
    target = Path(words[0] if words else "sbom.cdx.json")
    packages = read_all()
    target.write_text(json.dumps(bill(packages), indent=1) + "\n", encoding="utf-8")
    locks = len(list(HERE.glob("*.txt")))
    print(f"{len(packages)} packages of {locks} lock files, {len(models())} detectors: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
