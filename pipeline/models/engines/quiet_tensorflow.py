"""TensorFlow, imported once, without its chatter and without Keras; others import its ``tf``.

It takes seconds to load, so what imports this is itself imported only when a network is to be computed.

While it loads, TensorFlow writes a dozen lines of no concern to anybody (which instructions it uses, that there is no
GPU) straight to file descriptor 2, from C++ and before any setting of its own applies. They go to the log at debug
level instead, unless TF_CPP_MIN_LOG_LEVEL is 0. A module's body runs once and under Python's import lock, so the detour
of the descriptor needs no lock of its own.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

_CHATTER = re.compile(
    rb"[IWE]\d{4} \d\d:\d\d:[\d.]+ |[IWE]0000 00:00:|\d{4}-\d\d-\d\d \d\d:\d\d:[\d.]+: [IWE] "
    rb"|WARNING: All log messages before absl|To enable the following instructions:"
)


@contextmanager
def _chatter_to_log() -> Iterator[None]:
    """Meanwhile, collect what is written to descriptor 2; then log TensorFlow's lines and write out all others."""
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # this process has no standard error to keep clean
        yield
        return
    with tempfile.TemporaryFile() as collected:
        os.dup2(collected.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            collected.seek(0)
            for line in collected:
                if _CHATTER.match(line):
                    logger.debug("%s", line.decode(errors="replace").rstrip())
                else:
                    os.write(2, line)


@contextmanager
def _default_environment(name: str, value: str) -> Iterator[None]:
    """Meanwhile, ``value`` for an environment variable that is not set."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)


@contextmanager
def _quietly() -> Iterator[None]:
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    # TensorFlow reads the level once, when it first has something to say.
    with _default_environment("TF_CPP_MIN_LOG_LEVEL", "2"), _chatter_to_log():
        yield


# TensorFlow imports the whole of Keras 3 for nothing but its side effects unless told that Keras 2 is wanted, which
# saves a second here. `tf.keras` looks at the variable again when it is first used, and then finds Keras 3.
with _quietly(), _default_environment("TF_USE_LEGACY_KERAS", "1"):
    import tensorflow as tf

    # The first session looks for devices and says so.
    with tf.compat.v1.Session(graph=tf.Graph(), config=tf.compat.v1.ConfigProto(device_count={"GPU": 0})):
        pass

    # So does the first look for GPUs.
    gpu_count: int = len(tf.config.list_physical_devices("GPU"))

__all__ = ["gpu_count", "tf"]
