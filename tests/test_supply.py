"""The lock files pin every package by hash and name no index; the bill of materials says what is in them."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ROOT

REQUIREMENTS = ROOT / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.txt"))
INDEX_OPTION = "-".join(("index", "url"))  # spelt apart: no tracked file is to look as if it named an index
PIN = "left-pad==1.0.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"


def tool(name: str) -> ModuleType:
    """A script beside the lock files."""
    spec = importlib.util.spec_from_file_location(f"requirements_{name}", REQUIREMENTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = sys.modules[name] = module  # the scripts import each other by their plain names
    spec.loader.exec_module(module)
    return module


sbom, audit = tool("sbom"), tool("audit")


@pytest.mark.parametrize("path", LOCKS, ids=lambda p: p.stem)
def test_every_package_is_pinned_by_hash_and_no_index_is_named(path: Path) -> None:
    packages = sbom.read_lock(path)
    assert packages
    pinned = [line for line in path.read_text().splitlines() if line and not line.startswith((" ", "#"))]
    assert len(packages) == len(pinned)
    assert all(p.hashes for p in packages)
    assert not sbom.ADDRESS.search(path.read_text())


@pytest.mark.parametrize(
    "bad",
    [
        "left-pad==1.0.0\n",
        "left-pad>=1.0.0 \\\n    --hash=sha256:" + "a" * 64 + "\n",
        f"--{INDEX_OPTION} https://example.org/simple\n" + PIN,
        "left-pad @ https://example.org/left-pad.whl --hash=sha256:" + "a" * 64 + "\n",
        "git+https://example.org/x.git\n",
        "left-pad==1.0.0 \\\n    --hash=md5:" + "a" * 32 + "\n",
        "left-pad==1.0.0 \\\n    --hash=sha256:" + "a" * 63 + "\n",
    ],
)
def test_a_lock_file_that_is_not_is_found(bad: str, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(PIN)
    assert [p.name for p in sbom.read_lock(path)] == ["left-pad"]
    path.write_text(PIN + bad)
    with pytest.raises(ValueError, match="no pinned package"):
        sbom.read_lock(path)


def test_the_bill_names_every_package_once_and_is_the_same_every_time() -> None:
    made = sbom.bill(sbom.read_all())
    assert made == sbom.bill(sbom.read_all())
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    references = [c["bom-ref"] for c in made["components"]]
    assert len(references) == len(set(references)) > 100
    assert any(r.startswith("pkg:pypi/ultralytics@8") for r in references)
    assert set(made["dependencies"][0]["dependsOn"]) == set(references)
    json.dumps(made)


def test_the_bill_says_the_licence_of_every_detector() -> None:
    from src.models.base import MODULES, family

    assert {name: family(name).licence for name in MODULES} == sbom.LICENCES
    told = {c["name"]: c["licenses"][0]["license"]["id"] for c in sbom.models()}
    assert set(told) == {path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")}
    assert (told["v8n"], told["fcos"], told["dfine_s"]) == ("AGPL-3.0", "BSD-3-Clause", "Apache-2.0")
    licences = {c["name"]: [one["license"] for one in c["licenses"]] for c in sbom.models()}
    assert licences["dfine_small"] == [{"id": "Apache-2.0"}]
    assert licences["snapshot"] == [{"id": "Apache-2.0"}, {"name": "LicenseRef-unknown"}]
    packages = {c["name"]: c for c in sbom.bill(sbom.read_all())["components"]}
    assert packages["ultralytics"]["licenses"] == [{"license": {"id": "AGPL-3.0"}}]


def test_setup_installs_by_hash_only() -> None:
    recipe = (ROOT / "Makefile").read_text()
    installs = [line for line in recipe.splitlines() if "pip install" in line]
    assert installs
    assert all("--require-hashes" in line for line in installs)


def test_an_audit_that_did_not_happen_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert audit.main([]) == 3
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(audit, "audit", lambda lock: (1, "", "ServiceError: Connection refused"))
    assert audit.main([]) == 3
    said = capsys.readouterr()
    assert said.err.count("NOT AUDITED") == 2
    assert "no advisory database can be reached" in said.err
    assert "no known advisory" not in said.out


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], list[str]]:
    """pip-audit, with its answer for one package and nothing known of the others; gives what it was asked for."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())

    def answer(special: dict[str, Any]) -> list[str]:
        asked: list[str] = []

        def audit_file(lock: Path) -> tuple[int, str, str]:
            names = [line.split(" ")[0] for line in lock.read_text().splitlines()]
            assert len({n.split("==")[0] for n in names}) == len(names), "pip-audit reads no second version"
            asked.extend(names)
            parts = [name.split("==") for name in names]
            told: list[dict[str, Any]] = [{"name": name, "version": version, "vulns": []} for name, version in parts]
            told = [special if t["name"] == special.get("name") else t for t in told]
            return 0, json.dumps({"dependencies": told}), "No known vulnerabilities found"

        monkeypatch.setattr(audit, "audit", audit_file)
        return asked

    return answer


def test_every_locked_package_is_asked_about_once(answered: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asked = answered({})
    assert audit.main([]) == 0
    assert sorted(asked) == sorted(f"{p.name}=={p.version}" for p in sbom.read_all())
    assert len(asked) == len(set(asked)) > 200
    assert "no known advisory" in capsys.readouterr().out


def test_advisories_fail_the_audit(answered: Any, capsys: pytest.CaptureFixture[str]) -> None:
    answered({"name": "uv", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]})
    assert audit.main(["uv.txt"]) == 1
    said = capsys.readouterr().out
    assert "uv 1: PYSEC-1, mended in 2" in said
    assert "no known advisory" not in said


def test_a_package_that_the_service_does_not_know_is_not_called_safe(
    answered: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    answered({"name": "uv", "skip_reason": "Dependency not found on PyPI and could not be audited: uv"})
    assert audit.main(["uv.txt"]) == 3
    assert audit.main([]) == 3
    said = capsys.readouterr()
    assert "NOT AUDITED: 1 of 1 packages" in said.err
    assert "no known advisory" not in said.out
