"""What a process serves with at this moment: the model, its queue, and the exchange of both while requests go on."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Protocol

from src.common.backends import engine_facts
from src.inference import Detections
from src.predict.engine import Image
from src.serve import scratch
from src.serve.engine import Engine
from src.serve.metrics import Metrics
from src.serve.model_source import Served, Source
from src.serve.options import ServeArgs
from src.serve.refusals import not_ready

MOST_WAIT_S = 300.0  # between two attempts to load the same version
log = logging.getLogger(__name__)


class Observer(Protocol):
    """What looks at every picture that was answered, such as the monitoring."""

    def observe(self, image: Image, found: Detections, latency_ms: float, source: str) -> None:
        """Note one answer.

        Args:
            image: uint8 [h, w, 3], BGR.
            found: its boxes.
            latency_ms: from the request's arrival to its answer.
            source: what the client said that the picture is from; "" where it said nothing.
        """
        ...

    def close(self) -> None:
        """Write what is still held."""
        ...


Watch = Callable[[ServeArgs, Metrics, Served], Observer | None]


class Current:
    """A served model with its engine."""

    def __init__(self, served: Served, engine: Engine, observer: Observer | None) -> None:
        self.served, self.engine, self.observer = served, engine, observer

    def retire(self) -> None:
        """Answer what waits, then let go of the model's files."""
        self.engine.close()
        self.engine.join()
        if self.observer is not None:
            self.observer.close()
        if self.served.folder is not None:
            scratch.remove(self.served.folder)


class State:
    """The model of a process, exchanged when the alias moves.

    Args:
        args: of the service.
        metrics: told of calls and changes.
        watch: makes the observer of a model, where there is one.
    """

    def __init__(self, args: ServeArgs, metrics: Metrics, watch: Watch | None = None) -> None:
        self.args, self.metrics, self._watch = args, metrics, watch
        self._source = Source(args)
        self._current: Current | None = None
        self._ended = threading.Event()
        self._exchanging = threading.Lock()  # held while an engine is loaded: a process that ended then would abort
        self._follower: threading.Thread | None = None
        self.draining = False

    @property
    def current(self) -> Current:
        """What is served now.

        Raises:
            Refusal: nothing yet, or the service is ending.
        """
        if self._current is None or self.draining:
            raise not_ready()
        return self._current

    def start(self) -> None:
        """Load the model, then look now and then where the alias points.

        Raises:
            UserError: it can't be loaded.
        """
        self._exchange(self._source.version())
        address = self._source.address
        if address is not None and address.alias:
            self._follower = threading.Thread(target=self._follow, name="alias", daemon=True)
            self._follower.start()

    def stop(self) -> None:
        """Answer what waits, and let go of everything. A registry that does not answer is not waited for."""
        self._ended.set()
        self._exchanging.acquire()  # never released: nothing is loaded any more
        if self._current is not None:
            self._current.retire()

    def _follow(self) -> None:
        trouble = Trouble(self.args.poll_s)
        while not self._ended.wait(self.args.poll_s):
            version = ""
            try:
                version = self._source.version()
                if self._current is not None and version == self._current.served.version:
                    trouble = Trouble(self.args.poll_s)
                elif trouble.is_over(version):
                    self._exchange(version)
            # A registry that is away, or a version that can't be loaded: what is served now goes on being served.
            except Exception as error:
                self.metrics.failed_exchange()
                if said := trouble.news(version, str(error)):
                    log.warning("the alias was not followed: %s", said)

    def _exchange(self, version: str) -> None:
        """Load a version beside the present one, put it in its place, then retire the old one."""
        copy = self._source.fetch(version)
        with self._exchanging:
            made = self._made(self._source.open(copy))
            old, self._current = self._current, made
        self.metrics.serves(made.served, old.served if old else None)
        log.info("serving %s", ", ".join(f"{key} {value}" for key, value in made.served.facts.items() if value))
        if old is not None:
            old.retire()

    def _made(self, served: Served) -> Current:
        """A loaded model with its observer and its engine."""
        try:
            observer = self._watch(self.args, self.metrics, served) if self._watch else None
        except BaseException:
            if served.folder is not None:
                scratch.remove(served.folder)
            raise
        engine = Engine(
            served.predictor,
            batch=self.args.batch,
            wait_s=self.args.wait_ms / 1000,
            waiting=self.args.queue,
            on_call=self.metrics.called,
            anywhere=engine_facts(served.runtime).concurrent,
        )
        return Current(served, engine, observer)


class Trouble:
    """What went wrong when the alias was followed: told once, and a version that can't be loaded is tried less often.

    Args:
        poll_s: between two looks at the alias.
    """

    def __init__(self, poll_s: float) -> None:
        self._wait_s = self._poll_s = poll_s
        self._version, self._said, self._until = "", "", 0.0

    def is_over(self, version: str) -> bool:
        """Whether a version is to be tried now."""
        return version != self._version or time.monotonic() >= self._until

    def news(self, version: str, error: str) -> str:
        """Note a failure; the first line of its message where it is another one than before, else ""."""
        if version:  # of the version; otherwise the registry is away, and asking it costs nothing
            self._wait_s = min(self._wait_s * 2, MOST_WAIT_S) if version == self._version else self._poll_s * 2
            self._version, self._until = version, time.monotonic() + self._wait_s
        said = re.sub(
            rf"{re.escape(scratch.PREFIX)}\w+", "…", (error.splitlines() or [""])[0]
        )  # a new folder each time
        news, self._said = "" if said == self._said else said, said
        return news
