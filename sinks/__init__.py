"""Where results go: annotated video, files of events and tracks, feeds, stores, other people's systems, user code.

    output_files    files that appear under their name only when they are complete, and are written by one run at a time
    steady_file     files that a camera goes on writing after short trouble
    written_files   what a run wrote, in the order in which it did
    locks           one run for each output
    batching        events gathered for outputs that take many at once
    csv_text        rows as CSV that a spreadsheet only shows
    callbacks       the user's functions
    callback_results  what these are given of a frame
    drawing         what is drawn on a frame
    video           recorded video
    recording       the camera's own packets, recorded
    files           results in files of whole records
    feed            the event feed over ZeroMQ
    store           events kept, and questions to them
    html_report     a page that shows what a store holds
    integrations    MQTT, web servers, notifications

Importing it is cheap: what follows loads when it is first asked for, with the libraries that it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sinks.callbacks import CallbacksSink
    from sinks.feed.client import subscribe
    from sinks.feed.zeromq_sink import ZeroMqSink
    from sinks.files.jsonl import JsonlSink
    from sinks.files.mot import MotSink
    from sinks.integrations.mqtt import MqttSink
    from sinks.integrations.notifications import NotificationSink
    from sinks.integrations.webhook import WebhookSink
    from sinks.store.parquet_store import ParquetStore
    from sinks.store.sqlite_store import SqliteStore
    from sinks.video.mp4 import Mp4Sink
    from sinks.video.segments import SegmentedMp4Sink

__all__ = [
    "CallbacksSink",
    "JsonlSink",
    "MotSink",
    "Mp4Sink",
    "MqttSink",
    "NotificationSink",
    "ParquetStore",
    "SegmentedMp4Sink",
    "SqliteStore",
    "WebhookSink",
    "ZeroMqSink",
    "subscribe",
]

_HOMES = {
    "CallbacksSink": "sinks.callbacks",
    "JsonlSink": "sinks.files.jsonl",
    "MotSink": "sinks.files.mot",
    "Mp4Sink": "sinks.video.mp4",
    "MqttSink": "sinks.integrations.mqtt",
    "NotificationSink": "sinks.integrations.notifications",
    "ParquetStore": "sinks.store.parquet_store",
    "SegmentedMp4Sink": "sinks.video.segments",
    "SqliteStore": "sinks.store.sqlite_store",
    "WebhookSink": "sinks.integrations.webhook",
    "ZeroMqSink": "sinks.feed.zeromq_sink",
    "subscribe": "sinks.feed.client",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
