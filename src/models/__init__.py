"""Detector families, a folder each: what only that family's library can do."""

from src.models import late_compiler

late_compiler.install()
