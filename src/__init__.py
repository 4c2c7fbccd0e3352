"""detsweep: sweep, measure and decide which object detector to ship."""

__version__ = "0.1.0"
