"""The locks hold what pyproject.toml asks for, each file with its hash, and nothing of the machine that made them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
LOCKS = {
    "runtime": [*PROJECT["project"]["dependencies"], *EXTRAS["all"]],
    "development": [*PROJECT["project"]["dependencies"], *EXTRAS["dev"]],
    "data": PROJECT["dependency-groups"]["data"],
    "lock": PROJECT["dependency-groups"]["lock"],
}
# A registry's or a machine's name, or an option that would give one.
FOREIGN = re.compile(r"://|file:|--(extra-)?index|--find-links|(^|[\s=])[./]*/\w|@ ", re.MULTILINE)


def locked(name: str) -> dict[str, list[Requirement]]:
    """The pins of a lock by package; several where Pythons or systems differ."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ").splitlines()
    pins: dict[str, list[Requirement]] = {}
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        requirement = Requirement(line.partition(" --hash=")[0])
        assert re.search(r" --hash=sha256:[0-9a-f]{64}", line), f"{requirement}: no hash"
        pins.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return pins


def wanted(requirements: list[str]) -> list[Requirement]:
    """Requirements with those of the project's own extras in place of the extras."""
    found: list[Requirement] = []
    for requirement in map(Requirement, requirements):
        if requirement.name == PROJECT["project"]["name"]:
            found += [one for extra in sorted(requirement.extras) for one in wanted(EXTRAS[extra])]
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_is_asked_for(name: str) -> None:
    pins = locked(name)
    for requirement in wanted(LOCKS[name]):
        found = pins.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement} is not locked: run `make lock`"
        for pin in found:
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert requirement.specifier.contains(Version(exact.version)), f"{pin} against {requirement}: `make lock`"


@pytest.mark.parametrize("path", [*(f"requirements/{name}.txt" for name in LOCKS), "docs/examples/package-lock.json"])
def test_a_lock_names_no_registry_and_no_path(path: str) -> None:
    assert not FOREIGN.search((ROOT / path).read_text())


def test_what_the_product_needs_is_the_same_in_development() -> None:
    development = locked("development")
    for name, pins in locked("runtime").items():
        versions = {str(pin.specifier) for pin in development[name]}
        assert {str(pin.specifier) for pin in pins} <= versions, name


def test_every_extra_of_the_product_is_locked() -> None:
    """``all`` is what requirements/runtime.txt is made of; the other two are for who works on it."""
    (everything,) = map(Requirement, EXTRAS["all"])
    assert set(EXTRAS) - {"all", "dev", "docs"} == everything.extras


def test_the_example_in_javascript_is_locked() -> None:
    lock = json.loads((ROOT / "docs" / "examples" / "package-lock.json").read_text())
    asked = json.loads((ROOT / "docs" / "examples" / "package.json").read_text())["dependencies"]
    assert lock["packages"][""]["dependencies"] == asked
    for name, package in lock["packages"].items():
        assert not name or package["integrity"].startswith("sha512-"), name
