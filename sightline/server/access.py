"""Who may do what over HTTP: tokens, sessions, and what a browser that was led astray is kept from.

Without tokens everybody who reaches the server is an administrator; then it listens on this machine only. A token comes
in the header ``Authorization: Bearer TOKEN``, or once to ``/api/session``, which gives a cookie for it. Tokens are
compared in constant time and never logged.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Literal

Role = Literal["admin", "read"]

COOKIE = "sightline_session"
SESSION_S = 30 * 86_400.0
_MOST_SESSIONS = 1000
# So many wrong tokens from one address are borne, and one more after each so many seconds.
_TRIES = 5
_TRY_AGAIN_S = 12.0
_MOST_ADDRESSES = 10_000


class Access:
    """Tells who somebody is, from a token or a session, and bears only so many wrong tokens.

    Args:
        admin_token: what gives the right to change things; None where nobody needs one.
        read_token: what gives the right to look only; None where there is none.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        admin_token: str | None = None,
        read_token: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens: list[tuple[bytes, Role]] = []
        if admin_token is not None:
            self._tokens.append((_digest(admin_token), "admin"))
        if read_token is not None:
            self._tokens.append((_digest(read_token), "read"))
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[bytes, tuple[Role, float]] = OrderedDict()
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def login(self) -> bool:
        """Whether a token is needed."""
        return bool(self._tokens)

    def role_of_token(self, token: str, address: str) -> Role | None:
        """What a token gives the right to, None for a wrong one, which counts against the address it came from.

        Raises:
            TooManyTriesError: too many wrong ones came from there lately.
        """
        given = _digest(token)
        with self._lock:
            self._refuse_after_failures(_network(address))
            role: Role | None = None
            for known, its_role in self._tokens:
                if hmac.compare_digest(known, given):
                    role = role or its_role
            if role is None:
                self._count_failure(_network(address))
            return role

    def role_of_session(self, session: str) -> Role | None:
        """What a session gives the right to; None for one that is over or never was."""
        key = _digest(session)
        with self._lock:
            role, until_s = self._sessions.get(key, (None, 0.0))
            if role is not None and self._clock() >= until_s:
                del self._sessions[key]
                return None
            return role

    def begin_session(self, role: Role) -> str:
        """A new session with that right; the oldest ends where there are too many."""
        session = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[_digest(session)] = (role, self._clock() + SESSION_S)
            while len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return session

    def end_session(self, session: str) -> None:
        """From now on the session gives no right."""
        with self._lock:
            self._sessions.pop(_digest(session), None)

    def _refuse_after_failures(self, network: str) -> None:
        spent, at_s = self._failures.get(network, (0.0, 0.0))
        left = spent - (self._clock() - at_s) / _TRY_AGAIN_S
        if left > _TRIES - 1:
            raise TooManyTriesError((left - (_TRIES - 1)) * _TRY_AGAIN_S)

    def _count_failure(self, network: str) -> None:
        now_s = self._clock()
        spent, at_s = self._failures.pop(network, (0.0, now_s))
        self._failures[network] = (max(0.0, spent - (now_s - at_s) / _TRY_AGAIN_S) + 1, now_s)
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)


class TooManyTriesError(Exception):
    """Too many wrong tokens came from one address.

    Attributes:
        wait_s: seconds until the next try.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many wrong tokens; wait a little")
        self.wait_s = wait_s


def host_allowed(host: str, names: Iterable[str]) -> bool:
    """Whether a request's ``Host`` may be meant for this server.

    A page of a stranger whose name was made to point here ("DNS rebinding") sends that name. What nobody can have
    pointed here passes: addresses as numbers, ``localhost``, and the names given.

    >>> [host_allowed(host, ["cams.example"]) for host in ("127.0.0.1:80", "[::1]", "localhost", "cams.example:1")]
    [True, True, True, True]
    >>> host_allowed("evil.example:8080", [])
    False
    """
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    if name == "localhost" or name in {each.lower() for each in names}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _network(address: str) -> str:
    """What one person may have all addresses of: an IPv4 address, 64 bits of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
