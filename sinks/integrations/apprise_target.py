"""Messages through Apprise, which knows some hundred services. Needs the extra ``notify``.

The address of a service is a secret as a whole: it is in no log, no error and no ``str()``.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote_plus

from pipeline.errors import ConfigError, SinkError
from sinks.integrations.notification import Message

# The loggers of what may name an address, while it works for a target.
_LOGGERS = ("apprise", "urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "requests")
_heard: ContextVar[list[logging.LogRecord] | None] = ContextVar("heard", default=None)


class AppriseTarget:
    """Somebody who is told through a service. ``str()`` of it is the name.

    Args:
        name: in logs and reports.
        url: as https://appriseit.com/services/ has it, of one service.
        where: what holds the address, for messages.
    """

    def __init__(self, name: str, url: str, *, where: str = "its address") -> None:
        self._name = name
        self._url = url
        self._where = where
        self._secrets = _words(url)

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    def check(self) -> None:
        """Raise if Apprise is not installed, or does not know the address.

        Raises:
            SinkError: Apprise is not installed.
            ConfigError: it knows no such address, or there are several.
        """
        self._service()

    def send(self, message: Message) -> str | None:
        """Send a message; returns what went wrong, in words without secrets, or None."""
        apprise = load_apprise()
        kind = apprise.NotifyType
        kinds = {"info": kind.INFO, "warning": kind.WARNING, "critical": kind.FAILURE}
        attached = None
        if message.picture is not None:
            memory = importlib.import_module("apprise.attachment.memory").AttachMemory
            attached = memory(message.picture, name=message.picture_name, mimetype=message.media_type)
        with _listening() as heard:
            taken = self._service().notify(
                title=message.title,
                body=message.body,
                notify_type=kinds[message.severity],
                body_format=apprise.NotifyFormat.TEXT,
                attach=attached,
            )
        return None if taken else self._reason(heard)

    def _service(self) -> Any:
        """Apprise with this one service, which is made anew for each message, as it may keep what went wrong."""
        apprise = load_apprise()
        with _listening() as heard:
            # Nothing of what is sent, and to whom, is kept on the disk. A limit to the whole would be kept by threads
            # that outlive it: what was given up could still arrive, and come twice.
            asset = apprise.AppriseAsset(storage_mode="memory", async_mode=False, service_timeout=0)
            service = apprise.Apprise(asset=asset)
            known = service.add(self._url)
        if not known:
            raise ConfigError(
                f"notify {self._name}: {self._where} holds no address that Apprise can use: {self._reason(heard)}"
            )
        if len(service) != 1:
            raise ConfigError(
                f"notify {self._name}: {self._where} holds {len(service)} addresses; give each a target of its own"
            )
        return service

    def _reason(self, heard: list[logging.LogRecord]) -> str:
        told = [record.getMessage() for record in heard if record.levelno >= logging.WARNING]
        return self.private(" ".join(told[-1].split()) if told else "no reason is given")

    def private(self, text: str) -> str:
        """A beginning of text, without anything that is part of the address."""
        text = re.sub(r"\w+://\S+", "***", text)
        for secret in self._secrets:
            word = re.escape(secret) if len(secret) > 3 else rf"(?<!\w){re.escape(secret)}(?!\w)"
            text = re.sub(word, "***", text, flags=re.IGNORECASE)
        return text[:300].rstrip(". ")


def load_apprise() -> Any:
    """Apprise's package, imported when it is asked for.

    Raises:
        SinkError: it is not installed.
    """
    try:
        apprise = importlib.import_module("apprise")
    except ImportError as error:
        raise SinkError(
            "notifications need Apprise, which is not installed: pip install 'sightline[notify]'"
        ) from error
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_keep_to_ourselves)
    return apprise


@contextmanager
def _listening() -> Iterator[list[logging.LogRecord]]:
    """What is logged by this thread within, which is kept from everybody else."""
    heard: list[logging.LogRecord] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def _keep_to_ourselves(record: logging.LogRecord) -> bool:
    heard = _heard.get()
    if heard is not None:
        heard.append(record)
    return heard is None


def _words(url: str) -> list[str]:
    """The parts of an address, as they are written and as they are meant, the longest first."""
    parts = re.split(r"[/?&=@:,#\s]+", url.partition("://")[2])
    words = {each for part in parts for each in (part, unquote_plus(part)) if len(each) > 1}
    return sorted({url, *words}, key=len, reverse=True)
