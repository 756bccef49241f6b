"""Ports for what is to listen at an address known beforehand.

They lie below those that systems give to connections going out, so that between the choice and the use no other
program's connection is likely to take one.
"""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 20_000, 32_000


def free_port() -> int:
    """A port that is free on all addresses of this machine."""
    return _free_ports(1)


def free_port_pair() -> int:
    """A port that is free on all addresses of this machine, and the next one too."""
    return _free_ports(2)


def _free_ports(count: int) -> int:
    choose = random.SystemRandom()  # two processes with one seed would choose the same
    while True:
        port = choose.randrange(_FIRST, _LAST)
        if all(map(_is_free, range(port, port + count))):
            return port


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("", port)):
            return True
    except OSError:
        return False
