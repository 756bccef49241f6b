"""Addresses of the event feed: parsing, the loopback rule, and whether a port is free."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SinkError, SinkPathError

_FOR_REQUESTS = "endpoint for requests to the event feed"
_TCP = re.compile(r"tcp://(?P<host>\[[^]\s]*\]|[^\s:/\[\]]+):(?P<port>\*|\d{1,5})")
_EXAMPLE = "expected tcp://HOST:PORT such as tcp://127.0.0.1:5556"
_MAX_PATH_BYTES = 90  # the system allows about 107, and the path for requests is longer


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address to bind.

    Attributes:
        host: an IP address without brackets, ``*`` for every interface, or the name of an interface; empty for ``ipc``.
        port: 1 to 65535, or 0 for any free port (written ``*``) and for ``ipc``.
        path: of the socket's file, for ``ipc``; otherwise empty.
        purpose: what it is for, in error messages.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    purpose: str = "events endpoint"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``tcp://HOST:PORT`` or ``ipc://PATH``; ``localhost`` is taken as 127.0.0.1.

        Raises:
            SinkPathError: it is no such address.
        """
        if text.startswith("ipc://"):
            return cls(path=_socket_path(text))
        match = _TCP.fullmatch(text)
        if match is None:
            raise SinkPathError(f"events endpoint {text!r}: {_EXAMPLE}")
        host = match["host"].strip("[]")
        if match["host"].startswith("["):
            try:
                ipaddress.IPv6Address(host)
            except ValueError:
                raise SinkPathError(f"events endpoint {text!r}: {host} is not an IPv6 address; {_EXAMPLE}") from None
        port = 0 if match["port"] == "*" else int(match["port"])
        if match["port"] != "*" and not 1 <= port <= 65535:
            raise SinkPathError(f"events endpoint {text!r}: port {port} is not between 1 and 65535; {_EXAMPLE}")
        return cls("127.0.0.1" if host == "localhost" else host, port)

    def __str__(self) -> str:
        if self.path:
            return f"ipc://{self.path}"
        host = f"[{self.host}]" if self.ipv6 else self.host
        return f"tcp://{host}:{self.port or '*'}"

    @property
    def ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    @property
    def local(self) -> bool:
        """Whether only programs on this machine can connect."""
        if self.path:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def requests(self) -> Endpoint:
        """Where snapshots and replays are asked for unless told otherwise: the next port, or ``PATH.requests``."""
        if self.path:
            return Endpoint(path=f"{self.path}.requests", purpose=_FOR_REQUESTS)
        if self.port == 65535:
            raise SinkPathError(f"events endpoint {self}: the port after it is for requests, so use 65534 or less")
        return Endpoint(self.host, self.port + 1 if self.port else 0, purpose=_FOR_REQUESTS)

    def check_free(self) -> None:
        """Raise ``SinkError`` when the address can't be bound now."""
        if self.path:
            _check_path_free(Path(self.path), f"{self.purpose} {self}")
            return
        try:
            address = ipaddress.ip_address("0.0.0.0" if self.host == "*" else self.host)
        except ValueError:
            if self.host not in {name for _, name in socket.if_nameindex()}:
                raise SinkError(
                    f"{self.purpose} {self}: {self.host} is neither an IP address nor a network interface of this "
                    f"machine; {_EXAMPLE}"
                ) from None
            return  # what address the interface has is for ZeroMQ to find out
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As ZeroMQ does, so that a port whose last connections are still winding down counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((str(address), self.port))
                probe.listen(1)
            except OSError as error:
                raise SinkError(f"{self.purpose} {self}: {bind_problem(error.errno)}") from error


def _socket_path(text: str) -> str:
    path = text.removeprefix("ipc://")
    if not path or path.startswith("@") or len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise SinkPathError(
            f"events endpoint {text!r}: expected ipc://PATH with the path of a file, of {_MAX_PATH_BYTES} bytes at most"
        )
    return path


def _check_path_free(path: Path, what: str) -> None:
    if not path.parent.is_dir():
        raise SinkError(f"{what}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise SinkError(f"{what}: no permission to write to {path.parent}; choose another folder")
    if not path.exists():
        return
    if not path.is_socket():
        raise SinkError(f"{what}: there is a file of that name; choose another path")
    # ZeroMQ would take the path over from a program that still listens there.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return  # left behind by a program that is gone
        except OSError as error:
            raise SinkError(f"{what}: {bind_problem(error.errno)}") from error
    raise SinkError(f"{what}: {bind_problem(errno.EADDRINUSE)}")


def bind_problem(number: int | None) -> str:
    """Why a bind failed and what to do, in words."""
    if number == errno.EADDRINUSE:
        return "it is in use by another program; stop that, or choose another address"
    if number in {errno.EADDRNOTAVAIL, errno.ENODEV}:
        return "this machine has no such address; use 127.0.0.1 or an address of this machine"
    if number in {errno.EACCES, errno.EPERM}:
        return "no permission for it; use a port above 1023 or another folder"
    return f"it can't be bound ({errno.errorcode.get(number or 0, 'unknown error')}); choose another address"
