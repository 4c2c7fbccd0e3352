"""The compose file, read as containers would: names that exist, nothing open, no password in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load(TEXT)


def test_every_name_that_a_service_uses_exists(compose: Any) -> None:
    services = compose["services"]
    for service in services.values():
        assert ("image" in service) != ("build" in service)
        assert set(service.get("depends_on", [])) <= set(services)
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in compose["volumes"]
        if build := service.get("build"):
            assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_who_waits_for_health_waits_for_something_that_tells_it(compose: Any) -> None:
    for service in compose["services"].values():
        needs = service.get("depends_on", {})
        for name, how in needs.items() if isinstance(needs, dict) else []:
            other = compose["services"][name]
            dockerfile = DEPLOY / other["build"]["context"] / other["build"]["dockerfile"] if "build" in other else None
            told = "healthcheck" in other or (dockerfile and "HEALTHCHECK" in dockerfile.read_text())
            assert told or how["condition"] != "service_healthy"


def test_ports_are_this_machines_and_images_are_of_one_release(compose: Any) -> None:
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert not service.get("image", "x:1").endswith(":latest")
        assert ":" in service.get("image", "x:1")


def test_every_secret_comes_from_the_environment() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    named = set(re.findall(r"^(\w+)=$", (DEPLOY / "env.example").read_text(), re.MULTILINE))
    assert asked == named
    for word in re.findall(r"(\S*(?:PASSWORD|SECRET|TOKEN|KEY)\S*): (\S+)", TEXT):
        assert word[1].startswith("${") or word[0] in ("secrets", "serve_token"), word


def test_the_service_asks_mlflow_by_a_name_that_it_answers_to(compose: Any) -> None:
    allowed, asked = hosts(compose)
    assert asked in allowed


@pytest.mark.slow  # MLflow's server takes seconds to be imported
def test_mlflow_answers_to_that_name_and_to_no_strangers(compose: Any) -> None:
    from mlflow.server.security_utils import get_default_allowed_hosts, is_allowed_host_header

    allowed, asked = hosts(compose)
    assert not is_allowed_host_header(get_default_allowed_hosts(), asked), "the key is not needed any more"
    for host in (asked, "localhost:5000", "127.0.0.1:5000"):
        assert is_allowed_host_header(allowed, host)
    assert not is_allowed_host_header(allowed, "evil.example:5000")


def hosts(compose: Any) -> tuple[list[str], str]:
    """Names that MLflow answers to, and the one that the service uses."""
    services = compose["services"]
    asked = services["serve"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    return services["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(","), asked
