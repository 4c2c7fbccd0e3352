"""Detector families, a folder each: what only that family's library can do."""
