"""What all of ImageAI's classes do with the file of a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.errors import ConfigError
from pipeline.hardware import has_gpu_device

PathLike = str | os.PathLike[str]


T = TypeVar("T")


class ModelFileUser(Generic[T]):
    """A class whose network, which is a ``T`` once it is loaded, has its weights from a file or published ones."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._loaded: T | None = None

    def setModelPath(self, model_path: PathLike | None = None, *, path: PathLike | None = None) -> None:
        """Take the weights from a file; without this call they are the published ones.

        Args:
            model_path: the file; docs/from-imageai.md tells which kinds each class reads.
            path: the same, as ImageAI 3 names it in some classes.

        Raises:
            ConfigError: there is no such file.
        """
        given = model_path if model_path is not None else path
        if given is None or not Path(given).is_file():
            raise ConfigError(f"setModelPath: there is no file {os.fspath(given) if given is not None else ''!r}")
        self._path = Path(given)
        self._loaded = None

    def useCPU(self) -> None:
        """Compute on the processor, also where there is a GPU. Call it before ``loadModel``.

        Raises:
            ConfigError: the GPU is in use already.
        """
        if not has_gpu_device():
            return
        from pipeline.models.engines.quiet_tensorflow import tf

        try:
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError as error:
            raise ConfigError("useCPU: too late, the GPU is in use; call it before loadModel()") from error
