"""The fields of a protobuf message, read within limits and without its schema.

https://protobuf.dev/programming-guides/encoding/ describes the format: a message is a row of fields, each a key (its
number and how it is written) and a value. Values of a length are given as views of the message: nothing is copied, so
that a message of any size costs no more memory than it has.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes of 7 bits each, for 64 bits


class WireError(ValueError):
    """Bytes that are no protobuf message."""


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field, in the order they stand there.

    Args:
        message: bytes of one message.

    Yields:
        The field's number with an unsigned integer (varints, 32 and 64 bits) or a view of what has a length: text,
        bytes, a message, packed numbers.

    Raises:
        WireError: they end in the middle of a field, or are no protobuf.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        value: int | memoryview
        if not number:
            raise WireError("a field has the number 0")
        if kind == _VARINT:
            value, at = _varint(message, at)
        elif kind == _LENGTH:
            length, at = _varint(message, at)
            if length > end - at:
                raise WireError("a field is longer than what holds it")
            value, at = message[at : at + length], at + length
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
            if size > end - at:
                raise WireError("it ends in the middle of a number")
            value, at = int.from_bytes(message[at : at + size], "little"), at + size
        else:
            raise WireError(f"a field is of the unknown kind {kind}")
        yield number, value


def varints(value: int | memoryview) -> Iterator[int]:
    """The integers of a repeated field: one, or a packed row of them."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number


def message_of(value: int | memoryview) -> memoryview:
    """A value that has to be of a length, such as a message."""
    if isinstance(value, int):
        raise WireError("a number is where a message should be")
    return value


def number_of(value: int | memoryview) -> int:
    """A value that has to be an integer."""
    if not isinstance(value, int):
        raise WireError("a message is where a number should be")
    return value


def text_of(value: int | memoryview, most: int) -> str:
    """A value that has to be text in UTF-8 of at most ``most`` bytes."""
    data = message_of(value)
    if len(data) > most:
        raise WireError(f"text of {len(data):,} bytes, more than {most:,}")
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise WireError("text is not UTF-8") from error


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    result = shift = 0
    for byte in message[at : at + _LONGEST_VARINT]:
        result |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return result & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise WireError("it ends in the middle of a number, or a number is too long")
