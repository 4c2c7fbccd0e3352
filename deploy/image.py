"""`python -m deploy.image`: the service's image, built where neither Docker nor a registry of images can be had.

Debian's debootstrap makes the base that `python:3.11-slim` is elsewhere, and buildah builds `deploy/Dockerfile` on it,
without a daemon: in a chroot, as root. Packages come from the package index as usual. Everything lies in one folder,
and the image is called `detsweep-serve` there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.cli.command import guarded
from src.common.errors import EXIT_OK, StageError, UserError
from src.common.root import ROOT

BASE, IMAGE = "docker.io/library/python:3.11-slim", "localhost/detsweep-serve"
SUITE, PACKAGES = "bookworm", "python3,python3-pip,python3-venv,ca-certificates"
LINKS = {"usr/bin/python": "python3"}  # as the official image has it
MANAGED = "usr/lib/python3.11/EXTERNALLY-MANAGED"  # Debian's pip would refuse to install
CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT")  # of an index behind a proxy of one's own
TIMEOUT_S = 1200


def missing() -> str | None:
    """Why no image can be built here; None where one can."""
    for program in ("buildah", "debootstrap"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None if os.geteuid() == 0 else "only root can make the base"


@dataclass(frozen=True)
class Buildah:
    """Buildah with storage in a folder of its own.

    Attributes:
        folder: for the storage.
    """

    folder: Path

    def command(self, *words: object) -> list[str]:
        """A command of it."""
        places = ["--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]
        return ["buildah", *places, "--storage-driver", "vfs", *map(str, words)]

    def run(self, *words: object) -> str:
        """Run a command; returns what it prints.

        Raises:
            StageError: it fails.
        """
        return checked(f"buildah {words[0]}", self.command(*words))

    def inside(self, container: str, *words: str) -> list[str]:
        """A command in a container, as the image's user, on this machine's network."""
        return self.command("run", "--isolation", "chroot", container, "--", *words)


def checked(name: str, command: Sequence[str]) -> str:
    """Run a program; returns what it prints.

    Raises:
        StageError: it fails; the message has the end of its output.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise StageError("image", name, (done.stderr or done.stdout).strip()[-800:])
    return done.stdout.strip()


def make_base(buildah: Buildah) -> None:
    """The image that the Dockerfile begins with, from Debian's packages."""
    root = buildah.folder / "debian"
    checked("debootstrap", ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)])
    (root / MANAGED).unlink(missing_ok=True)
    for link, target in LINKS.items():
        (root / link).symlink_to(target)
    archive = buildah.folder / "debian.tar"
    with tarfile.open(archive, "w") as tar:  # a folder would be copied file by file
        tar.add(root, arcname=".", filter=lambda item: None if item.isdev() else item)
    container = buildah.run("from", "scratch")
    buildah.run("add", container, archive, "/")
    buildah.run("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", container)
    buildah.run("commit", "--rm", container, BASE)
    archive.unlink()
    shutil.rmtree(root)


def trusted(folder: Path) -> list[str]:
    """Mounts by which pip and uv trust the certificates that this environment names, if it names any."""
    named = next((os.environ[name] for name in CERTIFICATES if os.environ.get(name)), None)
    if named is None:
        return []
    inside = "/etc/ssl/certs/of-the-build.crt"
    (folder / "pip.conf").write_text(f"[global]\ncert = {inside}\n")
    (folder / "uv.toml").write_text("native-tls = true\n")
    mounts = {named: "/etc/ssl/certs/ca-certificates.crt", str(folder / "pip.conf"): "/etc/pip.conf"}
    mounts |= {str(folder / "uv.toml"): "/etc/uv/uv.toml", str(Path(named).resolve()): inside}
    return [word for source, target in mounts.items() for word in ("--volume", f"{source}:{target}:ro")]


def build(buildah: Buildah, dockerfile: Path = ROOT / "deploy" / "Dockerfile") -> None:
    """Build the image from the checkout; its HEALTHCHECK takes Docker's format."""
    words = ["--isolation", "chroot", "--pull-never", "--format", "docker", *trusted(buildah.folder)]
    buildah.run("bud", *words, "-f", dockerfile, "-t", IMAGE, ROOT)


def main() -> int:
    """Make the base where it is not there, and build."""
    parser = argparse.ArgumentParser(prog="python -m deploy.image", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="for the images; kept, so that a second build has its base")
    folder = parser.parse_args().folder.absolute()
    return guarded(lambda: _make(folder))


def _make(folder: Path) -> int:
    if (reason := missing()) is not None:
        raise UserError(f"no image can be built: {reason}", remedy="apt-get install buildah debootstrap, as root")
    folder.mkdir(parents=True, exist_ok=True)
    buildah = Buildah(folder)
    if BASE not in buildah.run("images", "--format", "{{.Name}}:{{.Tag}}"):
        make_base(buildah)
    build(buildah)
    print(f"{IMAGE} in {folder}: {' '.join(buildah.command('images'))}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
