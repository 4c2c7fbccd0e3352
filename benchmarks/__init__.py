"""Measurements of the promised figures; run with `make bench`."""
