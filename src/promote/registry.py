"""The MLflow Model Registry: register an artifact with signature, example and evaluation; move and restore aliases.

`champion` is served, `previous` was before it, `reference` is what challengers are held against, and `challenger` waits
for the outcome of a live comparison.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.common.whole_files import write_text
from src.monitor.profile import NAME as PROFILE
from src.monitor.profile import Profile, save_profile
from src.promote.gates import GateResult
from src.promote.recorded_model import RecordedModel, from_text, to_text
from src.promote.requirements import requirements
from src.promote.rule import MOST_USES
from src.records.earlier import artifact_from
from src.records.schema import Artifact
from src.records.store import to_json
from src.track import use

CHAMPION, PREVIOUS, REFERENCE, CHALLENGER = "champion", "previous", "reference", "challenger"
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's codes for no such model, and no such alias
MOST_TEXT = 4000  # characters of a tag that any store of MLflow takes
STANDING = "promotion/standing.json"
EVALUATION = "promotion/evaluation.json"


class Registry:
    """One registered model in one store."""

    def __init__(self, uri: str, name: str) -> None:
        import mlflow

        use(uri)
        mlflow.set_registry_uri(uri)
        self.client = mlflow.MlflowClient(uri, uri)
        self.name, self._uri = name, uri

    def version_of(self, alias: str) -> str | None:
        """The version that an alias points at; None where there is no such alias, or no such model.

        Raises:
            UserError: the registry does not answer: that is no proof that there is none.
        """
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client.get_model_version_by_alias(self.name, alias).version)
        except MlflowException as error:
            if error.error_code in ABSENT:
                return None
            reason = redact_text(str(error).splitlines()[0])[:200]
            raise UserError(
                f"the registry does not answer ({reason})",
                value=redact_text(self._uri),
                remedy="the address of a store that runs: tracking.uri, or MLFLOW_TRACKING_URI",
            ) from None

    def recorded(self, version: str) -> RecordedModel:
        """What was recorded of a promoted version.

        Raises:
            UserError: its records are gone.
        """
        from mlflow.exceptions import MlflowException

        run_id = str(self.client.get_model_version(self.name, version).run_id)
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self.client.download_artifacts(run_id, _numbered(STANDING, version), folder)
                return from_text(Path(path).read_text(encoding="utf-8"))
            except (MlflowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
                raise UserError(
                    f"version {version} of {self.name} has no record to hold a new one against ({error})"
                ) from None

    def model_of(self, version: str, folder: Path) -> tuple[Artifact, dict[str, Any]]:
        """The file of a registered version, copied into `folder`, and its plan.

        Raises:
            UserError: they are gone, or of another program.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        try:
            base = Path(mlflow.artifacts.download_artifacts(f"models:/{self.name}/{version}", dst_path=str(folder)))
            places = mlflow.models.Model.load(str(base)).flavors["python_function"]["artifacts"]
            plan = json.loads((base / places["plan"]["path"]).read_text(encoding="utf-8"))
            artifact = artifact_from({**plan["artifact"], "path": str(base / places["model"]["path"])})
        except (MlflowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise UserError(f"the model of version {version} of {self.name} can't be read ({error})") from None
        return artifact, plan

    def register(
        self,
        run_id: str,
        artifact: Artifact,
        plan: Mapping[str, Any],
        recorded: RecordedModel,
        code: Path,
        profile: Profile | None = None,
    ) -> str:
        """Log the model to its trial's run, with its reference profile, and register it; returns the new version."""
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
        side = side_of(artifact, plan)
        with tempfile.TemporaryDirectory() as folder:
            plan_file = Path(folder) / "detsweep.json"
            write_text(plan_file, json.dumps({**plan, "artifact": dataclasses.asdict(artifact)}, indent=1))
            artifacts = {"model": str(Path(artifact.path).absolute()), "plan": str(plan_file)}
            if profile is not None:
                artifacts["profile"] = str(Path(folder) / PROFILE)
                save_profile(Path(artifacts["profile"]), profile)
            with mlflow.start_run(run_id=run_id):
                info = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(code / "promote" / "serving.py"),
                    artifacts=artifacts,
                    code_paths=[str(code)],
                    signature=signature,
                    input_example=np.zeros((1, side, side, 3), np.uint8),
                    pip_requirements=requirements(plan["runtime"], artifact),
                    registered_model_name=self.name,
                )
        version = str(info.registered_model_version)
        self._keep(run_id, version, recorded)
        return version

    def _keep(self, run_id: str, version: str, recorded: RecordedModel) -> None:
        self.client.log_text(run_id, to_text(recorded), _numbered(STANDING, version))
        if recorded.evaluation:
            self.client.log_text(run_id, to_json(recorded.evaluation), _numbered(EVALUATION, version))

    def tags_of(self, version: str) -> dict[str, str]:
        """The tags of a version.

        Raises:
            UserError: there is no such version.
        """
        from mlflow.exceptions import MlflowException

        try:
            return dict(self.client.get_model_version(self.name, version).tags)
        except MlflowException as error:
            raise UserError(f"{self.name} has no such version ({error})"[:300], value=version) from None

    def challenge(self, version: str) -> None:
        """Let `challenger` point at a version."""
        self.client.set_registered_model_alias(self.name, CHALLENGER, version)

    def end_challenge(self, version: str) -> bool:
        """Take the alias `challenger` away from a version; whether it had it. Another one's challenge goes on."""
        if self.version_of(CHALLENGER) != version:
            return False
        self.client.delete_registered_model_alias(self.name, CHALLENGER)
        return True

    def tag(self, version: str, gates: list[GateResult], tags: Mapping[str, str]) -> None:
        """Write the outcome of every gate on a version."""
        for gate in gates:
            text = f"{'passed' if gate.passed else 'failed'}: {gate.said}"
            self.client.set_model_version_tag(self.name, version, f"gate.{gate.name.replace(' ', '_')}", text)
        for key, value in tags.items():
            self.client.set_model_version_tag(self.name, version, key, value[:MOST_TEXT])

    def use_of(self, split: str, comparison: str) -> int:
        """Which use of a test split a comparison is, counted from 1 and kept as a tag of the registered model.

        A comparison that is made again is no further use. Beyond `MOST_USES` nothing is counted any more.

        Args:
            split: fingerprint of the test split.
            comparison: what is compared with what.
        """
        key = f"test_uses.{split[:16]}"
        text = str(self.client.get_registered_model(self.name).tags.get(key, ""))
        known = text.split()
        if comparison in known:
            return known.index(comparison) + 1
        if len(known) < MOST_USES:
            self.client.set_registered_model_tag(self.name, key, " ".join([*known, comparison]))
        return len(known) + 1

    def promote(self, version: str, *, reference: bool = False) -> None:
        """Move `champion` to `version`; the old one stays known as `previous`.

        Args:
            version: the new champion.
            reference: whether it also becomes what challengers are held against. Otherwise the reference stays.
        """
        present = self.version_of(CHAMPION)
        kept = version if reference else self.reference() or version
        if present is not None:
            self.client.set_registered_model_alias(self.name, PREVIOUS, present)
        self.client.set_registered_model_alias(self.name, CHAMPION, version)
        self._refer(version, kept)

    def reference(self) -> str | None:
        """The version that challengers are held against; in registries from before references, the champion."""
        return self.version_of(REFERENCE) or self.version_of(CHAMPION)

    def _refer(self, champion: str, reference: str) -> None:
        """Set the reference, and keep on the champion which one it came with, for a rollback."""
        self.client.set_registered_model_alias(self.name, REFERENCE, reference)
        self.client.set_model_version_tag(self.name, champion, REFERENCE, reference)

    def rollback(self) -> tuple[str, str]:
        """Make `previous` the champion again, with the reference it had; returns the versions (restored, replaced).

        Raises:
            UserError: there is no previous champion.
        """
        previous, present = self.version_of(PREVIOUS), self.version_of(CHAMPION)
        if previous is None or present is None:
            raise UserError(
                f"{self.name} has no previous champion to go back to", remedy="promote at least twice first"
            )
        self.client.set_registered_model_alias(self.name, CHAMPION, previous)
        self.client.set_registered_model_alias(self.name, PREVIOUS, present)
        tags = self.client.get_model_version(self.name, previous).tags
        self._refer(previous, str(tags.get(REFERENCE, previous)))
        return previous, present

    def predicts(self, version: str, side: int) -> GateResult:
        """Whether the registered model loads through pyfunc and predicts."""
        import mlflow
        import numpy as np

        try:
            model = mlflow.pyfunc.load_model(f"models:/{self.name}/{version}")
            found = model.predict(np.zeros((1, side, side, 3), np.uint8))
        except Exception as error:
            return GateResult("loads", False, f"{type(error).__name__}: {str(error)[:200]}")
        return GateResult(
            "loads", True, f"loads through mlflow.pyfunc and predicts ({len(found)} detections in a black image)"
        )


def _numbered(path: str, version: str) -> str:
    """Several versions may come from one run."""
    return path.replace("promotion/", f"promotion/v{version}/")


def side_of(artifact: Artifact, plan: Mapping[str, Any]) -> int:
    """Side of the square input, px: the file's own, or that of the training where the file takes any."""
    return artifact.input_shape[-1] if artifact.input_shape[-1] > 0 else int(plan["imgsz"])
