"""TensorFlow, for SavedModel folders."""

from __future__ import annotations

from typing import Any

import numpy as np

from src.common.backends import ANY, Engine
from src.common.errors import UserError
from src.records.schema import Artifact
from src.runtime.protocol import Float

ENGINE = Engine(
    runs={"savedmodel": ANY},
    needs={"tensorflow": "tensorflow"},
    install="make setup EXTRAS=tensorflow",
    packages=(("tensorflow",),),
    preference=60,
)


class TensorFlowSession:
    """A serving signature behind numpy."""

    name = "tensorflow"
    device = "cpu"

    def __init__(self, model: Any, version: str, channels_last: bool) -> None:
        self._model = model  # the signature does not keep its variables alive
        self._signature = model.signatures["serving_default"]
        (self._input,) = self._signature.structured_input_signature[1]
        self._channels_last = channels_last
        self.version = version
        self.providers = ["tensorflow"]

    def run(self, x: Float) -> list[Float]:
        """Run one batch."""
        import tensorflow as tf

        source = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if self._channels_last else x
        outputs = self._signature(**{self._input: tf.constant(source)}).values()
        return [np.asarray(item.numpy(), np.float32) for item in outputs]


def load(artifact: Artifact, threads: int, device: str, trust: bool) -> TensorFlowSession:
    """Load a SavedModel folder.

    Raises:
        UserError: the folder is damaged or no SavedModel.
    """
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    try:
        model = tf.saved_model.load(artifact.path)
        shape = next(iter(model.signatures["serving_default"].structured_input_signature[1].values())).shape
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"TensorFlow can't load the folder ({error})", value=artifact.path, remedy="export it again"
        ) from None
    return TensorFlowSession(model, tf.__version__, channels_last=int(shape[-1]) == 3)
