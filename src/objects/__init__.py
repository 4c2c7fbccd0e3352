"""Objects in a store that machines without a common file system share: S3, or what fsspec reaches."""

from src.objects.opening import open_objects
from src.objects.protocol import Objects

__all__ = ["Objects", "open_objects"]
