"""Who is let in: no token, a wrong one, a reader's; another site's page, other names, paths that lead out."""

from __future__ import annotations

import http.client
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from sightline.server.guard import MAX_BODY_BYTES
from tests.support.served_run import ADMIN, READER, Served, served_run
from tests.support.waiting import PATIENCE_S

ADMINS, READERS = {"Authorization": f"Bearer {ADMIN}"}, {"Authorization": f"bearer {READER}"}
ZONES: Any = {"zones": {"yard": {"polygon": [[0, 0], [1, 0], [1, 1]], "units": "fraction"}}}
READS = [
    "/api/streams", "/api/streams/door/zones", "/api/streams/door/lines", "/api/streams/door/frame.jpg", "/api/counts",
    "/api/events", "/api/events/live", "/api/report", "/api/config", "/metrics", "/api/openapi.json", "/nothing",
]  # fmt: skip
WRITES = [
    ("POST", "/api/streams"), ("PUT", "/api/streams/door"), ("DELETE", "/api/streams/door"),
    ("POST", "/api/streams/door/enable"), ("POST", "/api/streams/door/disable"), ("PUT", "/api/streams/door/zones"),
    ("PUT", "/api/streams/door/lines"), ("POST", "/api/streams/door/dry-run"), ("POST", "/nothing"),
]  # fmt: skip


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A run that asks for tokens."""
    with served_run(tmp_path_factory.mktemp("locked"), tokens=True) as served:
        served.wait_for(lambda: len(served.sink.frames) > 5, "frames")
        yield served


@pytest.fixture(scope="module")
def unlocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A run that asks for none."""
    with served_run(tmp_path_factory.mktemp("open")) as served:
        served.wait_for(lambda: len(served.sink.frames) > 5, "frames")
        yield served


def raw(served: Served, request: bytes) -> bytes:
    """The first bytes of the answer to what no client would send."""
    place = urlsplit(served.url)
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def test_without_a_token_only_the_page_its_login_and_the_probes_answer(locked: Served) -> None:
    for path in READS:
        answer = locked.get(path)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        assert answer.json() == {"errors": [{"where": "", "message": "a token is needed"}]}
    for method, path in WRITES:
        assert requests.request(method, locked.url + path, timeout=PATIENCE_S).status_code == 401, path
    for path in ("/", "/page/index.html", "/healthz", "/api/session"):
        assert locked.get(path).status_code == 200, path
    assert locked.get("/readyz").json()["trouble"] == [], "what there is is not for everybody"
    assert locked.get("/api/session").json() == {"role": None, "login": True}


def test_a_reader_looks_and_changes_nothing(locked: Served) -> None:
    for path in READS:
        if path not in ("/nothing", "/api/events/live"):
            assert locked.get(path, headers=READERS).status_code == 200, path
    for method, path in WRITES:
        answer = requests.request(method, locked.url + path, headers=READERS, json=ZONES, timeout=PATIENCE_S)
        assert answer.status_code == 403, path
        assert answer.json()["errors"][0]["message"] == "this token may only read"
    assert locked.get("/api/streams/door/zones", headers=ADMINS).json() == {"zones": {}}


def test_a_login_gives_a_cookie_that_scripts_and_other_sites_do_not_get(locked: Served) -> None:
    answer = locked.post("/api/session", {"token": ADMIN})
    assert answer.json() == {"role": "admin", "login": True}
    given = answer.headers["Set-Cookie"]
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in given.split(";")}
    assert ADMIN not in given
    behind = {"Origin": locked.url.replace("http://", "https://")}
    assert "secure" in locked.post("/api/session", {"token": READER}, headers=behind).headers["Set-Cookie"].lower()
    cookies = {"Cookie": given.partition(";")[0]}
    assert locked.get("/api/session", headers=cookies).json()["role"] == "admin"
    assert locked.put("/api/streams/door/zones", ZONES, headers=cookies).status_code == 200
    assert locked.put("/api/streams/door/zones", {"zones": {}}, headers=cookies).status_code == 200
    assert locked.delete("/api/session", headers=cookies).json() == {"role": None, "login": True}
    assert locked.get("/api/streams", headers=cookies).status_code == 401


def test_wrong_tokens_are_refused_and_soon_not_even_looked_at(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wrong = "a-wrong-token-that-is-secret"
    with caplog.at_level(logging.DEBUG), served_run(tmp_path, tokens=True) as served:
        for attempt in range(5):
            if attempt % 2:
                assert served.post("/api/session", {"token": wrong}).status_code == 401
            else:
                assert served.get("/api/streams", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401
        answer = served.post("/api/session", {"token": ADMIN})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 13
        assert served.get("/api/streams", headers=ADMINS).status_code == 429
        assert served.get("/healthz").status_code == 200
    assert not any(secret in caplog.text for secret in (wrong, ADMIN, READER)), "tokens are not logged"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": ""},
    ],
    ids=str,
)
def test_what_another_site_s_page_sends_changes_nothing(unlocked: Served, headers: dict[str, str]) -> None:
    answer = unlocked.put("/api/streams/door/zones", ZONES, headers=headers)
    assert answer.status_code == 403
    assert unlocked.post("/api/session", {"token": "x"}, headers=headers).status_code == 403
    assert unlocked.get("/api/streams/door/zones").json() == {"zones": {}}
    if "Origin" in headers:
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{unlocked.url.replace('http', 'ws')}/api/live", additional_headers=headers)
        assert refused.value.response.status_code == 403


