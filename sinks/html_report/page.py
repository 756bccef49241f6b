"""One page about a run, from a store of events: counts over time, lines, dwell times, where objects were, and pictures
of what happened.

The page is one file that loads nothing: no script, no font, no picture from elsewhere. It follows the reader's choice
of light or dark.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

import cv2
import numpy as np

from pipeline.errors import ConfigError, SourceError
from pipeline.files import InputFiles, refuse_conflicts
from pipeline.images.reading import read_image
from pipeline.types import Image
from sinks.html_report.charts import crossings, curves, duration_text, histogram
from sinks.html_report.data import StreamData, read_run
from sinks.html_report.evidence import figures
from sinks.html_report.heatmap import _heat_picture
from sinks.output_files import OutputFile, check_output, written_file
from sinks.store.queries import connect, find_run
from sinks.store.schema import store_files

_TEMPLATE = Path(__file__).with_name("page.html")
_COLOURS = 8
_OTHER = "other classes"


def report_html(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    run: str | None = None,
    stream: str | None = None,
    picture: str | os.PathLike[str] | None = None,
    evidence: str | os.PathLike[str] | None = None,
) -> None:
    """Write a page about a run.

    Args:
        path: the store of events.
        output: the HTML file; it appears under its name when it is complete.
        run: the run, or the beginning of its name; the newest by default.
        stream: only this stream.
        picture: an image to draw the heat map over, instead of the stream's first frame that the store kept.
        evidence: folder of the evidence, whose pictures are put into the page; None names their files only.

    Raises:
        ConfigError: there is no such run, stream or folder, or the page would replace the store or the picture.
        SourceError: the store or the picture can't be read.
        SinkError: the page can't be written.
    """
    reads = [InputFiles("the store", store_files(Path(path)))]
    if picture is not None:
        reads.append(InputFiles("the picture to draw on", (Path(picture),)))
    refuse_conflicts(reads, [written_file("the page", output)])
    check_output(output)
    background = None if picture is None else read_image(picture)
    if evidence is not None and not Path(evidence).is_dir():
        raise ConfigError(f"{evidence}: there is no such folder of evidence; check the path, or leave it out")
    with connect(path) as connection:
        name = find_run(connection, run)
        streams = read_run(connection, name, stream=stream)
    if not streams:
        raise ConfigError(f"run {name} has no stream {stream!r}" if stream else f"run {name} has no events of a stream")
    page = _page(name, streams, background, None if evidence is None else Path(evidence))
    with OutputFile(output) as file:
        file.write(page.encode())


def _page(run: str, streams: Sequence[StreamData], background: Image | None, evidence: Path | None) -> str:
    # A class has one colour on the whole page, whatever streams it appears in.
    objects = Counter[str]()
    for data in streams:
        objects.update(data.objects)
        objects.update(dict.fromkeys([*data.counts, *(name for line in data.lines.values() for name in line)], 0))
    ordered = [name for name, _ in objects.most_common()]
    colours = {name: min(index, _COLOURS - 1) for index, name in enumerate(ordered)}
    if len(ordered) > _COLOURS:
        colours[_OTHER] = _COLOURS - 1
    title = ", ".join(data.name for data in streams)
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        run=escape(run),
        streams="\n".join(_stream(data, colours, background, evidence, alone=len(streams) == 1) for data in streams),
    )


def _stream(
    data: StreamData, colours: Mapping[str, int], background: Image | None, evidence: Path | None, *, alone: bool
) -> str:
    parts = [f"<header><h2>{escape(data.name)}</h2>{_subtitle(data)}</header>" if not alone else _subtitle(data)]
    parts.append(_tiles(data))
    parts.append(_counts(data, colours))
    parts.append(_heat(data, background))
    parts.append(_lines(data, colours))
    parts.append(_dwells(data))
    parts.append(_evidence(data, evidence))
    return f"<article>{''.join(parts)}</article>"


def _subtitle(data: StreamData) -> str:
    size = f"{data.width} × {data.height}" if data.width else ""
    ended = {None: "no end was recorded", "end": "", "error": "ended by an error"}.get(data.ended, f"{data.ended}")
    started = f"started {data.wall[:19].replace('T', ' ')} UTC" if data.wall else ""
    source = data.source if "://" in data.source else Path(data.source).name
    facts = [escape(fact) for fact in (source, size, started, ended) if fact]
    return f'<p class="facts">{" · ".join(facts)}</p>'


def _tiles(data: StreamData) -> str:
    tiles = [("length", duration_text(data.length_s)), ("different objects", f"{sum(data.objects.values()):,}")]
    if data.lines:
        tiles.append(("line crossings", f"{sum(sum(c.values()) for x in data.lines.values() for c in x.values()):,}"))
    if data.dwells:
        tiles.append(("zone visits", f"{sum(len(values) for values in data.dwells.values()):,}"))
    if data.ledger:
        tiles.append(("frames processed", f"{data.ledger['processed']:,} of {data.ledger['decoded']:,}"))
    return '<dl class="tiles">' + "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in tiles) + "</dl>"


def _counts(data: StreamData, colours: Mapping[str, int]) -> str:
    if not data.counts:
        return _section("Objects at once", "<p>No counts were stored for this stream.</p>")
    by_size = sorted(data.counts, key=lambda name: -float(data.counts[name].sum()))
    series = {name: data.counts[name] for name in by_size if colours[name] < _COLOURS - 1 or _OTHER not in colours}
    rest = [data.counts[name] for name in by_size if name not in series]
    if rest:
        series[_OTHER] = np.sum(rest, axis=0)
    chart = curves(data.starts_s, data.step_s, data.length_s, series, colours)
    rows = [
        (name, f"{data.objects.get(name, 0):,}", f"{data.counts[name].mean():.2f}", f"{data.counts[name].max():.1f}")
        for name in sorted(data.counts, key=lambda name: (-data.objects.get(name, 0), name))
    ]
    table = _table(("class", "different objects", "at once, on average", "at once, at most"), rows)
    step = {1.0: "second", 60.0: "minute"}.get(data.step_s, duration_text(data.step_s))
    note = f"Average of each {step} of the video, per class."
    return _section("Objects at once", _legend(series, colours) + chart + _details(table), note)


def _lines(data: StreamData, colours: Mapping[str, int]) -> str:
    if not data.lines:
        return ""
    names = dict.fromkeys(name for classes in data.lines.values() for name in classes)
    rows = [
        (line, name, f"{counts['in']:,}", f"{counts['out']:,}")
        for line, classes in data.lines.items()
        for name, counts in classes.items()
    ]
    chart = crossings(data.lines, colours)
    table = _table(("line", "class", "in", "out"), rows)
    return _section("Line crossings", _legend(names, colours) + chart + _details(table))


def _dwells(data: StreamData) -> str:
    groups = [(f"In zone {zone}", values) for zone, values in data.dwells.items()]
    if len(data.stays):
        groups.append(("In the picture", data.stays))
    if not groups:
        return ""
    figures = [
        f"<figure><figcaption>{escape(title)}<small>{len(values):,} times, half of them under "
        f"{duration_text(float(np.median(values)))}, longest {duration_text(float(values.max()))}</small></figcaption>"
        f"{histogram(values, title)}</figure>"
        for title, values in groups
    ]
    note = "How many objects stayed for how many seconds."
    return _section("Time spent", f'<div class="figures">{"".join(figures)}</div>', note)


def _heat(data: StreamData, background: Image | None) -> str:
    if data.heat is None:
        return ""
    picture = _heat_picture(data, background)
    done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 82])
    if not done:
        raise SourceError(f"the heat map of {data.name} could not be drawn")
    text = base64.b64encode(jpeg.tobytes()).decode()
    image = f'<img alt="Heat map over a frame" src="data:image/jpeg;base64,{text}">'
    scale = '<p class="scale"><span>rarely</span><i></i><span>often</span></p>'
    return _section("Where objects were", image + scale, "Where their boxes touched the ground, over the whole run.")


def _evidence(data: StreamData, folder: Path | None) -> str:
    if not data.shown:
        return ""
    left = data.evidence_count - len(data.shown)
    note = f"{left:,} more are left out, of alerts the last." if left else ""
    return _section("What was seen", figures(data.shown, folder), note)


def _section(title: str, body: str, note: str = "") -> str:
    return f"<section><h3>{title}</h3>{f'<p class=note>{note}</p>' if note else ''}{body}</section>"


def _legend(names: Mapping[str, object], colours: Mapping[str, int]) -> str:
    items = "".join(f'<li><i class="c{colours[name]}"></i>{escape(name)}</li>' for name in names)
    return f'<ul class="legend">{items}</ul>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    headings = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table>"


def _details(table: str) -> str:
    return f"<details><summary>Numbers</summary>{table}</details>"
