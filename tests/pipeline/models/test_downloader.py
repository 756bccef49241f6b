"""Downloads over a real connection that breaks off, from servers that have something else, and by several at once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.models.downloader import download
from tests.support.http_server import serve_http

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REFUSED = "http://127.0.0.1:9/a.bin"


@pytest.fixture
def asked() -> list[str]:
    """The ranges that the server was asked for."""
    return []


@pytest.fixture
def address(tmp_path: Path, asked: list[str]) -> Iterator[str]:
    """Where a.bin is, and error.html in place of it."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.bin").write_bytes(CONTENT)
    (site / "other.bin").write_bytes(bytes(len(CONTENT)))
    (site / "error.html").write_text("<html>no such file</html>")
    (site / "longer.bin").write_bytes(CONTENT * 2)
    with serve_http(site, asked=asked) as served:
        yield served


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "below" / "a.bin"


def get(target: Path, *urls: str, told: list[int] | None = None) -> None:
    progress = told.append if told is not None else lambda _: None
    download(urls, target, size=len(CONTENT), sha256=SHA256, progress=progress)


def part(target: Path) -> Path:
    return target.with_name("a.bin.part")


def refusal(target: Path, *urls: str) -> str:
    with pytest.raises(ModelError) as caught:
        get(target, *urls)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    return str(caught.value)


def test_a_whole_file(address: str, target: Path, asked: list[str]) -> None:
    told: list[int] = []
    get(target, f"{address}/a.bin", told=told)
    assert target.read_bytes() == CONTENT
    assert told[0] == 0
    assert told[-1] == len(CONTENT)
    assert told == sorted(told)
    assert asked == [""]
    assert not part(target).exists()


def test_a_connection_that_breaks_off_goes_on_where_it_stopped(address: str, target: Path, asked: list[str]) -> None:
    get(target, f"{address}/a.bin?break_after=327680&ranges=1")
    assert target.read_bytes() == CONTENT
    assert asked == ["", "bytes=327680-", "bytes=655360-", "bytes=983040-"]


def test_the_next_attempt_goes_on_where_the_last_one_stopped(address: str, target: Path, asked: list[str]) -> None:
    # Without ranges the server begins anew each time, so that nothing more comes.
    message = refusal(target, f"{address}/a.bin?break_after=327680")
    assert "0.3 MB have come, and are kept" in message
    assert part(target).read_bytes() == CONTENT[:327_680]
    get(target, f"{address}/a.bin?ranges=1")
    assert target.read_bytes() == CONTENT
    assert asked[-1] == "bytes=327680-"


def test_the_second_host_sends_the_rest(address: str, target: Path, asked: list[str]) -> None:
    get(target, f"{address}/a.bin?break_after=327680", f"{address}/gone.bin", REFUSED, f"{address}/a.bin?ranges=1")
    assert target.read_bytes() == CONTENT
    assert asked == ["", "bytes=327680-", "bytes=327680-"]


def test_a_server_without_ranges_sends_all_of_it_again(address: str, target: Path) -> None:
    target.parent.mkdir(parents=True)
    part(target).write_bytes(CONTENT[:1234])
    get(target, f"{address}/a.bin")
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("rest", [b"x" * 1234, b"x" * len(CONTENT), CONTENT + b"x"])
def test_a_part_of_another_file_is_replaced(address: str, target: Path, rest: bytes) -> None:
    target.parent.mkdir(parents=True)
    part(target).write_bytes(rest)
    get(target, f"{address}/a.bin?ranges=1")
    assert target.read_bytes() == CONTENT


def test_a_complete_part_needs_no_network(target: Path) -> None:
    target.parent.mkdir(parents=True)
    part(target).write_bytes(CONTENT)
    get(target, REFUSED)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["other.bin", "error.html", "longer.bin"])
def test_what_is_not_the_file_is_thrown_away(address: str, target: Path, name: str) -> None:
    assert "127.0.0.1" in refusal(target, f"{address}/{name}")
    assert list(target.parent.iterdir()) == []
    get(target, f"{address}/{name}?ranges=1", f"{address}/a.bin?ranges=1")
    assert target.read_bytes() == CONTENT


def test_an_error_page_costs_nothing_that_has_come(address: str, target: Path) -> None:
    target.parent.mkdir(parents=True)
    part(target).write_bytes(CONTENT[:500_000])
    refusal(target, f"{address}/error.html", f"{address}/gone.bin", REFUSED)
    assert part(target).read_bytes() == CONTENT[:500_000]


def test_every_host_s_reason_is_told(address: str, target: Path) -> None:
    message = refusal(target, f"{address}/gone.bin", REFUSED, f"{address}/error.html")
    assert "404" in message
    assert "Connection refused" in message
    assert "what came is not the published file" in message


def test_a_place_that_can_not_be_written(address: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "exists" in refusal(tmp_path / "file" / "a.bin", f"{address}/a.bin")


def test_several_at_once_download_it_once(address: str, target: Path, asked: list[str]) -> None:
    program = (
        "import sys; from pathlib import Path; from pipeline.models.downloader import download;"
        f"download([sys.argv[1]], Path(sys.argv[2]), size={len(CONTENT)}, sha256={SHA256!r})"
    )
    command = [sys.executable, "-c", program, f"{address}/a.bin?break_after=131072&ranges=1", str(target)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert target.read_bytes() == CONTENT
    assert not part(target).exists()
    assert asked.count("") == 1


def test_a_size_that_only_the_server_knows(address: str, target: Path, asked: list[str]) -> None:
    url = f"{address}/a.bin?break_after=655360&ranges=1"
    download([url], target, size=None, sha256=SHA256[:8], progress=lambda _: None)
    assert target.read_bytes() == CONTENT
    assert asked == ["", "", "bytes=655360-"]
    target.unlink()
    with pytest.raises(ModelError, match="not the published file"):
        download([f"{address}/error.html"], target, size=None, sha256=SHA256[:8], progress=lambda _: None)
    assert list(target.parent.iterdir()) == []


def test_an_interrupt_keeps_what_has_come(address: str, target: Path) -> None:
    def stop(done: int) -> None:
        if done > 300_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download([f"{address}/a.bin"], target, size=len(CONTENT), sha256=SHA256, progress=stop)
    assert not target.exists()
    assert len(CONTENT) >= part(target).stat().st_size > 300_000
    assert CONTENT.startswith(part(target).read_bytes())
