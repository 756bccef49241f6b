"""Cameras and streams on the network, through FFmpeg."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import IO, Literal, get_args

import av

from pipeline.addresses import Address, parse_address
from pipeline.errors import ConfigError, SourceError, SourceRefusedError
from pipeline.printable import readable
from pipeline.redaction import environment_variable, redact_address
from pipeline.sources.decoding.container import OPEN_OPTIONS, ContainerSource, describe
from pipeline.sources.decoding.tap import PacketTap
from pipeline.sources.decoding.video_stream import PLAYLISTS, has_end
from pipeline.sources.fetch import fetch
from pipeline.sources.mjpeg import MULTIPART, Opener, UnknownFormatError, is_whole, open_guessed, open_raw
from pipeline.sources.uri import stream_name

logger = logging.getLogger(__name__)

Transport = Literal["tcp", "udp"]

NETWORK_SCHEMES = frozenset({"rtsp", "rtsps", "http", "https"})
# What a stream may lead to: a playlist from the network must not open local files.
_RTSP_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls"
_HTTP_PROTOCOLS = "http,https,httpproxy,tcp,tls,crypto,data"
# What FFmpeg keeps of "user:password" and of what follows the host; it would cut off the rest and be refused.
_LONGEST_LOGIN = {"rtsp": 127, "rtsps": 127, "http": 1023, "https": 1023}
_LONGEST_PATH = {"rtsp": 2047, "rtsps": 2047, "http": 4095, "https": 4095}
# The longest that other streams of a file, its sound say, may go on behind the video.
_END_TOLERANCE_S = 1.0


class RefusedRequestError(SourceError):
    """A server that answers says no to something that was asked of it."""


class NetworkStream(ContainerSource):
    """The frames of an RTSP camera, or of MJPEG, HLS or a video file over HTTP.

    What it is, shows when it is open. RTSP and Motion JPEG are live, and so is what HTTP gives without a duration and
    without a length; such a source never ends by itself: when the connection breaks, ends, or brings no data for
    ``read_timeout_s``, iterating raises ``SourceError``. Open a new one to go on. Pictures with small damage are handed
    out as the decoder patched them up; frames that never came out are counted in ``failed["decode"]``.

    What has a duration or a length is read like a file, to its end, and so is a playlist that says that it is complete.
    Where its index is at its end and the server can't begin in the middle, it is fetched whole to a temporary file.
    A connection that breaks is taken up where it was, if the server can; else iterating raises ``SourceError``. A
    further ``NetworkStream`` that is given ``played`` of this one by ``resume`` then goes on behind the last frame.

    A playlist that still grows (HLS) is live and grows by pieces; frames are handed out at the pace of their
    timestamps, from three pieces before its end on. It ends when the list says so. What else HTTP gives without a
    duration and a length is handed out at that pace too; it is over when a further connection brings only what was
    there before, and ends.

    Args:
        uri: ``rtsp://``, ``rtsps://``, ``http://`` or ``https://``; it may hold ``user:password@``.
        stream: name of the stream; default: made from host and path.
        transport: how RTSP carries video. UDP drops packets where TCP would wait.
        open_timeout_s, read_timeout_s: longest wait for the stream to open and for each further packet, in seconds. An
            RTSP stream that falls silent may first give out, after that time, the last picture that was on its way.
        username_env, password_env: environment variables that hold user name and password, in place of those in
            ``uri``.
        threads: decoding threads; 0 takes what ``pipeline.hardware`` gives them.
        reduce_to: longer side, in pixels, of ``Frame.reduced``; None leaves it out.
        tap: gets the packets as they come; None where nobody wants them.

    Raises:
        ConfigError: an environment variable is not set, ``uri`` or ``transport`` is of an unknown kind, nobody can tell
            where the password in ``uri`` ends, or it is longer than FFmpeg passes on.
        SourceRefusedError: the server has nothing there, or not for us, or it is no video.
        SourceError: no connection, or nothing came in time. No message, ``info`` or log line holds user name or
            password.
    """

    def __init__(
        self,
        uri: str,
        *,
        stream: str | None = None,
        transport: Transport = "tcp",
        open_timeout_s: float = 5.0,
        read_timeout_s: float = 5.0,
        username_env: str | None = None,
        password_env: str | None = None,
        threads: int = 0,
        reduce_to: int | None = None,
        tap: PacketTap | None = None,
    ) -> None:
        shown = redact_address(uri)
        scheme = uri.partition("://")[0].lower()
        if scheme not in NETWORK_SCHEMES:
            raise ConfigError(f"{shown}: expected one of {', '.join(sorted(NETWORK_SCHEMES))}")
        if transport not in get_args(Transport):
            raise ConfigError(f"transport: expected tcp or udp, got {transport!r}")
        self._read_timeout_s = read_timeout_s
        address = connection_address(uri, username_env, password_env)
        timeout_s = (open_timeout_s, read_timeout_s)
        self._fetched: IO[bytes] | None = None

        def open_as(form: str | None, options: dict[str, str]) -> av.container.InputContainer:
            return _open(address.encoded, shown, {**_options(scheme, transport), **options}, timeout_s, form)

        def open_fetched(form: str) -> av.container.InputContainer:
            self._fetched = fetch(address, shown, open_timeout_s)
            return _open(self._fetched, shown, {"protocol_whitelist": ""}, timeout_s, form)

        read = partial(
            super().__init__,
            stream=stream or stream_name(uri),
            uri=shown,
            threads=threads,
            reduce_to=reduce_to,
            live=True if scheme.startswith("rtsp") else None,
            network=True,
            tap=tap,
        )
        if scheme.startswith("rtsp"):
            read(_open_rtsp(open_as, sound=tap is not None and tap.sound))
        else:
            self._read_http(open_as, open_fetched, read)
        if not self._info.live:
            self._decoder.is_whole = self._is_whole

    def close(self) -> None:
        """Give back the decoder and the connection."""
        super().close()
        if self._fetched is not None:
            self._fetched.close()

    def _read_http(
        self,
        open_as: Opener,
        open_fetched: Callable[[str], av.container.InputContainer],
        read: Callable[[av.container.InputContainer], None],
    ) -> None:
        """Open what is there, whatever it is, and begin to read it."""
        container = _open_any(open_as)
        form = container.format.name
        if form != MULTIPART and has_end(container):
            try:
                read(container)
            except SourceError as error:
                if form in PLAYLISTS or self._decoder.packets:
                    raise SourceRefusedError(str(error)) from None
                # Its index is at its end, and the server can't begin in the middle.
                read(open_fetched(form))
            return
        if form != MULTIPART:
            read(container)
            return
        try:
            read(container)
        except SourceError:
            if self._decoder.packets:
                raise
            read(open_raw(open_as))
        else:
            if not is_whole(self._decoder.first_packet):
                self.close()
                read(open_raw(open_as))

    def _at_end(self) -> None:
        if not self._info.live:
            return
        if self._timed_out:
            raise self._silent()
        if self._container.format.name in PLAYLISTS or self._all_repeated:
            self._info = replace(self._info, live=False)  # this was all
            return
        raise SourceError(f"{self._uri}: the stream ended; the camera or server closed it")

    @property
    def _all_repeated(self) -> bool:
        """Whether this connection gave only what earlier ones had given: it is a file that does not tell its length."""
        return self._repeats and not self._index

    def _is_over(self, error: av.FFmpegError) -> bool:
        return self._all_repeated and not isinstance(error, av.ExitError | av.TimeoutError)

    def _is_whole(self, broken: bool) -> bool:
        """Whether a file was read to its end, where the connection ended or, if ``broken``, failed."""
        if self._timed_out:
            return False
        entries, last = self._video.index_entries, self._decoder.last_dts
        if len(entries) and last is not None and entries[-1].timestamp > last:
            return False
        if not broken:
            return True
        # Without a length, a server that closes the connection at the end and one that fails look the same.
        start, end = self._decoder.start_tick, self._decoder.end_tick
        if self._container.size > 0 or self._info.duration_s is None or start is None or end is None:
            return False
        return float((end - start) * (self._video.time_base or 0)) >= self._info.duration_s - _END_TOLERANCE_S

    def _broken_off(self, error: av.FFmpegError) -> SourceError:
        if isinstance(error, av.ExitError | av.TimeoutError) or self._timed_out:
            return self._silent()
        return super()._broken_off(error)

    @property
    def _timed_out(self) -> bool:
        """Whether what looks like the end of a playlist is that of FFmpeg's patience."""
        return self._container.format.name in PLAYLISTS and self._decoder.waited_s >= 0.9 * self._read_timeout_s

    def _silent(self) -> SourceError:
        return SourceError(f"{self._uri}: no data for {self._read_timeout_s:g} s; check the camera, or allow more time")


