"""What a store of events looks like inside: its tables, and the views that queries are written against."""

from __future__ import annotations

from pathlib import Path

from pipeline.event_codec import encode_json, event_type
from pipeline.events import Event

_BESIDE = ("-wal", "-shm", "-journal")

# "SLev": marks an SQLite file as one of ours, in its header.
APPLICATION_ID = 0x534C6576
SCHEMA_VERSION = 1

# `data` is the whole event, as the other outputs write it. What most queries ask for stands in columns beside it; the
# view `events` adds the rest of an event's fields, which cost nothing unless a query names them.
SCHEMA = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    started TEXT NOT NULL
);
CREATE TABLE stored_events (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    seq INTEGER NOT NULL,
    stream TEXT NOT NULL,
    type TEXT NOT NULL,
    pts_s REAL NOT NULL,
    wall TEXT NOT NULL,
    class TEXT,
    track_id INTEGER,
    data TEXT NOT NULL
);
CREATE UNIQUE INDEX stored_events_by_run ON stored_events (run_id, seq);
CREATE INDEX stored_events_by_type ON stored_events (type);
CREATE TABLE frames (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    stream TEXT NOT NULL,
    pts_s REAL NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    jpeg BLOB NOT NULL,
    PRIMARY KEY (run_id, stream)
);

CREATE VIEW events AS
SELECT e.id, r.run, e.seq, e.stream, e.type, e.pts_s, e.wall, e.class, e.track_id,
    json_extract(e.data, '$.score') AS score,
    json_extract(e.data, '$.xyxy[0]') AS x1,
    json_extract(e.data, '$.xyxy[1]') AS y1,
    json_extract(e.data, '$.xyxy[2]') AS x2,
    json_extract(e.data, '$.xyxy[3]') AS y2,
    json_extract(e.data, '$.zone') AS zone,
    json_extract(e.data, '$.line') AS line,
    json_extract(e.data, '$.direction') AS direction,
    json_extract(e.data, '$.dwell_s') AS dwell_s,
    json_extract(e.data, '$.age_s') AS age_s,
    json_extract(e.data, '$.speed_mps') AS speed_mps,
    json_extract(e.data, '$.reason') AS reason,
    e.data
FROM stored_events AS e JOIN runs AS r ON r.id = e.run_id;

CREATE VIEW tracks AS
SELECT run, stream, track_id, class, pts_s - age_s AS start_s, pts_s AS end_s, age_s, reason, wall
FROM events WHERE type = 'track.ended';

CREATE VIEW visits AS
SELECT run, stream, zone, track_id, class, pts_s - dwell_s AS start_s, pts_s AS end_s, dwell_s, wall
FROM events WHERE type = 'zone.left';

CREATE VIEW crossings AS
SELECT run, stream, line, track_id, class, direction, speed_mps, pts_s, wall
FROM events WHERE type = 'line.crossed';

CREATE VIEW seconds AS
SELECT run, stream, json_extract(data, '$.start_s') AS start_s, json_extract(data, '$.end_s') AS end_s,
    json_extract(data, '$.frames') AS frames, json_extract(data, '$.coverage') AS coverage, wall, data
FROM events WHERE type = 'window.second';

CREATE VIEW minutes AS
SELECT run, stream, json_extract(data, '$.start_s') AS start_s, json_extract(data, '$.end_s') AS end_s,
    json_extract(data, '$.frames') AS frames, json_extract(data, '$.coverage') AS coverage, wall, data
FROM events WHERE type = 'window.minute';

CREATE VIEW counts_per_second AS
SELECT s.run, s.stream, s.start_s, s.wall, c.key AS class,
    json_extract(c.value, '$.mean') AS mean, json_extract(c.value, '$.max') AS max,
    json_extract(c.value, '$.unique') AS "unique",
    json_extract(c.value, '$.entered') AS entered, json_extract(c.value, '$.left') AS "left"
FROM seconds AS s, json_each(s.data, '$.objects') AS c;

CREATE VIEW counts_per_minute AS
SELECT s.run, s.stream, s.start_s, s.wall, c.key AS class,
    json_extract(c.value, '$.mean') AS mean, json_extract(c.value, '$.max') AS max,
    json_extract(c.value, '$.unique') AS "unique",
    json_extract(c.value, '$.entered') AS entered, json_extract(c.value, '$.left') AS "left"
FROM minutes AS s, json_each(s.data, '$.objects') AS c;
"""

# What later versions have added; a store that an earlier one has made gets it when it is written to.
ADDED = """
CREATE INDEX IF NOT EXISTS stored_evidence ON stored_events (json_extract(data, '$.evidence'))
WHERE type = 'evidence.ready';

CREATE VIEW IF NOT EXISTS evidence AS
SELECT run, stream, json_extract(data, '$.evidence') AS evidence, json_extract(data, '$.kind') AS kind,
    json_extract(data, '$.about') AS about, json_extract(data, '$.about_seq') AS about_seq,
    json_extract(data, '$.alert_id') AS alert_id, json_extract(data, '$.path') AS path,
    json_extract(data, '$.media_type') AS media_type, json_extract(data, '$.size_bytes') AS size_bytes,
    json_extract(data, '$.from_pts_s') AS start_s, json_extract(data, '$.to_pts_s') AS end_s, wall
FROM events WHERE type = 'evidence.ready'
"""

# What `export` writes of each event as a table, and Parquet files hold: name, and kind of value.
COLUMNS: tuple[tuple[str, type], ...] = (
    ("run", str),
    ("seq", int),
    ("stream", str),
    ("type", str),
    ("pts_s", float),
    ("wall", str),
    ("class", str),
    ("track_id", int),
    ("score", float),
    ("x1", float),
    ("y1", float),
    ("x2", float),
    ("y2", float),
    ("zone", str),
    ("line", str),
    ("direction", str),
    ("dwell_s", float),
    ("age_s", float),
    ("speed_mps", float),
    ("reason", str),
    ("evidence", str),
    ("path", str),
    ("data", str),
)
COLUMN_NAMES = tuple(name for name, _ in COLUMNS)

INSERT = (
    "INSERT INTO stored_events (run_id, seq, stream, type, pts_s, wall, class, track_id, data) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
Row = tuple[int, int, str, str, float, str, str | None, int | None, str]


def row_of(event: Event, run_id: int) -> Row:
    """The row of ``stored_events`` that keeps an event."""
    return (
        run_id,
        event.seq,
        event.stream,
        event_type(event),
        event.pts_s,
        event.wall,
        getattr(event, "class_name", None),
        getattr(event, "track_id", None),
        encode_json(event).decode(),
    )


def store_files(path: Path) -> tuple[Path, ...]:
    """A store and the files that SQLite keeps beside it, where the links of ``path`` lead."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # a link that leads to itself
        return (path,)
    if not target.name:  # the root, which is refused when it is opened
        return (path,)
    return (path, *(target.with_name(target.name + suffix) for suffix in _BESIDE))
