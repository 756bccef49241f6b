"""Assignment: always the best one, and its solver comes only when it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from pipeline.types import Float64Array, IndexArray
from trackers.assignment import assign
from trackers.pairs import Pairs

_BROKEN_SCIPY = "raise ImportError('no solver here')"


@st.composite
def tables(draw: st.DrawFn) -> Float64Array:
    """The value of each pair, 0 where there is none: from two that compete to crowds, tied values among them."""
    shape = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    values = st.one_of(st.just(0.0), st.sampled_from([0.25, 0.5]), st.floats(0.01, 1.0))
    return np.array(draw(st.lists(values, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))).reshape(shape)


@given(tables())
def test_the_assignment_is_one_to_one_and_none_is_better(table: Float64Array) -> None:
    rows, columns = _assigned(table)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows)
    assert (np.diff(rows) > 0).all()
    assert (table[rows, columns] > 0).all()
    assert np.isclose(table[rows, columns].sum(), table[linear_sum_assignment(table, maximize=True)].sum())


@given(st.integers(0, 2**32 - 1))
def test_knots_in_a_large_scene_are_told_apart(seed: int) -> None:
    """Many small knots, not ordered by place: each is as good as alone."""
    random = np.random.default_rng(seed)
    table = np.zeros((40, 40))
    order, other = random.permutation(40), random.permutation(40)
    for begin in range(0, 39, 3):
        size = int(random.integers(1, 4))
        block = np.ix_(order[begin : begin + size], other[begin : begin + size])
        table[block] = random.uniform(0.1, 1, (size, size)) * (random.uniform(size=(size, size)) < 0.8)
    rows, columns = _assigned(table)
    assert np.isclose(table[rows, columns].sum(), table[linear_sum_assignment(table, maximize=True)].sum())


def test_a_solver_that_can_not_be_imported_is_told_where_it_is_needed(tmp_path: Path) -> None:
    done = _without_scipy(
        tmp_path,
        "import numpy as np, threading\n"
        "from trackers.assignment import assign, load_solver\n"
        "from trackers.pairs import Pairs\n"
        "load_solver()\n"
        "[thread.join() for thread in threading.enumerate() if thread is not threading.main_thread()]\n"
        "print('loaded', flush=True)\n"
        "row, column = np.ones((9, 9)).nonzero()\n"
        "assign(Pairs(row, column, (9, 9)), np.ones(81))\n",
    )
    assert (done.stdout, done.returncode) == ("loaded\n", 1)
    assert done.stderr.splitlines()[-1] == "ImportError: no solver here"


def test_a_quiet_scene_needs_no_solver(tmp_path: Path) -> None:
    done = _without_scipy(
        tmp_path,
        "import numpy as np\n"
        "from trackers.assignment import assign\n"
        "from trackers.pairs import Pairs\n"
        "pairs = Pairs(np.array([0, 0, 1]), np.array([0, 1, 0]), (2, 2))\n"
        "print(assign(pairs, np.array([0.9, 0.8, 0.5]))[1].tolist())\n",
    )
    assert (done.stdout, done.stderr) == ("[1, 0]\n", "")


def test_where_nobody_competes_all_pairs_are_taken() -> None:
    pairs = Pairs(np.array([0, 2, 3]), np.array([1, 0, 2]), (4, 3))
    rows, columns = assign(pairs, np.array([0.5, 0.0, 0.1]))
    assert (rows.tolist(), columns.tolist()) == ([0, 3], [1, 2])


def _assigned(table: Float64Array) -> tuple[IndexArray, IndexArray]:
    row, column = table.nonzero()
    return assign(Pairs(row, column, (table.shape[0], table.shape[1])), table[row, column])


def _without_scipy(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    (folder / "scipy").mkdir()
    (folder / "scipy" / "__init__.py").write_text(_BROKEN_SCIPY)
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[2])])}
    return subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=False)
