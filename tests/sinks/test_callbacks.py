"""The user's functions: how they are found and checked, what they are given, and what happens when they raise."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import CallbackError, ConfigError, PipelineError
from pipeline.events import (
    ClassCounts,
    FrameCounts,
    OutputCounts,
    StreamEnded,
    TrackStarted,
    WindowMinute,
    WindowSecond,
)
from pipeline.runtime.sink_thread import SinkThread
from pipeline.user_code import load_user_file
from sinks.callbacks import CALLBACKS, CallbacksSink, FrameResult
from tests.support.played_frames import INFO, NAMES, play, tracked

DOCS = Path(__file__).parents[2] / "docs" / "callbacks.md"


def second(index: int = 0, stream: str = "cam") -> WindowSecond:
    counts = {"person": ClassCounts(mean=1.5, max=2, unique=3)}
    return WindowSecond(
        seq=2, run="r", stream=stream, pts_s=index + 1.0, wall="", index=index, start_s=float(index),
        end_s=index + 1.0, frames=10, coverage=1.0, objects=counts,
    )  # fmt: skip


def minute() -> WindowMinute:
    return WindowMinute(
        seq=3, run="r", stream="cam", pts_s=60.0, wall="", index=0, start_s=0.0, end_s=60.0, frames=600,
        coverage=1.0, objects={},
    )  # fmt: skip


def started() -> TrackStarted:
    return TrackStarted(
        seq=1, run="r", stream="cam", pts_s=0.1, wall="", track_id=1, class_name="person", score=0.5, xyxy=(1, 2, 3, 4)
    )


def ended(stream: str = "cam") -> StreamEnded:
    ledger = FrameCounts(decoded=3, processed=3, dropped={}, failed={})
    return StreamEnded(seq=4, run="r", stream=stream, pts_s=60.0, wall="", reason="end", ledger=ledger)


def write(folder: Path, text: str, name: str = "my_file.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_function_is_called_in_order_with_its_type() -> None:
    calls: list[tuple[str, str]] = []

    def record(name: str) -> Callable[[object], None]:
        return lambda argument: calls.append((name, type(argument).__name__))

    sink = CallbacksSink(**{name: record(name) for name in CALLBACKS})  # type: ignore[arg-type]
    play(sink, tracked(0), started(), second(), minute(), ended())
    assert calls == [
        ("on_frame", "FrameResult"),
        ("on_event", "TrackStarted"),
        ("on_event", "WindowSecond"),
        ("on_second", "WindowSecond"),
        ("on_event", "WindowMinute"),
        ("on_minute", "WindowMinute"),
        ("on_event", "StreamEnded"),
        ("on_end", "StreamEnded"),
    ]


def test_functions_are_found_in_a_file(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from beside import SHIFT\n"
        "@dataclass\n"
        "class Seen:\n"
        "    frames: list[int]\n"
        "SEEN = Seen([])\n"
        "def on_frame(frame):\n"
        "    SEEN.frames.append(frame.index + SHIFT)\n"
        "def on_end(end):\n"
        "    open(__file__ + '.txt', 'w').write(str(SEEN.frames))\n",
    )
    write(tmp_path, "SHIFT = 100\n", "beside.py")
    before = list(sys.path)
    try:
        play(CallbacksSink(file), tracked(0), tracked(1), second(), ended())
        play(CallbacksSink(str(file)), tracked(5), ended())  # A second run starts afresh.
    finally:
        sys.modules.pop("beside", None)
    assert Path(f"{file}.txt").read_text(encoding="utf-8") == "[105]"
    assert sys.path == before


def test_an_edited_file_is_read_again_even_within_the_same_second(tmp_path: Path) -> None:
    for value in (1, 2):
        file = write(tmp_path, f"def on_frame(frame):\n    raise KeyError({value})\n")
        with pytest.raises(CallbackError, match=f"KeyError: {value}"):
            play(CallbacksSink(file), tracked())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def on_frame(:\n", r"my_file\.py:1: is not valid Python: "),
        ("x = '\0'\n", r"my_file\.py(:1)?: is not valid Python: "),
        ("def on_secnd(x): ...\n", r"defines on_secnd, which nothing calls; did you mean on_second\?"),
        ("def onFrame(x): ...\n", r"defines onFrame, which nothing calls; did you mean on_frame\?"),
        ("def on_frame(x): ...\ndef on_secnd(x): ...\n", r"defines on_secnd, which nothing calls"),
        ("x = 1\n", r"has none of the functions that are called: on_frame, on_second, on_minute, on_event, on_end"),
        ("on_frame = 3\n", r"on_frame is int, not a function; expected def \.\.\.\(frame\)"),
        ("def on_frame(): ...\n", r"on_frame\(\) can't be called with \(frame\): "),
        ("def on_end(a, b): ...\n", r"on_end\(a, b\) can't be called with \(end\): .*b"),
        ("def on_end(*, end): ...\n", r"on_end\(\*, end\) can't be called"),
        ("async def on_event(x): ...\n", r"on_event is async, which would never run"),
        ("def on_event(x): yield\n", r"on_event holds a yield, so calling it would do nothing"),
    ],
)
def test_a_file_that_can_not_be_used_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError, match=expected) as caught:
        CallbacksSink(file)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(str(file))


def test_every_problem_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, "def on_frame(): ...\nasync def on_event(x): ...\ndef on_minut(x): ...\n")
    with pytest.raises(ConfigError) as caught:
        CallbacksSink(file)
    assert len(str(caught.value).splitlines()) == 3


def test_helpers_and_optional_arguments_are_no_problem(tmp_path: Path) -> None:
    text = "def on_frame(frame, log=print, *rest): ...\ndef in_frame(box): ...\ndef one(x): ...\nclass Online: ...\n"
    CallbacksSink(write(tmp_path, text))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such Python file"):
        CallbacksSink(tmp_path / "none.py")
    with pytest.raises(ConfigError, match="is not a file"):
        CallbacksSink(tmp_path)
    with pytest.raises(ConfigError, match="has none of the functions"):
        CallbacksSink()
    with pytest.raises(ConfigError, match="expected stop or continue"):
        CallbacksSink(on_end=print, errors="ignore")  # type: ignore[arg-type]


def test_a_function_is_given_once(tmp_path: Path) -> None:
    file = write(tmp_path, "def on_frame(frame): ...\n")
    with pytest.raises(ConfigError, match="on_frame is also given directly"):
        CallbacksSink(file, on_frame=print)
    CallbacksSink(file, on_end=print)


@pytest.mark.parametrize("text", ["import no_such_module_at_all\n", "x = 1 / 0\n", "import sys\nsys.exit(3)\n"])
def test_a_file_that_raises_while_it_is_loaded(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, f"# a comment\n{text}")
    before = list(sys.path)
    with pytest.raises(CallbackError, match=r"my_file\.py:\d: raised \w+.* while it was being loaded") as caught:
        CallbacksSink(file)
    assert sys.path == before
    cause = caught.value.__cause__
    assert cause is not None
    assert traceback.extract_tb(cause.__traceback__)[0].filename == str(file)


def test_a_broken_module_beside_the_file_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    write(tmp_path, "def (:\n", "broken_beside.py")
    with pytest.raises(CallbackError, match=r"my_file\.py:1: raised SyntaxError: .*broken_beside\.py"):
        CallbacksSink(write(tmp_path, "import broken_beside\n"))


def test_a_function_that_raises_stops_the_run_with_its_traceback(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "def helper(frame):\n    return 1 / len(frame.ended[1:])\n\ndef on_frame(frame):\n    helper(frame)\n",
    )
    with pytest.raises(CallbackError) as caught:
        play(CallbacksSink(file), tracked(12))
    assert str(caught.value) == (
        f"on_frame raised ZeroDivisionError: division by zero ({file}:2; stream cam, frame 12, 1.200 s)"
    )
    assert isinstance(caught.value, PipelineError)
    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert [entry.lineno for entry in traceback.extract_tb(cause.__traceback__)] == [5, 2]


def test_the_error_of_an_event_says_which_frame_was_the_last() -> None:
    def fail(event: object) -> None:
        raise ValueError("two\nlines")

    with pytest.raises(
        CallbackError, match=r"^on_second raised ValueError: two lines \(.*:\d+; .*frame 9, 1\.000 s\)$"
    ):
        play(CallbacksSink(on_second=fail), tracked(9), second())
    with pytest.raises(CallbackError, match=r"stream cam, 60\.000 s\)$"):
        play(CallbacksSink(on_end=fail), ended())


def test_a_function_that_calls_exit_is_an_error() -> None:
    with pytest.raises(CallbackError, match="on_frame raised SystemExit: 3"):
        play(CallbacksSink(on_frame=lambda frame: sys.exit(3)), tracked())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_a_function_that_raises_what_ends_programs_is_an_error(kind: type[BaseException]) -> None:
    def fail(_: object) -> None:
        raise kind

    def call() -> None:
        play(CallbacksSink(on_frame=fail), tracked())

    # As in a run: Ctrl-C comes to the main thread alone.
    with ThreadPoolExecutor(1) as pool, pytest.raises(CallbackError, match=f"on_frame raised {kind.__name__}"):
        pool.submit(call).result()


def test_ctrl_c_within_a_function_stays_what_it_is() -> None:
    def fail(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(CallbacksSink(on_frame=fail), tracked())


def test_a_built_in_function_that_raises() -> None:
    with pytest.raises(CallbackError, match="on_frame raised TypeError"):
        play(CallbacksSink(on_frame=len), tracked())  # type: ignore[arg-type]


def test_with_continue_errors_are_logged_once_per_kind_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def fail(frame: FrameResult) -> None:
        seen.append(frame.index)
        raise (KeyError if frame.index % 2 else ValueError)(frame.index)

    def fail_too(event: object) -> None:
        raise ValueError("again")

    sink = CallbacksSink(on_frame=fail, on_event=fail_too, on_second=lambda event: seen.append(-1), errors="continue")
    with caplog.at_level(logging.WARNING):
        play(sink, *(tracked(index) for index in range(6)), second(), ended())
    assert seen == [0, 1, 2, 3, 4, 5, -1]
    assert sink.errors == {"on_frame": 6, "on_event": 2}
    assert sink.counts() == OutputCounts(given=8, lost=8)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage().split(" (")[0] for record in errors] == [
        "on_frame raised ValueError: 0",
        "on_frame raised KeyError: 1",
        "on_event raised ValueError: again",
    ]
    assert "in fail" in caplog.text  # The traceback.
    assert "on_frame raised 6 times" in caplog.text


def test_several_streams_are_kept_apart() -> None:
    given: list[tuple[str, int, str]] = []
    sink = CallbacksSink(on_frame=lambda frame: given.append((frame.stream, frame.index, frame.objects[0].class_name)))
    sink.open("a", INFO, ("person", "bicycle"))
    sink.open("b", INFO, ("car", "bus"))
    sink.on_frame(tracked(1, stream="a"))
    sink.on_frame(tracked(5, stream="b"))
    sink.on_event(ended("a"))
    sink.on_frame(tracked(6, stream="b"))
    sink.close()
    assert given == [("a", 1, "person"), ("b", 5, "car"), ("b", 6, "car")]


def test_behind_a_worker_the_error_reaches_the_pipeline() -> None:
    def fail(frame: FrameResult) -> None:
        if frame.index == 3:
            raise ValueError("here")

    worker = SinkThread(CallbacksSink(on_frame=fail))
    worker.open("cam", INFO, NAMES)
    with pytest.raises(CallbackError, match=r"on_frame raised ValueError: here .*frame 3, 0\.300 s\)") as caught:
        for index in range(100):
            worker.on_frame(tracked(index))
        worker.close()
    worker.close(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_examples_in_the_documentation_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    whole, picture, program = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    for number, text in enumerate((whole, picture)):
        sink = CallbacksSink(write(tmp_path, text, f"example_{number}.py"))
        play(sink, tracked(), started(), second(), minute(), ended())
    printed = capsys.readouterr().out
    assert "0.00 s: person number 1 at (4.0, 5.0, 20.0, 40.0)" in printed
    assert "second 0: 1.5 people at once, 3 different ones" in printed
    assert "minute 0: 600 frames, 100% of it seen" in printed
    assert "cam ended (end): 3 of 3 frames processed" in printed
    assert (tmp_path / "person.png").stat().st_size > 0
    sink = load_user_file(write(tmp_path, program, "program.py")).sink
    assert isinstance(sink, CallbacksSink)
    play(sink, tracked())
    assert capsys.readouterr().out == "0 2\n"


def test_the_documentation_names_every_function_and_attribute() -> None:
    text = DOCS.read_text(encoding="utf-8")
    attributes = [name for name in vars(FrameResult) if not name.startswith("_") and name != "annotated"]
    for name in (*CALLBACKS, *attributes, "class_names", "annotated()"):
        assert f"`{name}`" in text, name


def test_only_what_there_is_a_function_for_is_counted() -> None:
    def fail(frame: FrameResult) -> None:
        if frame.index == 2:
            raise ValueError("no")

    sink = CallbacksSink(on_frame=fail, on_end=lambda end: None, errors="continue")
    play(sink, *(tracked(index) for index in range(6)), second(), ended())
    assert sink.counts() == OutputCounts(given=7, written=6, lost=1)


def test_what_stops_the_run_is_lost() -> None:
    sink = CallbacksSink(on_second=lambda second: 1 / 0)
    with pytest.raises(CallbackError):
        play(sink, tracked(), second())
    assert sink.counts() == OutputCounts(given=1, lost=1)
