"""Trackers: they give the detections of one stream their identities."""

from __future__ import annotations

from trackers.buffered import BufferedTracker
from trackers.bytetrack import ByteTracker
from trackers.factory import DEFAULT_TRACKER, TRACKERS, create_tracker
from trackers.sort import SortTracker

__all__ = ["DEFAULT_TRACKER", "TRACKERS", "BufferedTracker", "ByteTracker", "SortTracker", "create_tracker"]
