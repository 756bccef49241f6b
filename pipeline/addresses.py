"""The parts of an address: what is connected to, and with which user name and password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pipeline.errors import ConfigError
from pipeline.redaction import login_end, redact_address

_BEGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PLAIN_IN_LOGIN = "!$&'()*+,;=~[]^|{}"


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of ``scheme://user:password@host:port/path?query``.

    Attributes:
        scheme: in lower case.
        host: with the port, as written, such as ``camera:554`` or ``[::1]``.
        tail: everything behind it, with its "/", "?" or "#".
        user, password: with ``%XX`` decoded; None where there is none.
    """

    scheme: str
    host: str
    tail: str
    user: bytes | None = None
    password: bytes | None = None

    def with_login(self, user: bytes | None, password: bytes | None) -> Address:
        """The same with another user name and password; None keeps the one that is there."""
        kept = self.user if user is None else user, self.password if password is None else password
        return Address(self.scheme, self.host, self.tail, *kept)

    def host_and_port(self) -> tuple[str, int | None]:
        """The host without the brackets of IPv6, and the port, if one is given.

        Raises:
            ConfigError: the port is no number from 1 to 65535.
        """
        found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?", self.host)
        port = int(found[2]) if found is not None and found[2] is not None else None
        if found is None or (port is not None and not 1 <= port <= 65535):
            raise ConfigError(f"{self.scheme}://{self.host}: expected HOST or HOST:PORT, with a port from 1 to 65535")
        return found[1].strip("[]"), port

    @property
    def login(self) -> str:
        """``user:password``, with ``%XX`` for no more characters than need it; empty where there is none."""
        if self.user is None and self.password is None:
            return ""
        user = quote_from_bytes(self.user or b"", safe=_PLAIN_IN_LOGIN)
        # FFmpeg sends no login without a colon in it.
        return f"{user}:{quote_from_bytes(self.password or b'', safe=f'{_PLAIN_IN_LOGIN}:')}"

    @property
    def encoded(self) -> str:
        """The whole address in a form that every parser reads alike."""
        return f"{self.scheme}://{f'{self.login}@' if self.login else ''}{self.host}{self.tail}"


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        ConfigError: it is none, or nobody can tell where its password ends.
    """
    begin = _BEGIN.match(text)
    if begin is None:
        raise ConfigError(f"{redact_address(text)}: expected an address such as rtsp://HOST/PATH")
    rest = text[begin.end() :]
    end = login_end(rest)
    if end is None:
        raise ConfigError(
            f"{redact_address(text)}: can't tell where its password ends; write @ as %40, / as %2F, ? as %3F and # as "
            "%23 in the user name and the password, and @ as %40 in the path"
        )
    host = re.match(r"[^/?#]*", rest[end:])
    assert host is not None
    parts = Address(begin[1].lower(), host[0], rest[end + host.end() :])
    if end == 0:
        return parts
    user, colon, password = rest[: end - 1].partition(":")
    return parts.with_login(unquote_to_bytes(user), unquote_to_bytes(password) if colon else None)
