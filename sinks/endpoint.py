"""Addresses of the event feed: parsing, the loopback rule, and whether a port is free."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from dataclasses import dataclass

from pipeline.errors import SinkError

_TCP = re.compile(r"tcp://(?P<host>\[[^]\s]*\]|[^\s:/\[\]]+):(?P<port>\*|\d{1,5})")
_EXAMPLE = "expected tcp://HOST:PORT such as tcp://127.0.0.1:5556"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A TCP address to bind.

    Attributes:
        host: an IP address without brackets, ``*`` for every interface, or the name of an interface.
        port: 1 to 65535, or 0 for any free port (written ``*``).
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``tcp://HOST:PORT``; ``localhost`` is taken as 127.0.0.1.

        Raises:
            SinkError: it is no such address.
        """
        match = _TCP.fullmatch(text)
        if match is None:
            raise SinkError(f"events endpoint {text!r}: {_EXAMPLE}")
        host = match["host"].strip("[]")
        if match["host"].startswith("["):
            try:
                ipaddress.IPv6Address(host)
            except ValueError:
                raise SinkError(f"events endpoint {text!r}: {host} is not an IPv6 address; {_EXAMPLE}") from None
        port = 0 if match["port"] == "*" else int(match["port"])
        if match["port"] != "*" and not 1 <= port <= 65535:
            raise SinkError(f"events endpoint {text!r}: port {port} is not between 1 and 65535; {_EXAMPLE}")
        return cls("127.0.0.1" if host == "localhost" else host, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port or '*'}"

    @property
    def ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    @property
    def loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def requests(self) -> Endpoint:
        """Where snapshots and replays are asked for unless told otherwise: the next port."""
        if self.port == 65535:
            raise SinkError(f"events endpoint {self}: the port after it is for requests, so use 65534 or less")
        return Endpoint(self.host, self.port + 1 if self.port else 0)

    def check_free(self) -> None:
        """Raise ``SinkError`` when the address can't be bound now. Says nothing of interfaces given by name."""
        try:
            address = ipaddress.ip_address("0.0.0.0" if self.host == "*" else self.host)
        except ValueError:
            if self.host not in {name for _, name in socket.if_nameindex()}:
                raise SinkError(
                    f"events endpoint {self}: {self.host} is neither an IP address nor a network interface of this "
                    f"machine; {_EXAMPLE}"
                ) from None
            return
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As ZeroMQ does, so that a port whose last connections are still winding down counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((str(address), self.port))
                probe.listen(1)
            except OSError as error:
                raise SinkError(f"events endpoint {self}: {bind_problem(error.errno)}") from error


def bind_problem(number: int | None) -> str:
    """Why a bind failed and what to do, in words."""
    if number == errno.EADDRINUSE:
        return "the port is in use by another program; stop that or choose another port"
    if number in {errno.EADDRNOTAVAIL, errno.ENODEV}:
        return "this machine has no such address; use 127.0.0.1 or an address of this machine"
    if number in {errno.EACCES, errno.EPERM}:
        return "no permission for this port; use one above 1023"
    return f"it can't be bound ({errno.errorcode.get(number or 0, 'unknown error')}); choose another address"
