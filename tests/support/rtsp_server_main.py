"""An RTSP server of GStreamer's, run by the system's Python, which has its bindings. Used by ``rtsp_server.py``.

It reads its settings as one line of JSON from standard input, prints one line of JSON with the port once it listens,
and ends when standard input is closed, so that it never outlives the test that started it.
"""

from __future__ import annotations

import functools
import itertools
import json
import operator
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # type: ignore[import-not-found] # noqa: E402, F401

Mount = dict[str, Any]
# When it is due in seconds, and what makes its bytes; True where it stands by itself.
Due = tuple[float, Callable[[], tuple[bytes, bool]]]
Unit = tuple[float, bytes, bool]

SYNC = (1, 0, 1, 1, 0, 0, 1, 0)
# In one thread: of several, each codes a strip of the picture, and on a busy machine gives a strip no bits.
ENCODERS = {
    "h264": "x264enc threads=1 tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate={kbps} "
    "! video/x-h264,profile=baseline ! rtph264pay name=pay0 pt=96 config-interval=1",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate={kbps} "
    "! rtph265pay name=pay0 pt=96 config-interval=1",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
}
TONE = "audiotestsrc ! audio/x-raw,rate={rate},channels=1 ! audioconvert ! "
SOUNDS = {
    "aac": TONE.format(rate=48000) + "voaacenc ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "pcma": TONE.format(rate=8000) + "alawenc ! rtppcmapay name=pay1 pt=8",
}