def test_what_the_page_itself_sends_counts(unlocked: Served) -> None:
    own = {"Origin": unlocked.url, "Sec-Fetch-Site": "same-origin"}
    assert unlocked.put("/api/streams/door/zones", {"zones": {}}, headers=own).status_code == 200
    with connect(f"{unlocked.url.replace('http', 'ws')}/api/live", additional_headers=own):
        pass


def test_a_websocket_needs_a_token_too(locked: Served) -> None:
    address = f"{locked.url.replace('http', 'ws')}/api/live"
    with pytest.raises(InvalidStatus) as refused:
        connect(address)
    assert refused.value.response.status_code == 401
    with connect(address, additional_headers=READERS):
        pass


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"])
def test_a_name_that_a_stranger_pointed_here_is_refused(unlocked: Served, host: str) -> None:
    for path in ("/", "/api/streams", "/healthz"):
        assert unlocked.get(path, headers={"Host": host}).status_code == 421
    request = f"GET /api/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: {host}\r\n\r\n".encode()
    assert raw(unlocked, request).split()[1] in (b"400", b"421")


def test_every_answer_keeps_browsers_from_other_hosts(unlocked: Served) -> None:
    for path in ("/", "/page/index.html", "/api/streams", "/nothing", "/api/streams/none/zones"):
        headers = unlocked.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Server" not in headers
        assert "Access-Control-Allow-Origin" not in headers
    assert unlocked.get("/docs").status_code == unlocked.get("/redoc").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page/%2e%2e%2fapp.py",
        "/page/..\\app.py",
        "/page//etc/passwd",
        "/page/%2fetc%2fpasswd",
        "/page/%00",
        "/page/....//app.py",
        "//page/../../app.py",
        "/api/streams/..%2f..%2fetc/zones",
        "/api/streams/%2e%2e/frame.jpg",
    ],
)
def test_no_path_leads_out_of_the_page(unlocked: Served, path: str) -> None:
    answer = raw(unlocked, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    assert answer.split()[1] in (b"404", b"400", b"405"), answer[:200]
    assert b"import " not in answer
    assert b"root:" not in answer


def test_too_much_is_refused_before_it_is_read(unlocked: Served) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)
    answer = requests.put(f"{unlocked.url}/api/streams/door/zones", data=body, timeout=PATIENCE_S)
    assert answer.status_code == 413
    place = urlsplit(unlocked.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=PATIENCE_S)
    # In pieces, which tell no length.
    connection.request(
        "PUT", "/api/streams/door/zones", iter([body[: 1 << 16]] * 6), {"Content-Type": "application/json"},
        encode_chunked=True,
    )  # fmt: skip
    assert connection.getresponse().status in (400, 413)
    connection.close()
    assert unlocked.get("/healthz").status_code == 200


def logged_in(served: Served) -> requests.Session:
    """A browser that has a cookie."""
    session = requests.Session()
    assert session.post(f"{served.url}/api/session", json={"token": ADMIN}, timeout=PATIENCE_S).status_code == 200
    return session


def test_who_logs_out_sees_nothing_more(locked: Served) -> None:
    with logged_in(locked) as session:
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in session.cookies.items())}
        with (
            connect(f"{locked.url.replace('http', 'ws')}/api/live", additional_headers=cookie) as live,
            session.get(f"{locked.url}/api/events/live", stream=True, timeout=PATIENCE_S) as events,
        ):
            live.send('{"type": "watch", "tiles": [{"stream": "door", "width": 320}]}')
            lines = events.iter_lines()
            next(line for line in lines if line.startswith(b"data:"))
            assert session.delete(f"{locked.url}/api/session", timeout=PATIENCE_S).ok
            for _ in lines:  # until its end
                pass
            live.send('{"type": "ack", "stream": "door"}')
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    live.recv(timeout=PATIENCE_S)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
        b"PUT /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{",
    ],
)
def test_a_request_that_never_comes_keeps_no_connection(
    unlocked: Served, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr("sightline.server.http_connection.REQUEST_S", 0.2)
    place = urlsplit(unlocked.url)
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S) as connection:
        connection.sendall(begun)
        while connection.recv(65536):  # until it is closed, whatever it was told
            pass


def test_what_stays_connected_is_not_taken_for_late(unlocked: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightline.server.http_connection.REQUEST_S", 1.0)
    with (
        connect(f"{unlocked.url.replace('http', 'ws')}/api/live") as live,
        requests.get(f"{unlocked.url}/api/events/live", stream=True, timeout=PATIENCE_S) as events,
    ):
        lines = events.iter_lines()
        until_s = time.monotonic() + 1.5
        while time.monotonic() < until_s:
            next(lines)
        live.send('{"type": "watch", "tiles": [{"stream": "door", "width": 320}]}')
        while isinstance(live.recv(timeout=PATIENCE_S), str):
            pass
