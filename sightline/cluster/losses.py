"""Lost shards: what their streams had come to, and which of them is to blame where a process ends by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count

from pipeline.runtime.streams.stream_past import RunPasts
from sightline.cluster.board import Board
from sightline.cluster.shard_link import Loss, ShardLink
from sightline.cluster.stream_record import StreamRecord

logger = logging.getLogger(__name__)

# A process whose pipeline does not come around for so long hangs.
_HANGS_S = 30.0
# Deaths of a process with one stream after which that is set aside.
_CRASHES = 3
# Processes that streams have for themselves are numbered from here on.
_OWN_GROUPS = 1000


class Losses:
    """Sees which shards are lost, and frees their streams once all that these had published has gone out.

    Args:
        board: what is known.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._parting: list[tuple[ShardLink, Future[None]]] = []
        self._groups = count(_OWN_GROUPS)

    def step(self) -> None:
        """See what is lost, and do what follows from it."""
        self._see_losses()
        self._see_parted()
        self._board.parting = len(self._parting)

    def _see_losses(self) -> None:
        alive = {node.id for node in self._board.fleet.nodes()}
        for link in list(self._board.links.values()):
            if link.loss is None and link.node.id not in alive:
                link.lose("its node is gone")
            if link.loss is None and link.status is not None and link.status.pasts_age_s > _HANGS_S:
                link.loss = Loss(f"its pipeline has not come around for {_HANGS_S:.0f} s", crashed=True)
            if link.loss is None:
                continue
            logger.error("%s on %s is lost: %s", link.name, link.node.name, link.loss.reason)
            del self._board.links[link.name]
            threading.Thread(target=link.kill, name="kill", daemon=True).start()
            told = f"the process on {link.node.name} was lost: {link.loss.reason}"
            self._parting.append((link, self._board.merger.leave(link.name, told)))
            self._board.changed()

    def _see_parted(self) -> None:
        """Streams of lost shards are free once all that these had published has gone out."""
        for link, done in list(self._parting):
            if not done.done():
                continue
            self._parting.remove((link, done))
            done.result()
            lost = [record for record in self._board.records.values() if record.shard == link.name]
            for record in lost:
                self._settle(record, link)
                record.wait("its process was lost")
                if record.removed:
                    record.place = "done"
            if link.loss is not None and link.loss.crashed:
                self._judge([record for record in lost if not record.removed], link, link.loss.reason)

    def _settle(self, record: StreamRecord, link: ShardLink) -> None:
        """Work out what a stream of a lost shard had come to."""
        status, since_s = link.status, time.monotonic() - link.heard_s
        pasts = RunPasts(run=record.run, seq=record.seq, streams={})
        past = record.past
        if status is not None and status.pasts is not None:
            state = status.streams.get(record.name)
            if state is not None and state.epoch == record.epoch and record.name in status.pasts.streams:
                pasts, past = status.pasts, status.pasts.streams[record.name]
            since_s += status.pasts_age_s
        past = self._board.merger.past_after(record.name, past, pasts, since_s=since_s)
        record.know(past, pasts.run, pasts.seq)

    def _judge(self, lost: Sequence[StreamRecord], link: ShardLink, reason: str) -> None:
        """A process ended by itself, and one of its streams may be to blame: find out which, and set it aside.

        All are started again in a process of their own kind; where that ends again, half of them in each of two.
        """
        if not lost:
            return
        crashes = max(record.crashed() for record in lost)
        if len(lost) == 1 and crashes >= _CRASHES:
            lost[0].set_aside(f"its process ended {crashes} times: {reason}")
            logger.error("%s is set aside: %s", lost[0].name, lost[0].reason)
            return
        own = next(self._groups)
        halves = [lost] if len(lost) == 1 or crashes < 2 else [lost[::2], lost[1::2]]
        for half in halves:
            for record in half:
                record.goes_to, record.group = link.node.id, own
            own = next(self._groups)
