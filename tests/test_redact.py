"""Secrets are masked by key, by URL and by environment; ordinary text is left alone."""

from __future__ import annotations

import pytest

from src.redact import redact, redact_text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://me:hunter22@db/x", "hunter22"),
        ("key ROBOFLOW_API_KEY=abcdef123 given", "abcdef123"),
        ("data.api_key=abcdef123", "abcdef123"),
        ("http://host/?token=abcdef123&x=1", "abcdef123"),
    ],
)
def test_secrets_in_text_are_masked(text: str, secret: str) -> None:
    assert secret not in redact_text(text)


def test_values_of_secret_variables_are_masked_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cret-word")
    assert redact({"a": ["x s3cret-word y"], "password": "p", "n": 1}) == {"a": ["x *** y"], "password": "***", "n": 1}


def test_ordinary_text_stays() -> None:
    for text in ("lr=0.01 imgsz=320", "sqlite:///outputs/mlflow.db", "http://127.0.0.1:5000/#/experiments"):
        assert redact_text(text) == text
