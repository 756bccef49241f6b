"""What is answered where something can't be done."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from sightline.server.run_access import InvalidError, Mistake, NotNowError, NotThereError


class Errors(BaseModel):
    """Everything that is wrong, all at once."""

    errors: list[Mistake]


# What stands before every request may answer so.
COMMON: dict[int | str, dict[str, Any]] = {
    400: {"model": Errors, "description": "The body is no JSON."},
    401: {"model": Errors, "description": "A token is needed."},
    403: {"model": Errors, "description": "The token may only read, or another site's page sent this."},
    413: {"model": Errors, "description": "The body is too large."},
    421: {"model": Errors, "description": "The server has no such name."},
    422: {"model": Errors, "description": "What was asked for is wrong; nothing was changed."},
    429: {"model": Errors, "description": "Too many wrong tokens came from this address."},
}
NOT_THERE: dict[int | str, dict[str, Any]] = {404: {"model": Errors, "description": "There is no such stream."}}
NOT_NOW: dict[int | str, dict[str, Any]] = {409: {"model": Errors, "description": "It can't be done as things are."}}
BUSY: dict[int | str, dict[str, Any]] = {503: {"model": Errors, "description": "The run is too busy to tell."}}


def answer_problems(app: FastAPI) -> None:
    """Have an application answer exceptions as ``Errors``."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(InvalidError, _invalid)
    app.add_exception_handler(NotThereError, lambda _, error: _one(404, str(error)))
    app.add_exception_handler(NotNowError, lambda _, error: _one(409, str(error)))
    app.add_exception_handler(TimeoutError, lambda _, error: _one(503, "the run is too busy to tell; ask again"))


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    answer = _one(error.status_code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _answer(
        422, [Mistake(".".join(str(part) for part in item["loc"][1:]), item["msg"]) for item in error.errors()]
    )


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InvalidError)
    return _answer(422, list(error.mistakes))


def _one(status: int, message: str) -> JSONResponse:
    return _answer(status, [Mistake("", message)])


def _answer(status: int, mistakes: list[Mistake]) -> JSONResponse:
    return JSONResponse(Errors(errors=mistakes).model_dump(), status)
