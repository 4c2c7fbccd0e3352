"""The MLflow Model Registry: register an artifact with signature, example and evaluation; move and restore aliases."""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.gates import Gate, Standing
from src.records import Artifact, EvaluationRecord, from_json, to_json, write_text
from src.track import use

log = logging.getLogger(__name__)

CHAMPION, PREVIOUS = "champion", "previous"
STANDING = "promotion/standing.json"
EVALUATION = "promotion/evaluation.json"


class Registry:
    """One registered model in one store."""

    def __init__(self, uri: str, name: str) -> None:
        import mlflow

        use(uri)
        mlflow.set_registry_uri(uri)
        self.client = mlflow.MlflowClient(uri, uri)
        self.name = name

    def version_of(self, alias: str) -> str | None:
        """The version that an alias points at."""
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client.get_model_version_by_alias(self.name, alias).version)
        except MlflowException:
            return None

    def standing(self, version: str) -> Standing:
        """What was recorded of a promoted version.

        Raises:
            UserError: its records are gone.
        """
        from mlflow.exceptions import MlflowException

        run_id = str(self.client.get_model_version(self.name, version).run_id)
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self.client.download_artifacts(run_id, _numbered(STANDING, version), folder)
                raw = json.loads(Path(path).read_text(encoding="utf-8"))
                text = raw.pop("evaluation")
            except (MlflowException, OSError, ValueError, KeyError) as error:
                raise UserError(
                    f"version {version} of {self.name} has no record to hold a new one against ({error})"
                ) from None
        evaluation = from_json(EvaluationRecord, text) if text else None
        return Standing(**raw, evaluation=evaluation)

    def register(self, run_id: str, artifact: Artifact, plan: Mapping[str, Any], standing: Standing, code: Path) -> str:
        """Log the model to its trial's run and register it; returns the new version."""
        import mlflow
        import numpy as np
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

        columns = ["x1", "y1", "x2", "y2", "score"]
        outputs: list[ColSpec | TensorSpec] = [
            ColSpec(DataType.long, "image"),
            *(ColSpec(DataType.double, c) for c in columns),
        ]
        outputs += [ColSpec(DataType.long, "class_id"), ColSpec(DataType.string, "class_name")]
        signature = ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, -1, 3), name=None)]),
            outputs=Schema(outputs),
            params=ParamSchema([ParamSpec("confidence", DataType.double, float(plan["confidence"]))]),
        )
        side = artifact.input_shape[-1]
        with tempfile.TemporaryDirectory() as folder:
            plan_file = Path(folder) / "detsweep.json"
            write_text(plan_file, json.dumps({**plan, "artifact": dataclasses.asdict(artifact)}, indent=1))
            with mlflow.start_run(run_id=run_id):
                info = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(code / "serving.py"),
                    artifacts={"model": str(Path(artifact.path).absolute()), "plan": str(plan_file)},
                    code_paths=[str(code)],
                    signature=signature,
                    input_example=np.zeros((1, side, side, 3), np.uint8),
                    pip_requirements=_requirements(artifact),
                    registered_model_name=self.name,
                )
        version = str(info.registered_model_version)
        self._keep(run_id, version, standing)
        return version

    def _keep(self, run_id: str, version: str, standing: Standing) -> None:
        evaluation = to_json(standing.evaluation) if standing.evaluation else ""
        plain = {**{f.name: getattr(standing, f.name) for f in dataclasses.fields(standing)}, "evaluation": evaluation}
        self.client.log_text(run_id, json.dumps(plain), _numbered(STANDING, version))
        if evaluation:
            self.client.log_text(run_id, evaluation, _numbered(EVALUATION, version))

    def tag(self, version: str, gates: list[Gate], tags: Mapping[str, str]) -> None:
        """Write the outcome of every gate on a version."""
        for gate in gates:
            text = f"{'passed' if gate.passed else 'failed'}: {gate.said}"
            self.client.set_model_version_tag(self.name, version, f"gate.{gate.name.replace(' ', '_')}", text)
        for key, value in tags.items():
            self.client.set_model_version_tag(self.name, version, key, value)

    def promote(self, version: str) -> None:
        """Move `champion` to `version`; the old one stays known as `previous`."""
        reigning = self.version_of(CHAMPION)
        if reigning is not None:
            self.client.set_registered_model_alias(self.name, PREVIOUS, reigning)
        self.client.set_registered_model_alias(self.name, CHAMPION, version)

    def rollback(self) -> tuple[str, str]:
        """Make `previous` the champion again; returns the versions (restored, replaced).

        Raises:
            UserError: there is no previous champion.
        """
        previous, reigning = self.version_of(PREVIOUS), self.version_of(CHAMPION)
        if previous is None or reigning is None:
            raise UserError(
                f"{self.name} has no previous champion to go back to", remedy="promote at least twice first"
            )
        self.client.set_registered_model_alias(self.name, CHAMPION, previous)
        self.client.set_registered_model_alias(self.name, PREVIOUS, reigning)
        return previous, reigning

    def predicts(self, version: str, side: int) -> Gate:
        """Whether the registered model loads through pyfunc and predicts."""
        import mlflow
        import numpy as np

        try:
            model = mlflow.pyfunc.load_model(f"models:/{self.name}/{version}")
            found = model.predict(np.zeros((1, side, side, 3), np.uint8))
        except Exception as error:
            return Gate("loads", False, f"{type(error).__name__}: {str(error)[:200]}")
        return Gate(
            "loads", True, f"loads through mlflow.pyfunc and predicts ({len(found)} detections in a black image)"
        )


def _numbered(path: str, version: str) -> str:
    """Several versions may come from one run."""
    return path.replace("promotion/", f"promotion/v{version}/")


def _requirements(artifact: Artifact) -> list[str]:
    """Packages that the served model needs, at the versions of now."""
    from importlib.metadata import PackageNotFoundError, version

    engines = {"onnx": ["onnxruntime"], "openvino": ["openvino"], "litert": ["ai-edge-litert"]}
    names = [
        "mlflow",
        "numpy",
        "pandas",
        "pillow",
        "omegaconf",
        *engines.get(artifact.format, ["torch", "ultralytics"]),
    ]
    found = []
    for name in names:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            log.warning("%s is not installed here, so the model's requirements leave it out", name)
    return found
