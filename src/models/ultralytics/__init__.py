"""Ultralytics' detectors. Nothing heavy is imported until a training begins or a file is loaded."""
