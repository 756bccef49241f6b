"""What the values of configuration keys may be, each a checked type, and what all sections share."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from pipeline.event_codec import EVENT_TYPES_BY_NAME
from pipeline.stream_names import LONGEST, is_plain_name


def _some_text(value: str) -> str:
    if not value.strip():
        raise ValueError("expected text that is not empty")
    return value


def _at_home(value: str) -> str:
    """``~/clip.mp4`` as shells read it: no shell has seen what is in a file of settings."""
    return os.path.expanduser(value) if value.startswith("~/") else value  # noqa: PTH111


def _some_path(value: Path) -> Path:
    if value == Path():
        raise ValueError("expected the path of a file")
    return Path(_at_home(str(value)))


def _some_folder(value: object) -> object:
    # As a path, no text at all would be the current folder.
    if value == "":
        raise ValueError("expected the path of a folder")
    return _at_home(value) if isinstance(value, str) else value


def _some_classes(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("names no class; give some, such as person and car, or leave it out for all of them")
    return value


def _predicate(value: str) -> str:
    file, _, function = value.rpartition(":")
    if not file or not function.isidentifier():
        raise ValueError("expected a Python file and a function in it, such as my_file.py:keep")
    return _at_home(value)


def _setting(value: object) -> float | int | bool:
    if isinstance(value, bool | int) or (isinstance(value, float) and abs(value) < float("inf")):
        return value
    raise ValueError("expected a number, true or false")


def _detect_every(value: object) -> int | str:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError("expected a whole number, at least 1, or auto")


def _detect_region(value: object) -> str | tuple[float, ...]:
    if value == "zones":
        return value
    if isinstance(value, list | tuple) and len(value) == 4:
        numbers = [item for item in value if isinstance(item, int | float) and not isinstance(item, bool)]
        if len(numbers) == 4 and 0 <= numbers[0] < numbers[2] <= 1 and 0 <= numbers[1] < numbers[3] <= 1:
            return tuple(map(float, numbers))
    raise ValueError("expected zones, or [left, top, right, bottom] as parts of the picture, such as [0, 0.4, 1, 1]")


def _endpoint(value: str) -> str:
    if not re.fullmatch(r"tcp://\S+:([0-9]{1,5}|\*)|ipc://[^@\s]\S*", value):
        raise ValueError("expected tcp://HOST:PORT, such as tcp://127.0.0.1:5556, or ipc://PATH")
    return value


def _web_address(value: str) -> str:
    host, _, port = value.rpartition(":")
    plain = re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host)
    if not plain or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:
        raise ValueError("expected HOST:PORT, such as 127.0.0.1:8080")
    return value


def this_machine_only(host: str) -> bool:
    """Whether only this machine can reach a host's address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _event_type(value: str) -> str:
    if value not in EVENT_TYPES_BY_NAME:
        raise ValueError(f"expected one of {', '.join(EVENT_TYPES_BY_NAME)}")
    return value


def _target_name(value: str) -> str:
    if not is_plain_name(value):
        raise ValueError(f"expected a name of at most {LONGEST} letters, digits, _ and -")
    return value


Text = Annotated[str, AfterValidator(_some_text)]
FilePath = Annotated[Path, AfterValidator(_some_path)]
FolderPath = Annotated[Path, BeforeValidator(_some_folder)]
SourceText = Annotated[str, AfterValidator(_some_text), AfterValidator(_at_home)]
Unit = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
NotNegativeInteger = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
DetectRegion = Annotated[Literal["zones"] | tuple[float, float, float, float], PlainValidator(_detect_region)]
Share = Annotated[float, Field(gt=0, le=1)]
PixelValue = Annotated[float, Field(ge=0, le=255)]
DetectEvery = Annotated[int | Literal["auto"], PlainValidator(_detect_every)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Point = tuple[float, float]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3)]
FourPoints = tuple[Point, Point, Point, Point]
Head = Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=3, max_length=3)]
Classes = Annotated[tuple[Text, ...], AfterValidator(_some_classes)]
Predicate = Annotated[str, AfterValidator(_predicate)]
Setting = Annotated[float | int | bool, PlainValidator(_setting)]
EventType = Annotated[str, AfterValidator(_event_type)]
TargetName = Annotated[str, AfterValidator(_target_name)]
WebAddress = Annotated[str, AfterValidator(_web_address)]


class Section(BaseModel):
    """What all sections share: closed, frozen, strict, finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
