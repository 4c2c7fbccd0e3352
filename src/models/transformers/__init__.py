"""Detectors of Hugging Face's transformers. Nothing heavy is imported until a training begins or a file is loaded."""
