"""A run of the command line that serves its page, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.free_ports import free_port
from tests.support.waiting import PATIENCE_S, wait_until

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
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def wait_for(self, path: str, wanted: Any) -> Any:
        """Ask until ``wanted`` of the answer is true; gives that answer."""
        answers: list[Any] = []

        def so() -> Any:
            answers[:] = [self.ask(path)]
            return wanted(*answers)

        wait_until(so, path, lambda: answers)
        return answers[0]

    def answers(self) -> bool:
        """Whether it is there yet."""
        try:
            self.ask("api/streams")
        except OSError:
            return False
        return True


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
        wait_until(lambda: run.answers() or process.poll() is not None, "the page", (folder / "run.log").read_text)
        assert process.poll() is None, (folder / "run.log").read_text()
        yield run
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
