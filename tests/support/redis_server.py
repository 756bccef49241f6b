"""Debian's Redis on a port of loopback, which keeps what Ray's head knows; for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

import pytest

from tests.support.free_ports import free_port
from tests.support.waiting import PATIENCE_S, listens, wait_until

_REDIS = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def require_redis() -> None:
    """Skip the test that calls this where Redis is not installed."""
    if _REDIS is None:
        pytest.skip("needs Redis: apt-get install redis-server")


class RedisServer:
    """Runs while its context is entered; keeps nothing beyond that.

    Args:
        folder: where it works.
    """

    def __init__(self, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder

    def __enter__(self) -> Self:
        assert _REDIS is not None
        host, _, port = self.address.rpartition(":")
        options = {"--bind": host, "--port": port, "--dir": str(self._folder), "--save": "", "--appendonly": "no"}
        command = [_REDIS, *(word for option in options.items() for word in option)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(lambda: listens(host, int(port)), "Redis")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
