"""The OpenAPI document is true: right and wrong requests are answered as it says, and none meets a bug."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.support.served_run import Served, served_run
from tests.support.waiting import PATIENCE_S

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_run(tmp_path_factory.mktemp("schema")) as served:
        served.wait_for(lambda: len(served.sink.frames) > 5, "frames")
        yield served
        before = len(served.sink.frames)
        served.wait_for(lambda: len(served.sink.frames) > before, "the run to go on after all of it")


def play_requests(run: Served, examples: int) -> tuple[int, list[str]]:
    """Send so many requests of each kind, and as many that the document calls wrong.

    Returns:
        How many were answered as it says, and what is wrong with the answers to the others.
    """
    document = schemathesis.openapi.from_url(f"{run.url}/api/openapi.json")
    requests, found = 0, list[str]()
    # What listens to events never ends by itself.
    for result in document.exclude(path="/api/events/live").get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            @given(case=operation.as_strategy(generation_mode=mode), of_the_run=st.booleans())
            def play(case: Any, of_the_run: bool) -> None:
                nonlocal requests
                if of_the_run and "name" in case.path_parameters:
                    case.path_parameters["name"] = "door"
                case.call_and_validate(checks=CHECKS, timeout=PATIENCE_S)
                requests += 1

            try:
                play()
            except Unsatisfiable:  # there is nothing that could be wrong about it
                continue
            except (Exception, ExceptionGroup) as error:  # noqa: BLE001 - all of them are told at once
                causes = error.exceptions if isinstance(error, ExceptionGroup) else [error]
                found += [f"{operation.label} ({mode.name}): {cause!r}: {cause}" for cause in causes]
    return requests, found


def test_answers_are_as_the_document_says(run: Served) -> None:
    requests, found = play_requests(run, 6)
    assert not found, "\n\n".join(found)
    assert requests > 150


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_requests_meet_no_bug_and_leave_nothing(run: Served) -> None:
    play_requests(run, 10)
    process = psutil.Process()
    before = process.memory_info().rss
    requests, found = play_requests(run, 360)
    assert not found, "\n\n".join(found)
    assert requests >= 10_000
    run.sink.frames.clear()  # this process is the client, too
    run.sink.events.clear()
    assert process.memory_info().rss - before < 150e6
