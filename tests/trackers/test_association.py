"""Assignment: its solver comes when it is needed, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from trackers.association import Pairs, assign


def test_a_solver_that_can_not_be_imported_is_told_where_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "scipy").mkdir()
    (tmp_path / "scipy" / "__init__.py").write_text("raise ImportError('no solver here')")
    script = (
        "import numpy as np, threading\n"
        "from trackers.association import Pairs, assign, load_solver\n"
        "load_solver()\n"
        "[thread.join() for thread in threading.enumerate() if thread is not threading.main_thread()]\n"
        "print('loaded', flush=True)\n"
        "assign(Pairs(np.array([0, 0]), np.array([0, 1]), (1, 2)), np.array([0.5, 0.6]))\n"
    )
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("loaded\n", 1)
    assert done.stderr.count("ImportError: no solver here") == 1


def test_where_nobody_competes_all_pairs_are_taken_without_a_solver() -> None:
    pairs = Pairs(np.array([0, 2, 3]), np.array([1, 0, 2]), (4, 3))
    rows, columns = assign(pairs, np.array([0.5, 0.0, 0.1]))
    assert (rows.tolist(), columns.tolist()) == ([0, 3], [1, 2])
