"""Several processes that share a socket: one that dies is started again, and none outlives the one that holds them.

uvicorn's supervisor ends them all when a new one can't start. A registry that is away for a moment would then turn a
lost process into a lost service; here those that serve go on, and the new one is tried again, less and less often.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from src.common.errors import UserError
from src.serve.draining import Draining, refuse_handshakes
from src.serve.metrics import forget

BEGIN_S = 60.0  # for a new process to be heard of: on a busy machine its imports alone take long
LOOK_S = 0.2  # for its answer, meanwhile
MOST_WAIT_S = 30.0  # between two attempts to start a process
log = logging.getLogger(__name__)


class Worker(Process):
    """A process of the supervisor."""

    ready = False  # whether it has said so
    buried = False  # whether the supervisor knows that it died

    def start(self) -> None:
        """Start it."""
        self._begun = time.monotonic()
        super().start()

    def lives(self, patience_s: float) -> bool:
        """Whether it runs and answers; notes whether it is ready."""
        if not self.process.is_alive():
            return False
        begins = not self.ready and time.monotonic() - self._begun < BEGIN_S
        said = self._healthcheck(LOOK_S if begins else patience_s)
        self.ready = self.ready or said is True
        return begins or said is not None

    @property
    def server(self) -> uvicorn.Server:
        """The server of this process."""
        if self._server is None:
            self._server = Draining(self.config, alone=False)
        return self._server

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """The work of the process; what the user must mend is told without a traceback."""
        try:
            super().target(sockets)
        except UserError as error:
            log.error("%s", error)
            raise SystemExit(STARTUP_FAILURE) from None

    def always_pong(self) -> None:
        """Answer the supervisor for as long as it lives; then end as it would have asked to."""
        self.parent_conn.close()  # this process's copy: the kernel tells of the other one's end
        try:
            super().always_pong()
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGTERM)


class Supervisor(Multiprocess):
    """Holds the socket for processes that come and go."""

    served = False  # whether any was ever ready
    _failures = 0  # processes in a row that were never ready
    _again = 0.0  # when the next one may be started

    def keep_subprocess_alive(self) -> None:
        """Start those again that died."""
        for place, one in enumerate(self.processes):
            assert isinstance(one, Worker)
            if self.should_exit.is_set():
                return
            if not one.buried and one.lives(self.config.timeout_worker_healthcheck):
                if one.ready:
                    self.served, self._failures = True, 0
                continue
            if not one.buried:
                self._bury(one)
            if not self.should_exit.is_set() and time.monotonic() >= self._again:
                self.processes[place] = Worker(self.config, self.sockets)
                self.processes[place].start()

    def _bury(self, one: Worker) -> None:
        one.kill()  # it may only hang
        one.join()
        one.buried = True
        forget(one.pid)
        log.warning("process %s ended (%s)", one.pid, one.exitcode)
        if one.exitcode == STARTUP_FAILURE and not self.served:  # it would fail the same way again
            self.should_exit.set()
        elif not one.ready:
            self._failures += 1
            self._again = time.monotonic() + min(2.0 ** (self._failures - 1), MOST_WAIT_S)

    def terminate_all(self) -> None:
        """End all processes, which take what waits; none may come that nobody would take."""
        refuse_handshakes(self.sockets)
        super().terminate_all()
        for one in self.sockets:
            one.close()

    @property
    def went_well(self) -> bool:
        """Whether all that lived to the end ended as they were asked to, and the service ever served."""
        asked = {0, -signal.SIGTERM, -signal.SIGINT}  # once all is answered, uvicorn raises the signal again
        living = [p for p in self.processes if not (isinstance(p, Worker) and p.buried)]
        return bool(living) and all(p.exitcode in asked for p in living)
