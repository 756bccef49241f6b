"""The socket that takes commands while a pipeline runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.runtime.pipeline import Pipeline
from sightline.composition.reload import Reloader
from sightline.config.schema import Config, ResolvedStream
from sightline.terminal.status import status_line

if TYPE_CHECKING:
    from sightline.server.control_socket import ControlSocket


def build_control(config: Config, pipeline: Pipeline, reloader: Reloader[ResolvedStream]) -> ControlSocket | None:
    """The socket that takes commands while the pipeline runs, if one is wanted."""
    if config.control is None:
        return None
    from sightline.server.control_socket import ControlSocket  # it stands on pyzmq

    def stop() -> str:
        pipeline.stop()
        return "stopping"

    def status() -> str:
        return "\n".join(status_line(stream) for stream in pipeline.status())

    return ControlSocket(config.control, {"reload": reloader.reload, "status": status, "stop": stop})
