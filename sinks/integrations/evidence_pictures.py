"""The pictures of evidence, for outputs that send them along."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.events import EvidenceReady
from pipeline.files import BYTES_PER_MB

logger = logging.getLogger(__name__)

_LARGEST = 10 * BYTES_PER_MB


def read_picture(folder: Path, event: EvidenceReady, label: str) -> bytes | None:
    """The file that an event of evidence names; None, told in the log, where it is too large or can't be read.

    Args:
        folder: of all evidence.
        event: names the file.
        label: of the output, for the log.
    """
    path = folder / event.path
    try:
        if path.stat().st_size > _LARGEST:
            logger.warning("%s: %s is too large to be sent", label, path)
            return None
        return path.read_bytes()
    except OSError as error:
        logger.warning("%s: cannot read %s: %s", label, path, error.strerror)
        return None
