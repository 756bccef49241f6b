"""Logging in and out."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from sightline.server.access import COOKIE, SESSION_S, Access, TooManyTriesError
from sightline.server.guard import client_address, session_of


class SessionView(BaseModel):
    """What the one who asks may do, and whether a token is needed for anything."""

    role: Literal["admin", "read"] | None
    login: bool


class Login(BaseModel):
    """A token."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=1000, repr=False)]


def session_router(access: Access) -> APIRouter:
    """``/api/session``."""
    router = APIRouter(prefix="/api/session", tags=["session"])

    @router.get("")
    async def session(request: Request) -> SessionView:
        """What you may do."""
        return SessionView(role=request.state.role, login=access.login)

    @router.post("")
    async def login(request: Request, response: Response, given: Login) -> SessionView:
        """Log in: the answer sets a cookie."""
        if not access.login:
            return SessionView(role="admin", login=False)
        try:
            role = access.role_of_token(given.token, client_address(request.scope))
        except TooManyTriesError as error:
            raise HTTPException(429, str(error), {"Retry-After": str(int(error.wait_s) + 1)}) from None
        if role is None:
            raise HTTPException(401, "this token is not right")
        response.set_cookie(
            COOKIE,
            access.begin_session(role),
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            # What speaks HTTPS may stand in front of this server; the page's address tells.
            secure=request.headers.get("origin", "").startswith("https://"),
        )
        return SessionView(role=role, login=True)

    @router.delete("")
    async def logout(request: Request, response: Response) -> SessionView:
        """Log out."""
        session = session_of(request.headers)
        if session is not None:
            access.end_session(session)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return SessionView(role=None if access.login else "admin", login=access.login)

    return router
