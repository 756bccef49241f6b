"""What stands before every HTTP request and WebSocket: who asks, whether a browser was led astray, how much is sent.

What is not listed as open to everybody asks for a right: reading for GET and WebSockets, changing for anything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sightline.server.access import COOKIE, Access, Role, TooManyTriesError, host_allowed

MAX_BODY_BYTES = 256 * 1024
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN = frozenset({"/", "/favicon.ico", "/healthz", "/readyz", "/api/session"})
_OPEN_FOLDER = "/page/"
_NOT_ALLOWED = 1008  # WebSocket close code, RFC 6455: policy violation
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Refuses what may not be, and tells the application who asks: ``request.state.role`` is a ``Role`` or None.

    Args:
        app: what is guarded.
        access: knows who somebody is.
        names: host names under which the server is reached.
    """

    def __init__(self, app: ASGIApp, access: Access, names: Iterable[str] = ()) -> None:
        self._app = app
        self._access = access
        self._names = tuple(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be, refuse the rest."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is not None:
            await _refuse(scope, send, *refused)
            return
        session = session_of(Headers(scope=scope)) if self._access.login else None
        if session is not None and self._access.role_of_session(session) is None:
            session = None  # a token lets in who was let in
        if scope["type"] == "websocket":
            await self._app(scope, receive if session is None else self._while_on(session, receive, send), send)
            return
        over = False

        async def send_with_headers(message: Message) -> None:
            nonlocal over
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            elif session is not None and message.get("more_body") and self._access.role_of_session(session) is None:
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            if not over:
                over = message["type"] == "http.response.body" and not message.get("more_body", False)
                await send(message)

        await self._app(scope, _bounded(scope, receive), send_with_headers)

    def _while_on(self, session: str, receive: Receive, send: Send) -> Receive:
        """``receive`` of a WebSocket that closes it, at its next message, once the session is over."""

        async def receive_while_on() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and self._access.role_of_session(session) is None:
                await send({"type": "websocket.close", "code": _NOT_ALLOWED, "reason": "logged out"})
                return {"type": "websocket.disconnect", "code": _NOT_ALLOWED}
            return message

        return receive_while_on

    def _refusal(self, scope: Scope) -> tuple[int, str, Mapping[str, str]] | None:
        """Status, reason and headers with which a request is refused; None for one that may pass."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not host_allowed(host, self._names):
            return 421, "this name is not one of the server's; add it to web.hosts", {}
        reads = scope["type"] == "http" and scope["method"] in _READS
        if not reads and not _same_site(headers, host):
            return 403, "refused: another site's page sent this", {}
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return 413, f"more than {MAX_BODY_BYTES} bytes", {}
        try:
            role = self._role(scope, headers)
        except TooManyTriesError as error:
            return 429, str(error), {"Retry-After": str(int(error.wait_s) + 1)}
        scope.setdefault("state", {})["role"] = role
        if scope["path"] in _OPEN or scope["path"].startswith(_OPEN_FOLDER):
            return None
        if role is None:
            return 401, "a token is needed", {"WWW-Authenticate": "Bearer"}
        if role != "admin" and not reads and scope["type"] != "websocket":
            return 403, "this token may only read", {}
        return None

    def _role(self, scope: Scope, headers: Headers) -> Role | None:
        if not self._access.login:
            return "admin"
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return self._access.role_of_token(token.strip(), client_address(scope))
        session = session_of(headers)
        return None if session is None else self._access.role_of_session(session)


def client_address(scope: Scope) -> str:
    """Where a request comes from; what proxies say of others is not believed."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def session_of(headers: Headers) -> str | None:
    """The session in a request's cookie, if there is one."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


def _same_site(headers: Headers, host: str) -> bool:
    """Whether a page of this server sent it, or no page at all: browsers say where what they send comes from."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() == host.lower()
    return headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """``receive`` that ends a body which grows beyond what is allowed, as if the sender had gone."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                return {"type": "http.disconnect"}
        return message

    return receive_bounded


async def _refuse(scope: Scope, send: Send, status: int, reason: str, extra: Mapping[str, str]) -> None:
    body = json.dumps({"errors": [{"where": "", "message": reason}]}).encode()
    headers = {**SECURITY_HEADERS, "Content-Type": "application/json", "Cache-Control": "no-store", **extra}
    headers["Content-Length"] = str(len(body))
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    await send({"type": f"{kind}.start", "status": status, "headers": raw})
    await send({"type": f"{kind}.body", "body": body})
