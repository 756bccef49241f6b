"""Keys of the event feed: who may read it, and that what is read comes from the right publisher (ZeroMQ's CURVE).

A key pair lives in two files, ``NAME.key`` with the public key, which is given to others, and ``NAME.key_secret`` with
both, which never leaves its machine. The format is ZeroMQ's own, so other programs read the files too.
"""

from __future__ import annotations

import logging
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zmq
import zmq.auth
from zmq.utils import z85

from pipeline.errors import ConfigError

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ZAP_ADDRESS = "inproc://zeromq.zap.01"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair, each as 40 characters of Z85."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"


def write_keys(name: str, folder: Path) -> tuple[Path, Path]:
    """Make a new key pair and write its two files, readable by their owner only.

    Args:
        name: letters, digits, ``.``, ``_`` and ``-``.
        folder: made if missing.

    Returns:
        The paths of the public file and of the secret one.

    Raises:
        ConfigError: a bad name, a file that is there already, or a folder that can't be written.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"key name {name!r}: expected up to 64 letters, digits, '.', '_' and '-', such as kitchen")
    public, secret = zmq.curve_keypair()
    paths = folder / f"{name}.key", folder / f"{name}.key_secret"
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path} exists already; choose another name, or remove it if nothing uses it any more")
    lines = ["metadata", f'    name = "{name}"', "curve", f'    public-key = "{public.decode()}"']
    texts = lines, [*lines, f'    secret-key = "{secret.decode()}"']
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts, strict=True):
            # Created with its final mode: at no moment can others read it.
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write("\n".join(text) + "\n")
    except OSError as error:
        raise ConfigError(
            f"keys {name!r} can't be written to {folder}: {error.strerror}; choose another folder"
        ) from error
    return paths


def write_key_pair(pair: KeyPair, path: Path) -> Path:
    """Write a key pair that came from elsewhere, readable by its owner only; returns the path."""
    keys = {"public-key": pair.public, "secret-key": pair.secret}
    lines = ["metadata", "curve", *(f'    {name} = "{key.decode()}"' for name, key in keys.items())]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    return path


def read_key_pair(path: Path) -> KeyPair:
    """Read a ``.key_secret`` file; raises ``ConfigError`` when it holds no key pair."""
    public, secret = _read(path)
    if secret is None:
        raise ConfigError(f"{path} holds no secret key; give the file whose name ends in .key_secret")
    return KeyPair(public, secret)


def read_public_key(key: str | Path) -> bytes:
    """A public key, given as 40 characters of Z85 or as the path of a file that holds one.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(key, str) and len(key) == 40 and not key.endswith((".key", ".key_secret")):
        return _checked(key.encode(errors="replace"), "the given public key")
    return _read(Path(key))[0]


def read_allowed(clients: Sequence[str | Path]) -> frozenset[bytes]:
    """The public keys of those who may read the feed.

    Args:
        clients: each a key of 40 characters, a key file, or a folder whose ``*.key`` files all count.

    Raises:
        ConfigError: one of them can't be read, or there is none.
    """
    keys = set[bytes]()
    for client in clients:
        if Path(client).is_dir():
            keys.update(read_public_key(path) for path in sorted(Path(client).glob("*.key")))
        else:
            keys.add(read_public_key(client))
    if not keys:
        raise ConfigError("the feed has keys but no client may read it; list the clients' public keys")
    return frozenset(keys)


def _read(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read as a key file; make one with the command `keys new NAME`") from error
    if public is None:
        raise ConfigError(f"{path} holds no public key; make one with the command `keys new NAME`")
    return _checked(public, str(path)), None if secret is None else _checked(secret, str(path))


def _checked(key: bytes, where: str) -> bytes:
    try:
        if len(key) == 40 and len(z85.decode(key)) == 32:
            return key
    except (ValueError, KeyError, struct.error):
        pass
    raise ConfigError(f"{where}: expected a key of 40 characters in Z85")


class Gatekeeper:
    """Answers ZeroMQ's question whether a client with a given key may connect (ZAP, RFC 27).

    Args:
        context: that of the sockets to guard; the gatekeeper has to be there before they are bound.
        allowed: public keys in Z85.

    Attributes:
        socket: to poll; call ``serve`` when it is readable.
        refused: how many connections were turned down.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], allowed: frozenset[bytes]) -> None:
        self._allowed = frozenset(z85.decode(key) for key in allowed)
        self.refused = 0
        self.socket = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(_ZAP_ADDRESS)

    def serve(self) -> None:
        """Answer one question of ZeroMQ: whether the client with this key may connect."""
        version, request_id, _domain, address, _identity, mechanism, *credentials = self.socket.recv_multipart()
        allowed = mechanism == b"CURVE" and len(credentials) == 1 and credentials[0] in self._allowed
        if not allowed:
            self.refused += 1
            log = logger.warning if self.refused == 1 else logger.debug  # nobody outside may fill the log
            log("event feed: refused a client at %s, its key is not allowed", address.decode(errors="replace"))
        status = (b"200", b"OK") if allowed else (b"400", b"this key is not allowed")
        self.socket.send_multipart((version, request_id, *status, b"", b""))
