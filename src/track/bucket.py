"""Files of runs in an S3-compatible store: where `tracking.artifacts` says, or an experiment has them already."""

from __future__ import annotations

import importlib.util
from typing import Any

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.config.schema import TrackingConfig
from src.objects.address import parse_address
from src.objects.s3 import S3

KEY = "tracking.artifacts"


def check_bucket(cfg: TrackingConfig) -> None:
    """Look whether files can go where `tracking.artifacts` says.

    Raises:
        UserError: it is no bucket that we may write to, or boto3 is missing.
    """
    if cfg.artifacts is None:
        return
    address = parse_address(cfg.artifacts, KEY)
    if address.scheme != "s3":
        raise UserError(f"{KEY} is no bucket", value=address.url, remedy="s3://BUCKET/PREFIX, or leave it out")
    S3(address, KEY).check()


def is_bucket(location: str) -> bool:
    """Whether an experiment keeps its files in a bucket."""
    return location.startswith("s3://")


def check_location(client: Any, experiment: str, cfg: TrackingConfig) -> None:
    """Look whether an experiment keeps its files where they can be sent, and where they are wanted.

    Raises:
        UserError: it doesn't.
    """
    location = str(client.get_experiment(experiment).artifact_location)
    if is_bucket(location) and importlib.util.find_spec("boto3") is None:
        raise UserError(
            "the experiment keeps its files in S3", value=redact_text(location), remedy="make setup EXTRAS=s3"
        )
    wanted = (cfg.artifacts or "").rstrip("/")
    if wanted and location != wanted and not location.startswith(f"{wanted}/"):
        raise UserError(
            f"the MLflow experiment is there already, and keeps its files elsewhere than {KEY} says",
            value=redact_text(location),
            remedy="tracking.experiment=ANOTHER, or leave tracking.artifacts out",
        )
