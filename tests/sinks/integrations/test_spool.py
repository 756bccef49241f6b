"""A spool belongs to one run: who comes second is told before anything begins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SinkError
from pipeline.interfaces import Sink
from sinks.integrations.webhook import WebhookSink
from tests.sinks.test_contract import notifications

HOLDS = """
import sys
from pathlib import Path
from sinks.integrations.spool import Spool
Spool(Path(sys.argv[1]), max_bytes=1000)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("make", [lambda spool: WebhookSink("http://127.0.0.1:1/", spool=spool), notifications])
def test_a_spool_of_another_run_is_refused_before_the_first_frame(make: Callable[[Path], Sink], tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    sink = make(spool)
    sink.check()
    command = [sys.executable, "-c", HOLDS, str(spool)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SinkError, match="another run uses it"):
            sink.check()
        assert other.stdin is not None
        other.stdin.close()
    sink.check()
