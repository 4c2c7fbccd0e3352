"""Arguments of the service that make no sense are refused with key, value and remedy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.machine.environment import cores
from src.serve.model_source import address_of
from src.serve.options import TOKEN, ServeArgs, check_arguments
from tests.conftest import Command


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 0}, {"workers": 10_000}, {"threads": -1}, {"conf": 1.5}, {"iou": -0.1}, {"batch": 0}, {"queue": 0},
        {"max_bytes": 1}, {"timeout_s": 0.0}, {"poll_s": 0.0}, {"host": "0.0.0.0"}, {"host": "example.org"},
    ],
)  # fmt: skip
def test_wrong_values_are_refused(wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    with pytest.raises(UserError) as told:
        check_arguments(dataclasses.replace(ServeArgs(), **wrong))
    key = next(iter(wrong))
    assert key in str(told.value)
    assert told.value.remedy
    assert redact_text(str(told.value)) == str(told.value)  # a remedy is printed like everything else


def test_more_threads_than_cores_in_all_are_refused() -> None:
    if cores() < 2:
        pytest.skip("one core")
    with pytest.raises(UserError, match="want more"):
        check_arguments(ServeArgs(workers=2, threads=cores()))


def test_its_folders_need_not_be_writable(command: Command, tmp_path: Path) -> None:
    """A container's file system may be read-only."""
    (tmp_path / "file").touch()
    done = command("src.serve", "model=nowhere.onnx", f"outputs={tmp_path / 'file' / 'outputs'}")
    assert done.returncode == 2
    assert "nowhere.onnx" in done.stderr + done.stdout
    assert "outputs" not in done.stderr + done.stdout


@pytest.mark.parametrize("token", ["short", "with a space in it!", "smörgåsbord-smörgåsbord"])
def test_a_token_that_is_none_is_refused_and_not_shown(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, token)
    with pytest.raises(UserError) as told:
        check_arguments(ServeArgs(host="0.0.0.0"))
    assert token not in str(told.value)


def test_another_address_is_fine_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "0123456789abcdef")
    check_arguments(ServeArgs(host="0.0.0.0"))


def test_addresses_of_registered_models() -> None:
    one = address_of("models:/detsweep@champion")
    assert (one.name, one.alias, one.version) == ("detsweep", "champion", None)
    assert address_of("models:/detsweep/3").version == "3"
    for wrong in ("models:/", "models:/a/b", "models:/a@", "models:/../x@y@z"):
        with pytest.raises(UserError):
            address_of(wrong)
