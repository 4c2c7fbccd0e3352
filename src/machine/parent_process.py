"""Leaves when the parent is gone: a process that works for another one must not go on for nobody.

The parent holds the other end of this process's standard input and writes nothing to it. The kernel closes that end
when the parent dies, of SIGKILL too, which a process can't be told of in any other portable way.
"""

from __future__ import annotations

import os
import signal
import stat
import threading


def leave_with_parent(*, gently: bool) -> None:
    """Watch standard input from a thread of its own, and end this process when it ends.

    Where standard input is neither pipe nor socket, somebody else started this process: then it stays.

    Args:
        gently: as SIGTERM does, so that what was begun is given back; otherwise at once.
    """
    kind = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):  # sshd gives sockets where it was built so
        return

    def watch() -> None:
        try:
            while os.read(0, 64):
                pass
        except OSError:
            pass
        if gently:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
