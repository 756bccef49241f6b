"""The part of a configuration that one process of a cluster runs."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.sources.uri import stream_name
from sightline.config.schema import Config, StreamSection
from sightline.config.sections import (
    EventSection,
    MqttSection,
    NotifySection,
    OutputSection,
    StoreSection,
    WebhookSection,
    WebSection,
)


def named_streams(config: Config) -> dict[str, StreamSection]:
    """The enabled streams of a configuration by their names, also where there is but a ``source``."""
    if config.source is not None:
        return {stream_name(config.source): StreamSection(source=config.source)}
    return {name: stream for name, stream in config.streams.items() if stream.enabled}


def shard_config(config: Config, names: Collection[str], *, threads: int = 0) -> Config:
    """A configuration with these streams alone, and without the outputs that the driver has for all of them.

    Args:
        config: of the cluster.
        names: of the streams.
        threads: cores for the network, unless the configuration says how many.
    """
    streams = {name: stream for name, stream in named_streams(config).items() if name in names}
    output = OutputSection.model_construct(
        **{key: getattr(config.output, key) for key in OutputSection.model_fields if key not in ("jsonl", "report")}
    )
    return config.model_copy(
        update={
            "source": None,
            "streams": streams,
            "output": output,
            "events": EventSection(update_hz=config.events.update_hz),
            "store": StoreSection(),
            "mqtt": MqttSection(),
            "webhook": WebhookSection(),
            "notify": NotifySection(),
            "web": WebSection(),
            "control": None,
            "threads": config.threads.model_copy(update={"network": config.threads.network or threads}),
        }
    )