def draw(number: int, time_ms: int, width: int, height: int) -> bytes:
    """The picture of ``tests.support.clips.draw_number`` as I420, without NumPy, which the system's Python may lack."""
    payload = (number & 0xFFFF).to_bytes(2, "big") + (time_ms & 0xFFFFFFFF).to_bytes(4, "big")
    payload += bytes([zlib.crc32(payload) & 0xFF])
    bits = list(SYNC) + [byte >> shift & 1 for byte in payload for shift in range(7, -1, -1)]
    rows = []
    for row in range(8):
        cells = [b"\xeb" if bit else b"\x10" for bit in bits[8 * row : 8 * row + 8]]
        rows.append(b"".join(cells[column * 8 // width] for column in range(width)))
    luma = b"".join(rows[row * 8 // height] for row in range(height))
    return luma + b"\x80" * (width * height // 2)


class Feeder:
    """Pushes buffers into the ``appsrc`` of one media, from its first hunger to its end, on a thread."""

    def __init__(self, source: Any, media: Any) -> None:
        self.source = source
        self.stopping = threading.Event()
        self.started = False
        self.thread = threading.Thread(target=self.feed)
        source.connect("need-data", self.begin)
        media.connect("unprepared", lambda _: self.stopping.set())

    def begin(self, *_: object) -> None:
        if not self.started:
            self.started = True
            self.thread.start()

    def buffers(self) -> Iterator[Due]:
        raise NotImplementedError

    def feed(self) -> None:
        begun = time.monotonic()
        # Running time of the pipeline at `begun`: the clock runs as `time.monotonic` does.
        offset_ns = self.source.get_clock().get_time() - self.source.get_base_time()
        for due_s, buffer in self.buffers():
            if self.stopping.wait(max(begun + due_s - time.monotonic(), 0)):
                return
            data, keyframe = buffer()
            packed = Gst.Buffer.new_wrapped(data)
            packed.pts = packed.dts = Gst.CLOCK_TIME_NONE
            packed.pts = offset_ns + round(due_s * 1e9)
            if not keyframe:
                packed.set_flags(Gst.BufferFlags.DELTA_UNIT)
            if self.source.emit("push-buffer", packed) != Gst.FlowReturn.OK:
                return


class PictureFeeder(Feeder):
    """A picture that shows its number and the time when it was drawn."""

    def __init__(self, source: Any, media: Any, mount: Mount) -> None:
        super().__init__(source, media)
        self.mount = mount

    def buffers(self) -> Iterator[Due]:
        width, height = self.mount["width"], self.mount["height"]

        def picture(number: int) -> tuple[bytes, bool]:
            return draw(number, round(time.monotonic() * 1000), width, height), True

        for number in itertools.count():
            yield number / self.mount["fps"], functools.partial(picture, number)


class LoopFeeder(Feeder):
    """The coded pictures of a file, over and over."""

    def __init__(self, source: Any, media: Any, units: list[Unit], duration_s: float) -> None:
        super().__init__(source, media)
        self.units = units
        self.duration_s = duration_s

    def buffers(self) -> Iterator[Due]:
        def coded(unit: Unit) -> tuple[bytes, bool]:
            return unit[1:]

        for turn in itertools.count():
            for unit in self.units:
                yield turn * self.duration_s + unit[0], functools.partial(coded, unit)


def coded_units(mount: Mount) -> tuple[list[Unit], float]:
    """The file as H.264 access units ``(pts_s, bytes, keyframe)``, coded anew without B-frames, and its duration."""
    shape = ",".join(
        f"{name}={value}" for name, value in (("width", mount["width"]), ("height", mount["height"])) if value
    )
    pipeline = Gst.parse_launch(
        "filesrc name=file ! decodebin ! videoconvert ! videoscale add-borders=false ! videorate "
        f"! video/x-raw,format=I420,pixel-aspect-ratio=1/1,framerate={mount['fps']}/1{',' + shape if shape else ''} "
        f"! x264enc bframes=0 speed-preset=veryfast key-int-max={mount['gop']} bitrate={mount['kbps']} "
        "! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au "
        "! appsink name=sink sync=false"
    )
    pipeline.get_by_name("file").set_property("location", mount["file"])
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    units: list[Unit] = []
    while True:
        sample = sink.emit("pull-sample")
        if sample is None:
            break
        buffer = sample.get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        units.append((buffer.pts / 1e9, data, not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)))
    pipeline.set_state(Gst.State.NULL)
    if not units:
        sys.exit("no video in " + mount["file"])
    first_s = units[0][0]
    return [(pts_s - first_s, data, keyframe) for pts_s, data, keyframe in units], len(units) / mount["fps"]


def note_given(payloader: Any, path: str) -> None:
    """Append what a payloader is given to a file: the length in 4 bytes, then the coded picture."""
    file = Path(path).open("ab", buffering=0)  # noqa: SIM115 - as long as the process

    def note(_: object, info: Any) -> Any:
        buffer = info.get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        file.write(len(data).to_bytes(4, "big") + data)
        return Gst.PadProbeReturn.OK

    payloader.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, note)


def factory_of(mount: Mount) -> Any:
    """The server's recipe for one path."""
    factory = GstRtspServer.RTSPMediaFactory()
    if mount["kind"] == "file":
        location = json.dumps(mount["file"])
        factory.set_launch(
            f"( filesrc location={location} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 )"
        )
        return factory
    factory.set_shared(True)
    # Without this, a camera that its last reader left would be torn down while the next one is joining.
    factory.set_eos_shutdown(False)
    factory.set_latency(0)
    units: list[Unit] = []
    duration_s = 0.0
    if mount["kind"] == "picture":
        raw = f"video/x-raw,format=I420,width={mount['width']},height={mount['height']},framerate={mount['fps']}/1"
        chain = ENCODERS[mount["codec"]].format(gop=mount["gop"], kbps=mount["kbps"])
        sound = SOUNDS.get(mount["sound"] or "", "")
        factory.set_launch(f"( appsrc name=feed is-live=true format=time caps={raw} ! {chain} {sound} )")
    else:
        units, duration_s = coded_units(mount)
        raw = "video/x-h264,stream-format=byte-stream,alignment=au"
        factory.set_launch(
            f"( appsrc name=feed is-live=true format=time caps={raw} ! h264parse "
            "! rtph264pay name=pay0 pt=96 config-interval=1 )"
        )

    def configure(_: object, media: Any) -> None:
        source = media.get_element().get_by_name("feed")
        if mount["kind"] == "picture":
            PictureFeeder(source, media, mount)
            if mount["given"] is not None:
                note_given(media.get_element().get_by_name("pay0"), mount["given"])
        else:
            LoopFeeder(source, media, units, duration_s)

    factory.connect("media-configure", configure)
    return factory


def serve(settings: dict[str, Any]) -> Any:
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(settings["port"]))
    if settings["user"] is not None:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        if settings["digest"]:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(settings["user"], settings["password"], token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(settings["user"], settings["password"]), token)
        server.set_auth(auth)
    transports = {"tcp": GstRtsp.RTSPLowerTrans.TCP, "udp": GstRtsp.RTSPLowerTrans.UDP}
    for mount in settings["mounts"]:
        factory = factory_of(mount)
        factory.set_protocols(functools.reduce(operator.or_, (transports[name] for name in settings["transports"])))
        if settings["user"] is not None:
            permissions = GstRtspServer.RTSPPermissions()
            for permission in ("media.factory.access", "media.factory.construct"):
                permissions.add_permission_for_role("viewer", permission, True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory("/" + mount["name"], factory)
    if not server.attach(None):
        sys.exit(f"can't listen on port {settings['port']}")
    # Readers that vanished without a word give back what they held.
    GLib.timeout_add_seconds(2, lambda: server.get_session_pool().cleanup() is not None)
    return server


def main() -> None:
    Gst.init(None)
    settings = json.loads(sys.stdin.readline())
    loop = GLib.MainLoop()
    server = serve(settings)
    sys.stdout.write(json.dumps({"port": server.get_bound_port()}) + "\n")
    sys.stdout.flush()

    def until_closed() -> None:
        sys.stdin.read()
        loop.quit()

    threading.Thread(target=until_closed, daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