def _options(scheme: str, transport: Transport) -> dict[str, str]:
    if scheme.startswith("rtsp"):
        # Sound is asked for only where somebody wants it: it takes bandwidth. The description that RTSP begins with
        # names the codecs, so nothing is read ahead to find them out: that would delay every frame until the reader
        # has caught up.
        return {
            "probesize": "32",
            "analyzeduration": "0",
            "rtsp_transport": transport,
            "allowed_media_types": "video",
            "protocol_whitelist": _RTSP_PROTOCOLS,
        }
    return {
        "protocol_whitelist": _HTTP_PROTOCOLS,
        # A file whose connection breaks is read on from there, where the server can give it from there.
        "reconnect": "1",
        # Pieces may be called as they like; the protocols say where they may come from.
        "extension_picky": "0",
        "allowed_extensions": "ALL",
        "allowed_segment_extensions": "ALL",
        "seg_max_retry": "3",
    }


def _open_rtsp(open_as: Opener, *, sound: bool) -> av.container.InputContainer:
    """Open a camera; without its sound where it names some and then refuses it."""
    refusals: list[SourceError] = []
    if sound:
        try:
            return open_as(None, {"allowed_media_types": "video+audio"})
        except (RefusedRequestError, SourceRefusedError) as error:
            refusals.append(error.with_traceback(None))
    container = open_as(None, {})
    for refusal in refusals:
        logger.warning("%s; it is read without its sound", refusal)
    return container


