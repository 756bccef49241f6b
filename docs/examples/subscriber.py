"""Follows an event feed and keeps count of what is there: python subscriber.py tcp://127.0.0.1:5556"""

import sys

from pipeline.events import LineCrossed, TrackEnded, TrackStarted
from pipeline.feed_events import FeedGap, FeedSnapshot
from sinks.feed.client import subscribe
from sinks.feed.state import FeedState


def main(endpoint: str) -> None:
    """Print one line per arrival, departure and crossing, until the run is over."""
    state = FeedState()
    for event in subscribe(endpoint, follow=False):
        if isinstance(event, FeedSnapshot):  # where the story begins, or begins anew
            state = FeedState.from_snapshot(event)
            print(f"run {event.run} after event {event.seq}", flush=True)
            continue
        state.apply(event)
        if isinstance(event, FeedGap):
            print(f"missed events {event.first_seq} to {event.last_seq}", flush=True)
        elif isinstance(event, TrackStarted | TrackEnded):
            shown = len(state.streams()[event.stream].tracks)
            what = "came" if isinstance(event, TrackStarted) else "went"
            print(f"{event.pts_s:8.2f} s  {event.class_name} {event.track_id} {what}; {shown} shown", flush=True)
        elif isinstance(event, LineCrossed):
            print(f"{event.pts_s:8.2f} s  {event.class_name} crossed {event.line} {event.direction}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5556")
