"""Networks as OpenVINO compiled them, kept for the next start: building and compiling one takes longer than reading it.

Each is a file in ``engines/`` of the cache folder: the SHA-256 of what follows, then what OpenVINO exported. OpenVINO
reads such files without checks of its own, so one that is damaged counts as none; so does one where anything that it
was made from has changed.

Importing this module does not import OpenVINO.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import logging
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from pipeline.errors import SinkError
from pipeline.hardware import cpu_name
from pipeline.models.cache import cache_folder, read_limited, write_whole

logger = logging.getLogger(__name__)

_DIGEST_BYTES = 32
_LARGEST = 256 * 1024 * 1024


class CompiledFile:
    """Where the compiled form of one network is kept.

    Args:
        network: its name, for the file's.
        made_from: everything that decides what is compiled, besides this machine, the libraries and the code that
            builds networks.
    """

    def __init__(self, network: str, made_from: Mapping[str, object]) -> None:
        versions = (importlib.metadata.version("openvino"), cpu_name(), _builders())
        key = hashlib.sha256(repr((sorted(made_from.items()), versions)).encode()).hexdigest()
        self._stem = f"{network}-"
        self._path = cache_folder() / "engines" / f"{self._stem}{key[:32]}.compiled"

    def read(self, core: Any, settings: Mapping[str, Any]) -> tuple[Any, BytesIO] | None:
        """The ``openvino.CompiledModel`` and what it was read from; None where there is none that can be used."""
        data = read_limited(self._path, _LARGEST)
        if data is None:
            return None
        exported = BytesIO(data[_DIGEST_BYTES:])
        if hashlib.sha256(exported.getbuffer()).digest() != data[:_DIGEST_BYTES]:
            logger.warning("%s is damaged: the network is compiled anew", self._path)
            return None
        try:
            return core.import_model(exported, "CPU", dict(settings)), exported
        except RuntimeError as error:
            logger.info("the network is compiled anew, %s can't be used: %s", self._path, error)
            return None

    def write(self, compiled: Any) -> None:
        """Keep a network in place of others of its name. Where that can't be done, a warning says so."""
        data: bytes = compiled.export_model().getvalue()
        try:
            write_whole(self._path, hashlib.sha256(data).digest() + data)
            for old in self._path.parent.glob(f"{self._stem}*.compiled"):
                if old != self._path:
                    old.unlink(missing_ok=True)
        except (SinkError, OSError) as error:
            logger.warning("the network will be compiled again next time: %s", error)


@functools.cache
def _builders() -> str:
    """Digest of the code that builds networks: what an earlier version of it made is not to be taken for today's."""
    names = ("openvino_int8", "openvino_network", "quantization", "activation_ranges")
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in names)).hexdigest()
