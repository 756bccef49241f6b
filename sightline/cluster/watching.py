"""What shards tell of themselves and their streams, and what follows from it for these."""

from __future__ import annotations

import logging

import msgspec

from sightline.cluster.board import Board
from sightline.cluster.messages import ShardStatus
from sightline.cluster.shard_link import ShardLink
from sightline.cluster.stream_record import StreamRecord

logger = logging.getLogger(__name__)


class Watching:
    """Takes in what shards tell.

    Args:
        board: what is known.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    def see(self, link: ShardLink, status: ShardStatus) -> None:
        """Take in what a shard tells."""
        wrong = [
            f"{name} {status.versions.get(name)} and not {version}"
            for name, version in self._board.versions.items()
            if status.versions.get(name) != version
        ]
        if wrong or status.trouble:
            why = f"it has {', '.join(wrong)}" if wrong else f"it can run nothing: {status.trouble}"
            self._refuse(link, why)
            return
        self._board.merger.follow(link.name, link.node.name, status.feed)
        if status.pasts is not None:
            self._board.merger.known(status.pasts)
        for record in self._board.records.values():
            if record.shard == link.name:
                self._see_stream(record, status)

    def _refuse(self, link: ShardLink, why: str) -> None:
        if link.node.id not in self._board.refused:
            logger.error("%s takes no streams: %s", link.node.name, why)
        self._board.refused[link.node.id] = why
        link.lose(why)

    def _see_stream(self, record: StreamRecord, status: ShardStatus) -> None:
        state = status.streams.get(record.name)
        if state is None or state.epoch != record.epoch:
            if record.place == "leaving" and self._has_taken_over(record, status):
                self._freed(record)  # it was never begun there
            return
        record.state = state
        pasts = status.pasts
        if pasts is not None and record.name in pasts.streams:
            record.know(pasts.streams[record.name], pasts.run, pasts.seq)
        if state.state in ("released", "ended", "failed"):
            if pasts is not None and self._board.merger.position(pasts.run) < pasts.seq:
                return  # what it told last is still on its way
            if state.state == "failed" and not record.removed:
                record.set_aside(state.error or "it failed")
                record.group = None
            elif state.state == "ended" and not record.removed:
                record.place, record.shard, record.reason = "done", None, "it came to its end"
            elif record.place == "leaving":
                self._freed(record)

    def _has_taken_over(self, record: StreamRecord, status: ShardStatus) -> bool:
        link = self._board.links.get(record.shard or "")
        order = None if link is None else link.order
        return order is not None and record.name not in order.streams and status.version == order.version

    def _freed(self, record: StreamRecord) -> None:
        record.wait("it moves", record.goes_to)
        if record.removed:
            record.place = "done"
        else:
            record.past = msgspec.structs.replace(record.past, outages=record.past.outages + 1)
