"""Where the project lies: `conf/`, `sweeps/`, `requirements/` and the templates are found from here."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
