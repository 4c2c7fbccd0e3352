"""Finalists measured on another machine: a bundle goes there, a file of results comes back. See docs/device.md."""
