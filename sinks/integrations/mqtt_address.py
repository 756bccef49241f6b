"""Where an MQTT broker is, and who logs in there."""

from __future__ import annotations

from pipeline.addresses import parse_address
from pipeline.errors import ConfigError, SinkPathError
from pipeline.redaction import redact_address


class BrokerAddress:
    """Where the broker is. ``str()`` of it holds no user and no password."""

    def __init__(self, url: str) -> None:
        try:
            parts = parse_address(url)
            host, port = parts.host_and_port()
        except ConfigError as error:
            raise SinkPathError(f"mqtt: {error}") from None
        if parts.scheme not in {"mqtt", "mqtts"} or not host or parts.tail.strip("/"):
            raise SinkPathError(f"mqtt: expected mqtt://HOST:PORT, or mqtts://, got {redact_address(url)}")
        self.secure = parts.scheme == "mqtts"
        self.host = host
        self.port = port or (8883 if self.secure else 1883)
        self.user = parts.user.decode(errors="replace") if parts.user else None
        self.password = parts.password or None
        self._shown = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __str__(self) -> str:
        return self._shown
