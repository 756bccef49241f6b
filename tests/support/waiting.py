"""Waiting for what another thread or process does: for the state itself, never for a time that should be enough.

wait_until(lambda: sink.counts().written == 10, "ten that are written")
assert entered.wait(PATIENCE_S)
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

# No test waits for as long as this, on a busy machine neither; it only keeps a broken one from hanging.
PATIENCE_S = 120.0


def wait_until(so: Callable[[], object], what: str, said: Callable[[], object] | None = None) -> None:
    """Wait until something is so.

    Args:
        so: asked again and again.
        what: is waited for, for the error.
        said: what else the error is to say, asked for once it has been waited in vain.

    Raises:
        AssertionError: it was waited in vain.
    """
    until_s = time.monotonic() + PATIENCE_S
    while not so():
        if time.monotonic() > until_s:
            raise AssertionError(f"waited in vain for {what}" + (f": {said()}" if said is not None else ""))
        time.sleep(0.02)


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), PATIENCE_S).close()
    except ConnectionRefusedError:
        return False
    return True
