"""Tokens and sessions: what they give, what wrong ones are answered, and that guessing is slow."""

from __future__ import annotations

import pytest

from sightline.server.access import SESSION_S, Access, TooManyTriesError, host_allowed


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_token_gives_its_role_and_no_other() -> None:
    access = Access("admin-token", "read-token")
    assert access.role_of_token("admin-token", "1.2.3.4") == "admin"
    assert access.role_of_token("read-token", "1.2.3.4") == "read"
    for wrong in ("", "admin-toke", "admin-token ", "\ud800", "x" * 100_000):
        assert access.role_of_token(wrong, f"10.0.0.{len(wrong) % 7}") is None


def test_a_session_ends_when_it_is_told_to_and_after_a_month() -> None:
    clock = Clock()
    access = Access("admin-token", clock=clock)
    first, second = access.begin_session("admin"), access.begin_session("read")
    assert (access.role_of_session(first), access.role_of_session(second)) == ("admin", "read")
    access.end_session(first)
    assert access.role_of_session(first) is None
    clock.now_s += SESSION_S
    assert access.role_of_session(second) is None
    assert access.role_of_session("made-up") is None


def test_sessions_take_bounded_memory() -> None:
    access = Access("admin-token")
    sessions = [access.begin_session("read") for _ in range(1500)]
    alive = [session for session in sessions if access.role_of_session(session)]
    assert alive == sessions[-1000:]


def test_after_some_wrong_tokens_even_the_right_one_waits() -> None:
    clock = Clock()
    access = Access("admin-token", clock=clock)
    for _ in range(5):
        assert access.role_of_token("wrong", "1.2.3.4") is None
    with pytest.raises(TooManyTriesError) as refused:
        access.role_of_token("admin-token", "1.2.3.4")
    assert 0 < refused.value.wait_s <= 12
    assert access.role_of_token("admin-token", "1.2.3.5") == "admin", "others need not wait"
    clock.now_s += refused.value.wait_s
    assert access.role_of_token("admin-token", "1.2.3.4") == "admin"


def test_who_has_many_addresses_has_no_more_tries() -> None:
    access = Access("admin-token")
    for host in range(5):
        access.role_of_token("wrong", f"2001:db8::{host}")
    with pytest.raises(TooManyTriesError):
        access.role_of_token("wrong", "2001:db8::ffff")
    for host in range(20_000):
        access.role_of_token("wrong", f"10.{host >> 16}.{host >> 8 & 255}.{host & 255}")
    assert len(access._failures) <= 10_000


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("192.168.1.7", True),
        ("LOCALHOST:1", True),
        ("cams.example:8080", True),
        ("evil.example", False),
        ("cams.example.evil.example", False),
        ("127.0.0.1.evil.example:8080", False),
        ("localhost.evil.example", False),
        ("", False),
        ("[::1", True),
        ("a:b:c", False),
    ],
)
def test_names_that_a_stranger_may_have_pointed_here_are_refused(host: str, passes: bool) -> None:
    assert host_allowed(host, ["Cams.example"]) is passes
