"""What is shown of addresses, and that what is connected to is read in the same way."""

from __future__ import annotations

import itertools
import json
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.addresses import parse_address
from pipeline.errors import ConfigError, PipelineError, SinkError, SourceError
from pipeline.redaction import environment_variable, redact, redact_address, redact_data
from pipeline.sources.network import connection_address
from pipeline.sources.uri import stream_name
from sightline.commands.plain_log import RedactingFormatter, print_error
from sightline.config.loading import load_config
from tests.support.passwords import FORMS, SECRET, USER, Form, shown_secrets

HOSTS = ("192.0.2.7", "192.0.2.7:554", "camera", "camera.local", "[fe80::1]:554")
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
# Two words that any test of "the host can be recognised" can find again.
paths = st.lists(st.sampled_from(["live", "cam", "ch0", "Streaming", "101", "video.mjpg"]), max_size=3).map("/".join)


@every_form
def test_host_and_path_are_shown_and_no_secret(form: Form) -> None:
    for scheme, host in itertools.product(["rtsp", "RTSP", "http", "mqtt"], HOSTS):
        address = form.at(scheme, host, path="main_street")
        shown = redact_address(address)
        assert not list(shown_secrets(shown)), shown
        assert shown.startswith(f"{scheme}://{host}"), shown
        if "@HOST/PATH" in form.address or form.address.startswith("HOST/PATH"):
            assert shown.startswith(f"{scheme}://{host}/main_street")
        assert redact_address(shown) == shown
        assert not list(shown_secrets(stream_name(address)))


@every_form
def test_texts_names_and_data_show_no_secret(form: Form) -> None:
    address = form.at("rtsp", "192.0.2.7")
    # Outside quotation marks white space ends an address; code that knows an address shows it by redact_address.
    texts = [f"can't open {address!r}: no", f'"{address}" is away']
    if " " not in address:
        texts += [f"can't open {address}: no", f"{address}, {address}"]
    if '"' not in address:
        for text in texts:
            assert not list(shown_secrets(redact(text))), redact(text)
            assert "192.0.2.7" in redact(text)
    data = json.dumps(redact_data({"a": [address], address: {"password": SECRET}, "n": 1}))
    assert not list(shown_secrets(data)), data


@pytest.mark.parametrize(
    "text",
    [
        f"rtsp:/{USER}:{SECRET}@camera/live",
        f"{USER}:{SECRET}@camera/live",
        f"//{USER}:{SECRET}@camera/live",
        f"password={SECRET}",
        f'GET /cgi?user=x&passwd={SECRET} HTTP/1.1" 401',
        f"Authorization: Basic {SECRET}",
        f"{{'Proxy-Authorization': 'Bearer {SECRET}'}}",
        f"http_proxy=http://{USER}:{SECRET}@proxy:3128/",
    ],
)
def test_secrets_without_an_address_around_them(text: str) -> None:
    assert not list(shown_secrets(redact(text)))


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://10.0.0.7:554/a@b",
        "http://[::1]:8080/@channel/clip.mp4",
        "rtsp://camera/Streaming/Channels/101?transportmode=unicast&profile=Profile_1",
        "rtsp://camera/h264Preview_01_main",
        "http://camera/axis-cgi/mjpg/video.cgi?resolution=640x480&fps=5",
        "events endpoint 'tcp://*:5556': it is in use by another program",
        "mqtt://broker:1883: the broker can't be reached; trying again",
        "out/door.mp4: 12:30 @ 25 fps",
        "input.password_env=CAMERA_PASSWORD",
    ],
)
def test_what_holds_no_secret_stays(text: str) -> None:
    assert redact(text) == text


secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@given(secrets, paths)
@example("1234/5", "live")
@example("@", "")
@example("x?y#z@", "live")
def test_any_password_is_read_and_hidden_alike(password: str, path: str) -> None:
    address = f"rtsp://admin:{password}@192.0.2.7:554/{path}"
    assert redact_address(address) == redact(address) == f"rtsp://192.0.2.7:554/{path}"
    try:
        read = parse_address(address)
    except ConfigError as error:
        assert redact_address(address) in str(error)
        return
    if "%" not in password:
        assert (read.user, read.password) == (b"admin", password.encode())
    assert (read.host, read.tail) == ("192.0.2.7:554", f"/{path}")


@given(secrets, secrets)
def test_what_is_connected_to_is_read_alike_by_every_parser(user: str, password: str) -> None:
    address = parse_address("RTSP://camera:554/live?x=1").with_login(user.encode(), password.encode())
    assert parse_address(address.encoded) == address
    login, at, rest = address.encoded.partition("://")[2].partition("@")
    assert (at, rest) == ("@", "camera:554/live?x=1")
    assert not set("/?# ") & set(login)
    assert login.partition(":")[0] == login.rpartition(":")[0].partition(":")[0]


