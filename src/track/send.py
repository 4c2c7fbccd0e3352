"""Sends the spool to a tracking server, in a thread of its own: nothing that the server does can hold a trial up.

While the server is away it is asked again after growing pauses. A run's entries arrive in order; an entry that the
server refuses for good is set aside with the reason, so that it stops nothing behind it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from src.common.errors import UserError
from src.common.redaction import redact_text
from src.track.entries import apply, create
from src.track.refusals import Entry, Refusals, is_refusal, status_of
from src.track.spool import Spool, SpooledFolder, State

log = logging.getLogger(__name__)

TAG = "detsweep.run"  # the id that a run had before the server gave it one
SCAN_S = 5.0  # between looks for what other processes have left
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # between attempts at a server that is away


class Sender:
    """One process's sender.

    Args:
        spool: what to send.
        connect: makes a client and the id of the experiment; its errors are those of a server that is away.
    """

    def __init__(self, spool: Spool, connect: Callable[[], tuple[Any, str]]) -> None:
        self._spool = spool
        self._connect = connect
        self._client: Any = None
        self._experiment = ""
        self._fresh: deque[tuple[SpooledFolder, threading.Event]] = deque()
        self._questions: deque[tuple[Callable[[Any], Any], list[Any], threading.Event]] = deque()
        self._wake, self._stop, self._turned = threading.Event(), threading.Event(), threading.Event()
        self._urged = threading.Event()  # to try again now; new entries don't make a server come back
        self._failures = 0
        self.refusals = Refusals("the tracking server")
        self.away = False
        self.reason: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to send."""
        self._wake.set()

    def greet(self, seconds: float) -> None:
        """Wait for the server's first answer; a server that lets us wait counts as away until it answers."""
        self.wake()
        if not self._turned.wait(seconds):
            self.away = True

    def start(self, folder: SpooledFolder, seconds: float) -> str:
        """The server's id of a new run; "" when the server is away or slow: it will get one later."""
        if self.away:
            return ""
        done = threading.Event()
        self._fresh.append((folder, done))
        self.wake()
        done.wait(seconds)
        return folder.state().run_id

    def ask(self, question: Callable[[Any], Any], default: Any, seconds: float) -> Any:
        """What the server says to a question put to its client; `default` when it doesn't answer in time."""
        if self.away:
            return default
        answer, done = [default], threading.Event()
        self._questions.append((question, answer, done))
        self.wake()
        done.wait(seconds)
        return answer[0]

    def drain(self, seconds: float, patience: float) -> int:
        """Send until nothing waits, the server is away or time is up; returns how many entries are left.

        Args:
            seconds: at most.
            patience: at most, for a server that is away to come back.
        """
        begun = time.monotonic()
        for _ in range(2):  # an attempt that had begun before says nothing of a server that has come back since
            if self.away:
                self._turned.clear()
                self._urged.set()
                self._turned.wait(max(patience - (time.monotonic() - begun), 0.0))
        while self._spool.waiting() and not self.away and time.monotonic() - begun < seconds:
            self.wake()
            time.sleep(0.05)
        return self._spool.left()

    def stop(self) -> None:
        """Send no more. A request under way is left to itself."""
        self._stop.set()
        self.wake()
        self._urged.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._turn()
                self._answered()
                pause = SCAN_S
            # Whatever goes wrong here must not end the thread: what waits is on disk, and the next turn may do it.
            except Exception as error:
                self.away, self.reason = True, error
                pause = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
                self._failures += 1
                self._give_up_waiting()
                self._turned.set()
            awaited = self._urged if self.away else self._wake
            awaited.wait(pause)
            awaited.clear()

    def _answered(self) -> None:
        """The server is there."""
        self._failures, self.away, self.reason = 0, False, None
        self._turned.set()

    def _give_up_waiting(self) -> None:
        """Let those go on who wait for an answer."""
        for queue in (self._fresh, self._questions):
            while queue:
                queue.popleft()[-1].set()

    def _turn(self) -> None:
        if self._client is None:
            self._client, self._experiment = self._connect()
            self._answered()
        self._urgent()
        for folder in self._spool.waiting():
            self._send(folder)

    def _urgent(self) -> None:
        """What a trial waits for: starts and questions."""
        while self._fresh:
            folder, done = self._fresh[0]
            with folder.sending() as mine:
                if mine:
                    self._begin(folder, folder.state())
            self._fresh.popleft()
            done.set()
        while self._questions:
            question, answer, done = self._questions[0]
            try:
                answer[0] = question(self._client)
            except Exception as error:
                if not is_refusal(error):
                    raise
            self._questions.popleft()
            done.set()

    def _begin(self, folder: SpooledFolder, state: State) -> bool:
        """Start a run on the server, unless it has it; false when its parent has to be started first."""
        if state.run_id:
            return True
        entry, end = next(iter(folder.entries()))
        parent = entry["parent"]
        if parent and (known := self._spool.find(parent)) is not None:
            parent = known.state().run_id
            if not parent:
                return False
        run_id = self._earlier(folder) if state.tried else ""
        if not run_id:
            state.tried = True
            folder.save(state)
            tagged = {**entry, "tags": {**entry["tags"], TAG: folder.key}}
            run_id = create(self._client, self._experiment, tagged, parent)
        state.sent = end
        state.note(entry)
        self._spool.name(folder, state, run_id)
        self._answered()
        return True

    def _earlier(self, folder: SpooledFolder) -> str:
        """The run that an earlier attempt started, whose answer was lost."""
        found = self._client.search_runs([self._experiment], f"tags.`{TAG}` = '{folder.key}'", max_results=1)
        return str(found[0].info.run_id) if found else ""

    def _send(self, folder: SpooledFolder) -> None:
        with folder.sending() as mine:
            if not mine:
                return
            state = folder.state()
            if not self._begin(folder, state):
                return
            for entry, end in folder.entries(state.sent):
                if self._stop.is_set():
                    return
                self._one(folder, state, entry)
                state.sent = end
                state.note(entry)
                folder.save(state)
                self._answered()
                self._urgent()
            folder.compact(state)

    def _one(self, folder: SpooledFolder, state: State, entry: Entry) -> None:
        if entry["kind"] == "start":
            return
        refused = apply(self._client, state.run_id, folder.found(entry))
        self.refusals.keep(folder.path / "refused.jsonl", state.run_id, refused)


def check_greeting(error: Exception | None, uri: str) -> None:
    """Tell a server that refuses us from one that is away.

    Raises:
        UserError: user or password are wrong, or files can't go where the experiment has them.
    """
    if isinstance(error, UserError):
        raise error
    if error is not None and status_of(error) in (401, 403):
        raise UserError(
            "the tracking server refuses the user or the password",
            value=redact_text(uri),
            remedy="export MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=… (or MLFLOW_TRACKING_TOKEN)",
        )
