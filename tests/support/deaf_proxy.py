"""A proxy in front of an RTSP camera that names sound and then refuses it, as some cameras do."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_TRACK = re.compile(rb"^SETUP \S*stream=1\S* .*?^CSeq: *(\d+)", re.MULTILINE | re.DOTALL)


@contextmanager
def refusing_sound(port: int, answer: str) -> Iterator[int]:
    """A port on which the camera at ``port`` answers so when it is asked for its second track."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = [listener]

    def serve() -> None:
        with suppress(OSError):
            while True:
                reader, _ = listener.accept()
                camera = socket.create_connection(("127.0.0.1", port))
                held.extend((reader, camera))
                threading.Thread(target=_pass_on, args=(camera, reader)).start()
                threading.Thread(target=_pass_on, args=(reader, camera, answer)).start()

    threading.Thread(target=serve).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for each in held:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _pass_on(source: socket.socket, target: socket.socket, answer: str | None = None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            asked = _TRACK.match(data) if answer is not None else None
            if asked is None:
                target.sendall(data)
            else:
                source.sendall(f"RTSP/1.0 {answer}\r\nCSeq: {asked[1].decode()}\r\n\r\n".encode())
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
