"""Motion JPEG over HTTP in the forms in which cameras write it, from a real server."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import pytest

from pipeline.errors import SourceError
from pipeline.sources.network import NetworkStream
from tests.support.clips import draw_number, read_number
from tests.support.waiting import PATIENCE_S

COUNT = 12
FPS = 40


@dataclass(frozen=True)
class Form:
    """How a camera writes.

    Attributes:
        kind: the content type of the answer; None for none.
        boundary: the line between pictures; None for nothing at all.
        before: what comes before the first picture's boundary.
        first: whether there is a boundary before the first picture.
        part_kind: the content type of each part; None for none.
        length: added to the true length of each part; None states no length, "zero" a length of 0.
        end: of each line.
        filling: bytes behind each picture's end marker, counted in its length.
    """

    kind: str | None = "multipart/x-mixed-replace; boundary=frame"
    boundary: str | None = "--frame"
    before: str = ""
    first: bool = True
    part_kind: str | None = "image/jpeg"
    length: int | str | None = 0
    end: str = "\r\n"
    filling: bytes = b""

    def part(self, picture: bytes, number: int) -> bytes:
        """A picture with all that comes before and after it."""
        if self.boundary is None:
            return picture + self.filling
        head = self.boundary + self.end if number or self.first else ""
        if self.part_kind is not None:
            head += f"Content-Type: {self.part_kind}{self.end}"
        if self.length is not None:
            stated = 0 if self.length == "zero" else len(picture) + len(self.filling) + int(self.length)
            head += f"Content-Length: {stated}{self.end}"
        return (head + self.end).encode() + picture + self.filling + self.end.encode()


FORMS = {
    "plain": Form(),
    "another boundary than the header says": Form(boundary="--xyz"),
    "dashes in the header": Form(kind="multipart/x-mixed-replace;boundary=--frame"),
    "quoted boundary": Form(kind='multipart/x-mixed-replace; boundary="--my frame"', boundary="--my frame"),
    "no lengths": Form(length=None),
    "no lengths, another boundary": Form(length=None, boundary="--xyz"),
    "lengths too small": Form(length=-200),
    "lengths far too small": Form(length=-700),
    "lengths too large": Form(length=2),
    "lengths of zero": Form(length="zero"),
    "no first boundary": Form(first=False),
    "no first boundary, no lengths": Form(first=False, length=None),
    "no content type": Form(kind=None),
    "html": Form(kind="text/html"),
    "lines end with LF": Form(end="\n"),
    "parts without a type": Form(part_kind=None),
    "parts without any header": Form(part_kind=None, length=None),
    "parts of another type": Form(part_kind="application/octet-stream"),
    "bare pictures": Form(kind="image/jpeg", boundary=None),
    "bare pictures without a type": Form(kind=None, boundary=None),
    "text before": Form(before="This is a multipart stream\r\n\r\n"),
    "a page before": Form(kind="text/html", before="<html><body>" + "camera " * 300 + "</body></html>\r\n"),
    "filled up": Form(filling=bytes(100)),
    "an empty line before each boundary": Form(boundary="\r\n--frame"),
}


@contextlib.contextmanager
def camera(form: Form, pictures: list[bytes], *, endless: bool = True) -> Iterator[str]:
    """Serve these pictures in a loop while the block runs; gives the address."""
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if form.kind is not None:
                self.send_header("Content-Type", form.kind)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(form.before.encode())
                for number in itertools.count() if endless else range(len(pictures)):
                    self.wfile.write(form.part(pictures[number % len(pictures)], number))
                    if stopping.wait(1 / FPS):
                        return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Tests print no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/video.cgi"
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [cv2.imencode(".jpg", draw_number(number))[1].tobytes() for number in range(200)]


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read_whole_and_in_order(name: str, pictures: list[bytes]) -> None:
    with (
        camera(FORMS[name], pictures) as address,
        NetworkStream(address, stream="door", open_timeout_s=PATIENCE_S, read_timeout_s=PATIENCE_S) as source,
    ):
        assert source.info.live
        frames = list(itertools.islice(source, COUNT))
        assert not source.failed
    numbers = [read_number(frame.image) for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + COUNT))
    assert numbers[0] < COUNT
    # By arrival, not 25 a second as FFmpeg makes up, and not all at once.
    came_s = frames[-1].captured_s - frames[2].captured_s
    assert frames[-1].pts_s - frames[2].pts_s == pytest.approx(came_s, abs=0.1)


def test_what_holds_no_picture_is_refused(pictures: list[bytes]) -> None:
    page = Form(kind="text/html", boundary=None, before="<html>" + "not found " * 3000 + "</html>")
    with (
        camera(page, [b" "] * 5, endless=False) as address,
        pytest.raises(SourceError, match=r"127\.0\.0\.1.*(not a video|no picture)"),
    ):
        NetworkStream(address)
