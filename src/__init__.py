"""detsweep: sweep, measure and decide which object detector to ship."""

import os

__version__ = "0.1.0"
# ONNX Runtime reports its use to its maker unless it is told not to before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
