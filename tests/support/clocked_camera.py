"""A small RTSP camera for tests, over TCP, whose clock is as wrong as a test says.

with ClockedCamera(lambda number: number / 10 + (1800 if number >= 15 else 0), fps=10, count=30) as camera:
    ...  # camera.url; the k-th picture shows the number k and is sent k / fps seconds after the first
"""

from __future__ import annotations

import base64
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from io import BufferedIOBase
from typing import Self

import av

from tests.support.clips import draw_number
from tests.support.waiting import PATIENCE_S

_TICKS_S = 90_000


def encode(count: int, fps: int) -> list[list[bytes]]:
    """H.264 of ``count`` numbered pictures: the NAL units of each, every one a keyframe with its parameter sets."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 160, 120, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, fps), Fraction(fps)
    codec.options = {"tune": "zerolatency", "preset": "ultrafast", "g": "1", "x264-params": "annexb=1:repeat-headers=1"}
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(draw_number(number), format="bgr24").reformat(format="yuv420p")
        frame.pts = number
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [[unit for unit in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if unit] for packet in packets]


class ClockedCamera:
    """Sends ``count`` pictures to each reader that plays, then closes the connection.

    Args:
        stamp: the timestamp in seconds of the picture with this number.
        fps: pictures sent per second.
        count: how many.
    """

    def __init__(self, stamp: Callable[[int], float], *, fps: int, count: int) -> None:
        self._stamp, self._fps = stamp, fps
        self._pictures = encode(count, fps)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.url = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/clocked"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as requests:
            connection.settimeout(PATIENCE_S)
            while (request := _next_request(requests)) is not None:
                method, url, number = request
                connection.sendall(self._answer(method, url, number).encode())
                if method == "PLAY":
                    self._send(connection)
                    return

    def _answer(self, method: str, url: str, number: str) -> str:
        head, body = "Session: 1\r\n", ""
        if method == "DESCRIBE":
            sets = [unit for unit in self._pictures[0] if unit[0] & 31 in (7, 8)]
            shown = ",".join(base64.b64encode(unit).decode() for unit in sets)
            lines = [
                "v=0",
                "o=- 0 0 IN IP4 127.0.0.1",
                "s=camera",
                "c=IN IP4 0.0.0.0",
                "t=0 0",
                "m=video 0 RTP/AVP 96",
                f"a=rtpmap:96 H264/{_TICKS_S}",
                f"a=framerate:{self._fps}",
                f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={shown}",
                "a=control:video",
                "",
            ]
            body = "\r\n".join(lines)
            head = f"Content-Type: application/sdp\r\nContent-Base: {url}/\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        return f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}\r\n{body}"

    def _send(self, connection: socket.socket) -> None:
        begun_s = time.monotonic()
        sequence = 0
        for number, units in enumerate(self._pictures):
            if self._stopping.wait(max(0.0, begun_s + number / self._fps - time.monotonic())):
                return
            ticks = round(self._stamp(number) * _TICKS_S) % 2**32
            for place, unit in enumerate(units):
                last = 0x80 if place == len(units) - 1 else 0
                packet = struct.pack(">BBHII", 0x80, last | 96, sequence % 2**16, ticks, 7) + unit
                sequence += 1
                try:
                    connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                except OSError:
                    return


def _next_request(requests: BufferedIOBase) -> tuple[str, str, str] | None:
    """Method, address and number of the next request; reports in between are passed over."""
    while (first := requests.read(1)) == b"$":
        requests.read(struct.unpack(">xH", requests.read(3))[0])
    if not first:
        return None
    lines = [first + requests.readline()]
    while lines[-1].strip():
        lines.append(requests.readline())
    text = b"".join(lines).decode()
    method, url = text.split()[:2]
    number = re.search(r"(?im)^cseq:\s*(\d+)", text)
    return method, url, number[1] if number else "0"
