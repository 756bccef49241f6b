"""Each line that the page of the API gives to a shell does what the page says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.served_run import served_run

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
RUN, TOKENS, ASKED = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_first_line_serves_a_run() -> None:
    """The command itself is run in tests/sightline/commands/test_web.py."""
    assert RUN == "python run_pipeline.py run VIDEO --web 127.0.0.1:8080\n"


def test_tokens_are_made() -> None:
    line = f"{TOKENS.strip()}; echo $SIGHTLINE_TOKEN; echo $SIGHTLINE_READ_TOKEN"
    told = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    if told.stderr:
        pytest.skip(f"openssl is not there: {told.stderr}")
    first, second = told.stdout.split()
    assert len(first) == len(second) == 48
    assert first != second


def test_events_are_asked_for_and_a_zone_is_set(tmp_path: Path) -> None:
    with served_run(tmp_path) as served:
        served.wait_for(lambda: len(served.sink.frames) > 5, "frames")
        for line in ASKED.replace("\\\n", " ").splitlines():
            command = line.replace("http://127.0.0.1:8080", served.url)
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
            if "command not found" in done.stderr:
                pytest.skip("curl is not there")
            answer = json.loads(done.stdout)
            assert ("events" in answer) or (list(answer["zones"]) == ["yard"])
        assert list(served.get("/api/streams/door/zones").json()["zones"]) == ["yard"]
        paths = set(served.get("/api/openapi.json").json()["paths"])
    for path in paths - {"/api/streams/{name}/lines", "/api/streams/{name}/disable"}:
        assert f"`{path.replace('{name}', 'NAME').replace('{kind}', 'KIND')}`" in PAGE, path
