"""What makes the evidence of a stream, as a configuration describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evidence.desk import EvidenceDesk
from pipeline.evidence.wanted import EvidenceWanted, check_wanted
from pipeline.interfaces import Sink
from pipeline.sources.decoding.tap import PacketReceiver
from sightline.config.schema import Config, ResolvedStream
from sinks.drawing.annotator import AnnotatorFactory

# What the best pictures of all streams may take in memory, in megabytes, and those of each stream at least.
_ALL_MB, _EACH_MB = 256.0, 8.0
# The part of ``queues.max_mb`` that frames of all streams may take which were looked at lately.
_RECENT_PART = 0.25


@dataclass(frozen=True, slots=True)
class Evidence:
    """What makes it, where what is finished is laid down, and what takes the stream's packets for it."""

    sinks: Sequence[Sink] = ()
    desk: EvidenceDesk | None = None
    receivers: Sequence[PacketReceiver] = ()


def check_evidence(stream: ResolvedStream, class_names: Sequence[str]) -> EvidenceWanted:
    """What is to have evidence; raises ``ConfigError`` for what there is not."""
    wanted = stream.evidence.wanted()
    check_wanted(wanted, class_names, rules=stream.rules, zones=stream.zones, lines=stream.lines)
    return wanted


def build_evidence(
    config: Config, stream: ResolvedStream, class_names: Sequence[str], annotator: AnnotatorFactory
) -> Evidence:
    """What makes the evidence of one stream.

    Args:
        config: for what all streams have in common.
        stream: the description.
        class_names: of the detector.
        annotator: makes what draws on the stream's pictures.

    Raises:
        ConfigError: it is to be about what there is not.
    """
    folder, section = config.evidence.folder, stream.evidence
    wanted = check_evidence(stream, class_names)
    if folder is None:
        return Evidence()
    from sinks.evidence.folder import EvidenceFolder
    from sinks.evidence.pictures import PictureOptions
    from sinks.evidence.sink import EvidenceSink
    from sinks.keeping import Limits

    streams = max(1, len(config.resolved_streams()))
    desk = EvidenceDesk(wanted, makers=1 if section.clip.before_s is None else 2)
    files = EvidenceFolder(
        folder,
        stream.name,
        limits=Limits.of(days=section.keep_days, mb=section.keep_mb, free_mb=section.keep_free_mb),
    )
    sink = EvidenceSink(
        desk,
        files,
        options=PictureOptions(
            picture=None if section.picture == "none" else section.picture,
            crop=None if section.crop == "none" else section.crop,
            quality=section.quality,
            max_side=section.max_side,
        ),
        annotate=annotator,
        best_mb=max(_EACH_MB, _ALL_MB / streams),
        recent_mb=_RECENT_PART * config.queues.max_mb / streams,
    )
    if section.clip.before_s is None:
        return Evidence((sink,), desk)
    from sinks.recording.clip_sink import ClipSink

    clips = ClipSink(stream.name, desk, files, before_s=section.clip.before_s, after_s=section.clip.after_s)
    # The folder is closed with the pictures', which comes last.
    return Evidence((clips, sink), desk, (clips.packets,))
