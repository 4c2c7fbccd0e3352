"""Secrets are masked by key, by URL and by environment; ordinary text is left alone."""

from __future__ import annotations

import pytest

from src.common.redaction import redact, redact_text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://me:hunter22@db/x", "hunter22"),
        ("key ROBOFLOW_API_KEY=abcdef123 given", "abcdef123"),
        ("data.api_key=abcdef123", "abcdef123"),
        ("http://host/?token=abcdef123&x=1", "abcdef123"),
        ("postgresql://me:hun/ter@22@db/x", "ter"),
        ("https://ghp_abcdef123@host/x.git", "abcdef123"),
        ("api_key='two words' given", "words"),
        ('{"password": "two words"}', "words"),
        ("Authorization: Bearer abcdef123.x", "abcdef123"),
        ("pushed with ghp_0123456789abcdefABCDEF0123456789abcd", "0123456789abcdef"),
        ("[hf_abcdefghijklmnopqrstuvwxyzABCDEFGH]", "abcdefghijkl"),
        ("as AKIAIOSFODNN7EXAMPLE asked", "IOSFODNN7"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefgh-_x", "sdWIiOiIx"),
    ],
)
def test_secrets_in_text_are_masked(text: str, secret: str) -> None:
    assert secret not in redact_text(text)


def test_values_of_secret_variables_are_masked_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cret-word")
    assert redact({"a": ["x s3cret-word y"], "password": "p", "n": 1}) == {"a": ["x *** y"], "password": "***", "n": 1}


@pytest.mark.parametrize("name", ["GH_PAT", "SMTP_PWD", "STRIPE_KEY", "SENTRY_DSN", "HTTP_AUTH", "MY_TOKEN_2"])
def test_names_of_variables_that_tell(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "s3cret/word")
    assert redact_text("x s3cret/word y s3cret%2Fword") == "x *** y ***"


def test_the_password_in_a_variables_address_is_masked_alone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cret-word@db/x")
    assert redact_text("password s3cret-word refused") == "password *** refused"


def test_ordinary_text_stays() -> None:
    for text in ("lr=0.01 imgsz=320", "sqlite:///outputs/mlflow.db", "http://127.0.0.1:5000/#/experiments", "a: b@c",
                 "git@github.com:a/b.git", "token: none", "key=3 monkey=4", "train/box_loss: 0.5",
                 "export ROBOFLOW_API_KEY=…, or leave it",
                 "hf_hub_download_of_one", "task-0123456789abcdefghij", "sk-learn-and-something-long"):  # fmt: skip
        assert redact_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "v" * 300_000,
        "a.b-" * 75_000,
        "eyJa-" * 60_000,
        "-sk-" * 75_000,
        "x://" * 75_000,
        "token" * 40_000,
        "3https://u:pw@h " * 9,
    ],
)
def test_long_words_are_read_once(text: str) -> None:
    """Read again from each of its letters, the first would take hours: the limit of a test stops it."""
    assert redact_text(text) == text.replace(":pw@", ":***@")


def test_the_folder_of_the_shell_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/home/someone/detsweep")
    assert redact_text("/home/someone/detsweep/outputs") == "/home/someone/detsweep/outputs"
