"""What a person is told of an alert, or of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from pipeline.event_codec import event_type
from pipeline.events import AlertEnded, AlertStarted, AlertUpdated

Alert = AlertStarted | AlertUpdated | AlertEnded
Severity = Literal["info", "warning", "critical"]

_LEVELS: tuple[Severity, ...] = ("info", "warning", "critical")


class Notification(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event of an alert, as it waits to be told.

    Attributes:
        type: of the event, such as ``alert.started``.
        stream, rule, severity, text: as the event has them.
        wall: likewise, UTC.
        duration_s: of an alert that has ended.
        picture: a whole file; None where there is none.
        media_type: of the picture, such as ``image/jpeg``.
    """

    type: str
    stream: str
    rule: str
    severity: Severity
    text: str
    wall: str
    duration_s: float | None = None
    picture: bytes | None = None
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent.

    Attributes:
        title: one line.
        body: plain text, perhaps of several lines.
        severity: of the worst alert in it.
        picture: a whole file; None where there is none.
        media_type: of the picture.
    """

    title: str
    body: str
    severity: Severity = "info"
    picture: bytes | None = None
    media_type: str = "image/jpeg"

    @property
    def picture_name(self) -> str:
        """What the picture's file is called."""
        return f"alert.{'jpg' if self.media_type == 'image/jpeg' else self.media_type.rpartition('/')[2]}"


def notification_of(event: Alert, picture: bytes | None = None, media_type: str | None = None) -> Notification:
    """What is told of an event."""
    return Notification(
        type=event_type(event),
        stream=event.stream,
        rule=event.rule,
        severity=event.severity,
        text=event.text,
        wall=event.wall,
        duration_s=event.duration_s if isinstance(event, AlertEnded) else None,
        picture=picture,
        media_type=media_type,
    )


def encode_notifications(notifications: Sequence[Notification]) -> bytes:
    """Notifications as a JSON array, pictures in base64."""
    return msgspec.json.encode(notifications)


def decode_notifications(body: bytes) -> list[Notification]:
    """What ``encode_notifications`` made; raises ``msgspec.MsgspecError`` for anything else."""
    return msgspec.json.decode(body, type=list[Notification])


def message_of(notifications: Sequence[Notification]) -> Message:
    """One message about one notification, or about several: how many of which, the last one's text, the newest picture.

    >>> at = "2026-11-30T22:04:24.286Z"
    >>> one = Notification("alert.started", "yard", "prowler", "critical", "1 person in yard", at)
    >>> message_of([one]).title
    'yard: prowler'
    >>> message_of([one, one, one]).title
    '3 alerts: 3 prowler'
    """
    last = notifications[-1]
    pictured = next((each for each in reversed(notifications) if each.picture is not None), last)
    worst = max((each.severity for each in notifications), key=_LEVELS.index)
    alone = len(notifications) == 1
    return Message(
        title=_title(last) if alone else _summary(notifications),
        body=f"{_text(last)}\n{_time(last)}" if alone else _account(notifications),
        severity=worst,
        picture=pictured.picture,
        media_type=pictured.media_type or "image/jpeg",
    )


def _title(one: Notification) -> str:
    return f"{one.stream}: {one.rule}{' is over' if one.type == 'alert.ended' else ''}"


def _text(one: Notification) -> str:
    return one.text if one.duration_s is None else f"{one.text} (over after {one.duration_s:.0f} s)"


def _summary(notifications: Sequence[Notification]) -> str:
    started = [each for each in notifications if each.type == "alert.started"]
    if not started:
        return f"{len(notifications)} changes of alerts: {_how_many(each.rule for each in notifications)}"
    return f"{len(started)} alert{'s' if len(started) > 1 else ''}: {_how_many(each.rule for each in started)}"


def _account(notifications: Sequence[Notification]) -> str:
    streams = {each.stream for each in notifications}
    lines = [f"{_how_many(each.stream for each in notifications)}"] if len(streams) > 1 else [next(iter(streams))]
    ended = [each for each in notifications if each.type == "alert.ended"]
    if ended:
        lines.append(f"over: {_how_many(each.rule for each in ended)}")
    lines.append(f"from {_time(notifications[0])} to {_time(notifications[-1])}")
    lines.append(f"the last: {_title(notifications[-1])}: {_text(notifications[-1])}")
    return "\n".join(lines)


def _how_many(names: Iterable[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(names).most_common())


def _time(one: Notification) -> str:
    """When it was, by the clock of this machine."""
    return datetime.fromisoformat(one.wall).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
