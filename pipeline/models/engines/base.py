"""What runs a network: the protocol of engines, and the choice of one by name.

    openvino     the default      float32, bfloat16, and int8 for a network whose ranges are known
    tensorflow   with a GPU       float32, bfloat16; float16 where there is a GPU
    auto         the faster of both, by measurement (`pipeline.models.engines.fastest`)

Each gives the same outputs for the same images, within what its precision costs; docs/engines.md says how much that is.
An engine's library is imported when that engine is made, never before.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pipeline.errors import ConfigError
from pipeline.hardware import cpu_has_bfloat16

ENGINES = ("openvino", "tensorflow")
"""In the order in which they are preferred where nothing else decides."""

PRECISIONS = {
    "openvino": ("auto", "float32", "bfloat16", "int8"),
    "tensorflow": ("auto", "float32", "bfloat16", "float16"),
}
"""What each engine can be asked to compute in."""


@runtime_checkable
class Engine(Protocol):
    """Runs one network. How it is called, and what it gives, each family of networks says.

    Any number of threads may use an instance; more than ``calls_at_once`` at a time gain nothing.
    """

    @property
    def name(self) -> str:
        """Which engine it is, as in ``--engine``."""

    @property
    def precision(self) -> str:
        """What it computes in: ``float32``, ``bfloat16``, ``float16`` or ``int8``."""

    reason: str
    """Why it is this engine and this precision, for whoever reads a report."""

    @property
    def threads(self) -> int:
        """Processor cores that it uses."""

    @property
    def calls_at_once(self) -> int:
        """How many calls at a time make the most of them."""

    def close(self) -> None:
        """Give back the memory and the threads. May be called more than once."""


def can_compute(engine: str, precision: str) -> bool:
    """Whether an engine computes in a precision on this machine.

    On a processor without bfloat16 TensorFlow emulates it, slowly. OpenVINO would compute in float32 and not say so.
    """
    return precision in PRECISIONS[engine] and (engine, precision, cpu_has_bfloat16()) != (
        "openvino",
        "bfloat16",
        False,
    )


def check_engine(engine: str | None, precision: str, threads: int | None = None) -> None:
    """Find the mistakes in what is asked of an engine that show without making it.

    Args:
        engine: its name; ``auto`` or None where that is still to be chosen.
        precision: one of `PRECISIONS`.
        threads: processor cores to use.

    Raises:
        ConfigError: no such engine, a precision it does not compute in, or no threads.
    """
    if engine not in (*ENGINES, "auto", None):
        raise ConfigError(f"engine: got {engine!r}, expected one of auto, {', '.join(ENGINES)}.")
    if threads is not None and threads < 1:
        raise ConfigError(f"threads: got {threads}, expected at least 1.")
    known = list(dict.fromkeys(name for names in PRECISIONS.values() for name in names))
    if precision not in known:
        raise ConfigError(f"precision: got {precision!r}, expected one of {', '.join(known)}.")
    if engine is None or engine == "auto":
        return
    if precision not in PRECISIONS[engine]:
        able = [name for name in ENGINES if precision in PRECISIONS[name]]
        raise ConfigError(
            f"precision: the engine {engine} does not compute in {precision}, {' and '.join(able)} does; "
            f"expected one of {', '.join(PRECISIONS[engine])}, or engine: {able[0]}."
        )
    if not can_compute(engine, precision):
        raise ConfigError(
            f"precision: this processor does not compute in {precision}, and {engine} would take float32 instead; "
            f"expected float32 or auto, or engine: tensorflow, which emulates it slowly."
        )
