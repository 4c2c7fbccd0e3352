"""A challenger beside the champion: who answers which request, what is recorded, and labels that come afterwards.

Both versions are pinned while the comparison runs: an alias that moves would change what is compared.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from pathlib import Path
from typing import Any, cast

from src.common.errors import UserError
from src.common.json_values import plain
from src.config.strictness import refuse_unwritable
from src.inference import Detections
from src.monitor.experiment import Experiment
from src.monitor.plan import CHALLENGER, CHAMPION, ExperimentPlan, Mode, check, save_plan
from src.predict.engine import Image
from src.serve.metrics import Metrics
from src.serve.model_source import Source
from src.serve.options import ServeArgs
from src.serve.refusals import Refusal
from src.serve.state import State

log = logging.getLogger(__name__)


def pinned(args: ServeArgs, model: str) -> tuple[ServeArgs, str]:
    """Arguments that serve one version of a model for good, and what the plan calls it: its version, or the file."""
    own = dataclasses.replace(args, model=model, live=dataclasses.replace(args.live, challenger=None))
    source = Source(own)
    if source.address is None:
        return own, str(Path(model).expanduser())
    version = source.version()
    return dataclasses.replace(own, model=f"models:/{source.address.name}/{version}"), version


def laid_down(args: ServeArgs) -> ServeArgs:
    """Arguments with versions in place of aliases, and the comparison's plan laid down in its folder.

    It is done once for all processes: one that is started again later must not meet an alias that has moved.

    Raises:
        UserError: a model is not there, the plan makes no sense, or the folder is another one's or can't be used.
    """
    if args.live.challenger is None:
        return args
    champion, challenger = pinned(args, args.model), pinned(args, args.live.challenger)
    Source(challenger[0]).check()
    plan = plan_of(args, champion[1], challenger[1])
    check(plan, "live")
    refuse_unwritable(**{"live.folder": str(Path(args.live.folder).expanduser())})
    save_plan(Path(args.live.folder).expanduser(), plan)
    live = dataclasses.replace(args.live, challenger=challenger[0].model)
    return dataclasses.replace(args, model=champion[0].model, live=live)


def plan_of(args: ServeArgs, champion: str, challenger: str) -> ExperimentPlan:
    """What the arguments say of a comparison; `check` says whether it makes sense.

    Args:
        args: of the service.
        champion: its version, or the file.
        challenger: the same.
    """
    c = args.live
    mode, steps = cast(Mode, c.mode), list(c.steps)
    return ExperimentPlan(c.name, champion, challenger, mode, c.share, steps, c.step_images, margin=c.margin)


class Live:
    """A live comparison in one process of the service.

    Args:
        args: of the service; `live.challenger` is set.
        metrics: of the process.

    Raises:
        UserError: a model is not there, or the folder holds another comparison.
    """

    def __init__(self, args: ServeArgs, metrics: Metrics) -> None:
        assert args.live.challenger is not None
        self.champion_args, champion = pinned(args, args.model)
        challenger_args, challenger = pinned(args, args.live.challenger)
        plan = plan_of(args, champion, challenger)
        self.experiment = Experiment(Path(args.live.folder).expanduser(), plan)
        self.challenger = State(challenger_args, metrics)
        self._patience_s = args.timeout_s
        self.ending = False  # the service ends: no challenger is asked any more, and none has failed for that
        self._recorded = True  # the last answer was

    def arm(self, key: str) -> str:
        """Who answers a request and is shown."""
        return CHAMPION if self.experiment.shadow else self.experiment.choose(key)

    def note(self, image_id: str, arm: str, image: Image, found: Detections, ms: float) -> None:
        """Record an answer, and in a shadow the challenger's once it has one.

        Args:
            image_id: what labels will name.
            arm: who answered.
            image: uint8 [h, w, 3], BGR.
            found: the answer.
            ms: that it took.
        """
        answers: dict[str, Detections | None] = {arm: found}
        latencies = {arm: ms}
        if self.experiment.shadow and not self.experiment.stopped:
            if self.ending:
                return
            answers[CHALLENGER], latencies[CHALLENGER] = self._asked(image)
        height, width = image.shape[:2]
        try:
            self.experiment.record(image_id, answers, latencies, (width, height))
            self._recorded = True
        except OSError as error:
            if self._recorded:
                log.warning("the live comparison can't be recorded (%s); answers go on", error)
            self._recorded = False

    def _asked(self, image: Image) -> tuple[Detections | None, float]:
        """The challenger's answer, None where it fails, and the ms that it took."""
        begun = time.perf_counter()
        try:
            current = self.challenger.current
            future = current.engine.submit(current.served.predictor.prepare(image))
            found: Detections | None = future.result(self._patience_s).found
        except Exception as error:  # a challenger that fails is recorded as one that fails
            log.warning("the challenger failed (%s)", type(error).__name__)
            found = None
        return found, (time.perf_counter() - begun) * 1000

    def feedback(self, told: Any) -> dict[str, Any]:
        """Take corrected labels: `{"image": id of the answer, "boxes": [[x1, y1, x2, y2], …], "classes": [id, …]}`.

        Raises:
            Refusal: they are malformed, or the image is not known.
        """
        if not isinstance(told, dict) or not all(isinstance(told.get(k), list) for k in ("boxes", "classes")):
            raise Refusal(400, "bad_feedback", "feedback needs `image`, `boxes` and `classes`")
        try:
            self.experiment.feedback(str(told.get("image"))[:100], told["boxes"], told["classes"])
        except UserError as error:
            raise Refusal(400, "bad_feedback", error.what, error.remedy) from None
        except OSError as error:
            log.warning("labels can't be recorded (%s)", error)
            raise Refusal(503, "failed", "labels can't be recorded now", "come again later") from None
        return {"taken": True}

    def verdict(self) -> dict[str, Any]:
        """What can be said now, as JSON."""
        said = dataclasses.asdict(self.experiment.verdict())
        facts = {"share": self.experiment.share, "stopped": self.experiment.stopped}
        return {"plan": dataclasses.asdict(self.experiment.plan), **facts, "verdict": plain(said)}
