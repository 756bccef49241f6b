"""A small SMTP server on a port of loopback that keeps every message; for tests."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage

from tests.support.waiting import PATIENCE_S


class SmtpServer:
    """Takes messages as RFC 5321 has it: EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT."""

    def __init__(self, port: int = 0) -> None:
        self.messages: list[EmailMessage] = []
        self.changed = threading.Condition()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 test ready")
                while line := self.rfile.readline().decode("latin-1").strip():
                    command = line[:4].upper()
                    if command == "DATA":
                        self._say("354 go on")
                        outer._keep(self._data())
                    elif command == "QUIT":
                        self._say("221 bye")
                        return
                    self._say(
                        "250 OK" if command in ("EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP") else "502"
                    )

            def _data(self) -> bytes:
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line[1:] if line.startswith(b"..") else line)
                return b"".join(lines)

            def _say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def _keep(self, data: bytes) -> None:
        message = email.message_from_bytes(data, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.messages) >= count, PATIENCE_S), len(self.messages)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def pictures_of(message: EmailMessage) -> list[bytes]:
    """The files that are attached to a message."""
    return [part.get_payload(decode=True) for part in message.iter_attachments()]  # type: ignore[misc]


def text_of(message: EmailMessage) -> str:
    """What a message says."""
    body = message.get_body(("plain", "html"))
    assert body is not None
    text: str = body.get_content()
    return text
