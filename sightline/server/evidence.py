"""The evidence of a run, as the server finds it: what came lately, and what the store keeps."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline.events import Event, EvidenceReady
from pipeline.interfaces import Sink
from pipeline.types import TrackedFrame
from sinks.evidence.folder import evidence_file

# Of that many events the files are known without a store.
_MOST = 1000
MEDIA_TYPES = ("image/jpeg", "video/mp4", "video/x-matroska")


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file that shows an event."""

    path: Path
    media_type: str


class EvidenceBook(Sink):
    """An output that remembers the evidence of the newest events.

    Args:
        folder: where the files are.
    """

    may_stall = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._known: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()

    def takes(self, item: TrackedFrame | Event) -> bool:
        """What tells of a file."""
        return isinstance(item, EvidenceReady)

    def on_event(self, event: Event) -> None:
        """Remember a file."""
        if not isinstance(event, EvidenceReady):
            return
        with self._lock:
            self._known.setdefault(event.evidence, []).append(msgspec.to_builtins(event))
            if len(self._known) > _MOST:
                self._known.popitem(last=False)

    def known(self, names: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """The ``evidence.ready`` events of some evidence, by its name."""
        with self._lock:
            return {name: list(self._known[name]) for name in names if name in self._known}

    def file(self, told: Mapping[str, Any]) -> EvidenceFile | None:
        """The file that an ``evidence.ready`` tells of; None where it is gone, or is none of the folder."""
        found = evidence_file(self.folder, str(told.get("path", "")))
        media_type = str(told.get("media_type", ""))
        return EvidenceFile(found, media_type) if found is not None and media_type in MEDIA_TYPES else None


def addresses(told: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Where the files of some evidence are asked for, by kind: ``/api/evidence/3e85dde9-212/picture``."""
    return {str(one["kind"]): f"/api/evidence/{one['evidence']}/{one['kind']}" for one in told}
