"""The first error of several steps that must all be taken, as at the end of a stream."""

from __future__ import annotations

from types import TracebackType


class FirstError:
    """As a context manager, entered as often as there are steps, it keeps what the first step to fail raised.

    An interrupt, which is no ``Exception``, goes on.

    Attributes:
        error: what went wrong first, or None.

    Args:
        error: what had gone wrong before.
    """

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = self.error or error
        return True