def _open_any(open_as: Opener) -> av.container.InputContainer:
    """Open what HTTP gives. FFmpeg knows a playlist by its name or the server's word for its type, which may be any."""
    problems: list[SourceError] = []
    for attempt in (open_guessed, lambda open_as: open_as("hls", {})):
        try:
            return attempt(open_as)
        except UnknownFormatError as error:
            problems.append(error.with_traceback(None))
    raise problems[0]


def connection_address(uri: str, username_env: str | None = None, password_env: str | None = None) -> Address:
    """What is connected to: the address, with user name and password from environment variables over its own.

    Raises:
        ConfigError: a variable is not set, the address names no host, nobody can tell where its password ends, or a
            part is longer than FFmpeg can keep.
    """
    shown = redact_address(uri)
    if re.search(r"[\x00-\x1f\x7f]", shown):
        raise ConfigError(f"{readable(shown)}: holds a control character; write it as %XX, or take it away")
    user, password = (None if name is None else _from_environment(name) for name in (username_env, password_env))
    address = parse_address(uri).with_login(user, password)
    # What can't be reached, ever, is not to be taken for a camera that is off.
    if not address.host_and_port()[0].strip():
        raise ConfigError(f"{shown}: names no host; expected an address such as {address.scheme}://HOST/PATH")
    path = len(address.tail.encode(errors="replace"))
    if address.scheme in _LONGEST_PATH and path > _LONGEST_PATH[address.scheme]:
        raise ConfigError(
            f"{address.scheme}://{address.host}: path and parameters take {path} characters; FFmpeg passes on "
            f"{_LONGEST_PATH[address.scheme]} in {address.scheme}; shorten them"
        )
    longest = _LONGEST_LOGIN.get(address.scheme)
    if longest is not None and len(address.login) > longest:
        raise ConfigError(
            f"{shown}: user name and password take {len(address.login)} characters, with the colon and "
            f"three for each that must be written as %XX; FFmpeg passes on {longest} in {address.scheme}; shorten them"
        )
    return address


def _from_environment(name: str) -> bytes:
    value = os.environb.get(name.encode(errors="surrogateescape"), b"")
    if not value:
        raise ConfigError(f"{environment_variable(name)}: is not set; it should hold a camera's user name or password")
    return value


def _open(
    uri: str | IO[bytes], shown: str, options: dict[str, str], timeout_s: tuple[float, float], form: str | None
) -> av.container.InputContainer:
    began_s = time.monotonic()
    problems: list[SourceError] = []
    try:
        return av.open(
            uri,
            "r",
            format=form,
            options={**OPEN_OPTIONS, **options},
            metadata_errors="replace",
            timeout=timeout_s,
        )
    except av.FFmpegError as error:
        # A protocol that is interrupted in the middle of an answer often calls it invalid.
        timed_out = isinstance(error, av.ExitError | av.TimeoutError) or time.monotonic() - began_s >= timeout_s[0]
        late = f"no video within {timeout_s[0]:g} s; check that the camera is on and reachable, or allow more time"
        kind = SourceError
        if isinstance(error, av.InvalidDataError | av.ArgumentError) and not timed_out:
            kind = UnknownFormatError
        elif isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError | av.HTTPNotFoundError):
            kind = SourceRefusedError
        elif isinstance(error, av.HTTPClientError | av.HTTPServerError) and not timed_out:
            kind = RefusedRequestError
        problems.append(kind(f"{shown}: {late if timed_out else _reason(error)}"))
    # Raised outside the handler: FFmpeg's error holds the address with its password and must not come along.
    raise problems.pop()


def _reason(error: av.FFmpegError) -> str:
    if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
        return "user name or password are missing or wrong; give them in the address or in environment variables"
    if isinstance(error, av.HTTPNotFoundError):
        return "the server has nothing at this path; check the path"
    if isinstance(error, av.ConnectionRefusedError):
        return "connection refused; check host and port, and that the camera is on"
    if isinstance(error, av.InvalidDataError | av.ArgumentError):
        return "what it sends is not a video; check the address"
    return f"can't be opened ({describe(error)}); check the address and the network"
