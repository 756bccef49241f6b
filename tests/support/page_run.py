"""A run of the command line that serves its page, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.free_ports import free_port

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ServedRun:
    """Attributes: url: of the page, with a slash at its end; token: an administrator's."""

    url: str
    token: str

    def ask(self, path: str, *, method: str = "GET", body: Any = None) -> Any:
        """What the API answers to somebody with the token."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def wait_for(self, path: str, wanted: Any, *, timeout_s: float = 150) -> Any:
        """Ask until ``wanted`` of the answer is true; gives that answer."""
        until_s = time.monotonic() + timeout_s
        while not wanted(answer := self.ask(path)):
            assert time.monotonic() < until_s, f"{path}: {answer}"
            time.sleep(0.2)
        return answer


@contextmanager
def serve_run(folder: Path, config: Mapping[str, Any]) -> Iterator[ServedRun]:
    """Runs with a configuration, which stands as ``run.yaml`` in the folder, until the ``with`` ends."""
    address, token = f"127.0.0.1:{free_port()}", "a-token-of-an-administrator"
    path = folder / "run.yaml"
    web = {"address": address, "token_env": "SIGHTLINE_TEST_TOKEN"}
    path.write_text(yaml.safe_dump({**config, "web": web}, sort_keys=False))
    with (folder / "run.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(_ROOT / "run_pipeline.py"), "run", "--config", str(path), "--quiet"],
            env={**os.environ, "SIGHTLINE_TEST_TOKEN": token},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        run = ServedRun(f"http://{address}/", token)
        until_s = time.monotonic() + 60
        while True:
            try:
                run.ask("api/streams")
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < until_s, (folder / "run.log").read_text()
                time.sleep(0.1)
        yield run
    finally:
        process.terminate()
        process.wait(30)
