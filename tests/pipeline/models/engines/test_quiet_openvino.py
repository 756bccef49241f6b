"""Whoever runs a network tells nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
# What OpenVINO takes for a sign of a test machine, where it reports nothing anyway.
_SIGNS = ("CI", "TF_BUILD", "JENKINS_URL", "GITHUB_ACTIONS", "NNCF_CI", "NNCF_DEV")
_LOADED = "print('openvino_telemetry' in sys.modules, 'openvino' in sys.modules)"


def _run(code: str, home: Path) -> str:
    """What a program prints that is started as on a user's machine."""
    environment = {name: value for name, value in os.environ.items() if name not in _SIGNS}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    "use",
    [
        "from pipeline.models.engines.openvino_core import openvino_core; openvino_core()",
        "import pipeline.models.engines.onnx_graph",
        "import pipeline.models.engines.openvino_engine",
    ],
)
def test_openvino_reports_nothing(use: str, tmp_path: Path) -> None:
    assert _run(f"import sys\n{use}\n{_LOADED}", tmp_path) == "False True\n"
    assert not list(tmp_path.iterdir()), "no number of the user's, no counts"


def test_a_program_that_has_it_keeps_it(tmp_path: Path) -> None:
    code = "import sys, openvino_telemetry as own\nfrom pipeline.models.engines.openvino_core import openvino_core\n"
    code += "openvino_core()\nprint(sys.modules['openvino_telemetry'] is own)"
    assert _run(code, tmp_path) == "True\n"


def test_another_program_may_still_import_it(tmp_path: Path) -> None:
    code = "from pipeline.models.engines.quiet_openvino import ov\nimport openvino_telemetry\nprint('imported')"
    assert _run(code, tmp_path) == "imported\n"


def test_the_converter_comes_when_it_is_asked_for(tmp_path: Path) -> None:
    code = "import sys\nfrom pipeline.models.engines.quiet_openvino import ov\n"
    code += (
        "print('openvino.tools.ovc' in sys.modules, callable(ov.convert_model), 'openvino.tools.ovc' in sys.modules)\n"
    )
    code += "print('openvino_telemetry' in sys.modules, hasattr(ov, 'nothing'))"
    assert _run(code, tmp_path) == "False True True\nFalse False\n"