@given(
    st.sampled_from(["user", "password", "PASSWD", "token", "auth", "key", "sig", "zugang", "pässwort", "stream"]),
    st.text(st.characters(codec="utf-8", exclude_characters="&;", exclude_categories=["Z", "C"]), max_size=20),
    st.sampled_from(["?", "/", ";", "/x&", "?a=1&", "/a/b?"]),
)
def test_no_parameter_shows_what_it_holds(key: str, value: str, begin: str) -> None:
    value = f"{value}~{SECRET}"
    address = f"http://camera/live{begin}{key}={value}&channel=2"
    shown = redact_address(address)
    assert SECRET not in shown
    assert shown.startswith("http://camera/live")
    assert shown.endswith("&channel=2")
    assert redact_address(shown) == shown


@given(st.text(max_size=200))
def test_any_text_can_be_redacted_and_again(text: str) -> None:
    assert redact(redact(text)) == redact(text)
    redact_address(text)


@pytest.mark.parametrize("host", ["camera:554/a@b", "user:12/34@camera/live", "admin:p@ss/word@camera/live"])
def test_what_nobody_can_tell_is_refused_with_advice(host: str) -> None:
    with pytest.raises(ConfigError, match=r"can't tell where its password ends; write @ as %40"):
        parse_address(f"rtsp://{host}")


@pytest.mark.parametrize(
    ("address", "login", "host", "tail"),
    [
        ("rtsp://a:p/q@10.0.0.7/x", (b"a", b"p/q"), "10.0.0.7", "/x"),
        ("rtsp://a:1/2@10.0.0.7/x", (b"a", b"1/2"), "10.0.0.7", "/x"),
        ("rtsp://a:p@q/r@10.0.0.7/x", (b"a", b"p@q/r"), "10.0.0.7", "/x"),
        ("rtsp://a:p@10.0.0.7/x@y", (b"a", b"p"), "10.0.0.7", "/x@y"),
        ("rtsp://a:p@cam.local/x@y", (b"a", b"p"), "cam.local", "/x@y"),
        ("http://cam.local:80/@x/y", (None, None), "cam.local:80", "/@x/y"),
        ("http://cam/@x:y", (None, None), "cam", "/@x:y"),
        ("rtsp://a:50%25@cam", (b"a", b"50%"), "cam", ""),
        ("rtsp://a:50%@cam", (b"a", b"50%"), "cam", ""),
        ("rtsp://:p@cam", (b"", b"p"), "cam", ""),
        ("rtsp://t0ken@cam", (b"t0ken", None), "cam", ""),
    ],
)
def test_where_a_password_ends(address: str, login: tuple[bytes | None, bytes | None], host: str, tail: str) -> None:
    read = parse_address(address)
    assert ((read.user, read.password), read.host, read.tail) == (login, host, tail)


@every_form
def test_mistakes_in_the_configuration_show_no_secret(form: Form, tmp_path: Path) -> None:
    address = form.at("rtsp", "192.0.2.7")
    file = tmp_path / "a.yaml"
    quoted = json.dumps(address)
    for text in (
        f"model: {quoted}\nevents: {{endpoint: {quoted}}}\nmqtt: {{url: [{quoted}], password: {SECRET}}}\n",
        f"streams: {{{quoted}: {{source: x}}}}\n",
        f"{quoted}: 1\n",
        f"{quoted}\n",
        f"source: {{url: {quoted}, password: {SECRET}}}\n",
    ):
        file.write_text(text)
        with pytest.raises(ConfigError) as raised:
            load_config(file)
        assert not list(shown_secrets(str(raised.value))), raised.value
    for override in (
        f"model={address}",
        f"source=[{address}",
        f"{address}=1",
        f"mqtt.password={SECRET}",
        "source.x=1",
    ):
        with pytest.raises(ConfigError) as raised:
            load_config(None, [f"source={json.dumps(address)}", override])
        assert not list(shown_secrets(str(raised.value))), raised.value


@pytest.mark.parametrize("kind", [ConfigError, SourceError, SinkError, PipelineError])
def test_errors_log_records_and_tracebacks_show_no_secret(
    kind: type[PipelineError], capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind(f"cannot open rtsp://{USER}:{SECRET}@camera/live")
    assert str(error) == "cannot open rtsp://camera/live"
    try:
        raise ValueError(f"'http://camera/?password={SECRET}'")
    except ValueError as foreign:
        print_error(foreign)
        record = logging.LogRecord("x", 10, "x.py", 1, "GET %s", (f"/?token={SECRET}",), sys.exc_info())
    shown = RedactingFormatter("%(message)s").format(record)
    printed = capsys.readouterr().err
    for text in (shown, printed):
        assert "ValueError: 'http://camera/?password=***'" in text
        assert not list(shown_secrets(text))


@pytest.mark.parametrize("name", ["hunter2", SECRET, "my secret", "S3-CRET_x", "ABC"])
def test_a_secret_given_in_place_of_its_variable_is_not_repeated(name: str) -> None:
    assert environment_variable("CAMERA_PASSWORD") == "environment variable CAMERA_PASSWORD"
    assert name not in environment_variable(name)
    with pytest.raises(ConfigError, match="is not set") as raised:
        connection_address("rtsp://camera/live", password_env=name)
    assert name not in str(raised.value)
