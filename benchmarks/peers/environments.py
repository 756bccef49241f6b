"""A virtual environment for each peer that needs other packages than Sightline's, made once and kept.

They lie in ``.venv-peers/`` beside the code, or where ``SIGHTLINE_PEERS`` says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import ROOT

VARIABLE = "SIGHTLINE_PEERS"
_LONGEST_INSTALL_S = 900.0


class PeerUnavailableError(RuntimeError):
    """A peer's packages can't be installed here."""


def environment(name: str, *installs: Sequence[str]) -> Path:
    """The interpreter of the environment ``name``; made on first use.

    Args:
        name: of its folder.
        installs: arguments of one ``pip install`` each, in order. An environment made with others is completed anew.

    Raises:
        PeerUnavailableError: pip failed; with its last line.
    """
    folder = Path(os.environ.get(VARIABLE, ROOT / ".venv-peers")) / name
    python = folder / "bin" / "python"
    complete, wanted = folder / "installed.txt", "\n".join(" ".join(packages) for packages in installs) + "\n"
    if complete.is_file() and complete.read_text() == wanted:
        return python
    print(f"making an environment for {name} in {folder}", file=sys.stderr, flush=True)
    _do(name, [sys.executable, "-m", "venv", str(folder)])
    for packages in installs:
        _do(name, [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    complete.write_text(wanted)
    return python


def _do(name: str, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_INSTALL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise PeerUnavailableError(f"{name}: {' '.join(command)} took more than {error.timeout:g} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise PeerUnavailableError(f"{name}: {' '.join(command)}: {said[-1]}")
