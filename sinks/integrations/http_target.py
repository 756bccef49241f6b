"""The web server that batches of events are posted to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import re
import socket
import ssl
from collections.abc import Mapping

from pipeline.addresses import parse_address
from pipeline.errors import ConfigError, SinkPathError
from pipeline.redaction import redact


class WebhookTarget:
    """A server, and how to post to it. ``str()`` of it holds no password and no query."""

    def __init__(self, url: str, headers: Mapping[str, str], secret: str | None, timeout_s: float) -> None:
        try:
            parts = parse_address(url)
            self._host, self._port = parts.host_and_port()
        except ConfigError as error:
            raise SinkPathError(f"webhook: {error}") from None
        if parts.scheme not in {"http", "https"} or not self._host:
            raise SinkPathError(f"webhook: expected an http or https URL with a host, got {parts.scheme}")
        target = parts.tail.partition("#")[0]
        if re.search(r"[^!-~]", target):
            raise SinkPathError("webhook: the URL holds characters that must be written as %XX")
        self._secure = parts.scheme == "https"
        self._path = target if target.startswith("/") else f"/{target}"
        self._shown = f"{parts.scheme}://{parts.host}{_shown_path(target)}"
        self._headers = {
            "User-Agent": "Sightline",
            "Connection": "close",
            **headers,
        }
        if parts.user is not None:
            login = parts.user + b":" + (parts.password or b"")
            self._headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        for name, value in self._headers.items():
            if not f"{name}{value}".isprintable() or not f"{name}{value}".isascii():
                raise SinkPathError(f"webhook: the header {name!r} must be printable ASCII")
        self._secret = secret.encode() if secret is not None else None
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self.trouble = ""

    def __str__(self) -> str:
        return self._shown

    def post(self, body: bytes, name: str, content_type: str) -> int | None:
        """Send a body; returns the status, or None when the server did not answer. ``trouble`` tells why it failed."""
        headers = {"Content-Type": content_type, **self._headers, "Idempotency-Key": f'"{name}"'}
        if self._secret is not None:
            digest = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
            headers["X-Sightline-Signature"] = f"sha256={digest}"
        connection = self._connect()
        self._connection = connection
        try:
            connection.request("POST", self._path, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            self.trouble = redact(str(error)) or type(error).__name__
            return None
        finally:
            self._connection = None
            connection.close()
        self.trouble = f"the server answers {status}"
        return status

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)

    def abort(self) -> None:
        """Break off what ``post`` is doing in another thread."""
        connection = self._connection
        sock = connection.sock if connection is not None else None
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has just come to its end by itself


def _shown_path(target: str) -> str:
    """A path of plain words. Of many services it is the path that lets one in."""
    words = target.partition("?")[0].split("/")
    return "/".join(word if re.fullmatch(r"[a-z][a-z_.-]{0,23}\d{0,2}|", word) else "***" for word in words)
