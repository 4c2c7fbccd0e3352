"""Torchvision's detectors (BSD-3-Clause). Nothing heavy is imported until a training begins or a file is loaded."""
