"""The lock: complete, pinned, hashed, without addresses, and without a version that is known to be bad."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.txt", "requirements-test.txt")
KNOWN_BAD = Path(__file__).with_name("known_bad_versions.txt")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(name: str) -> Iterator[tuple[Requirement, list[str]]]:
    """The requirements of a lock with their options."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        requirement, *options = re.split(r"\s+(?=--)", line)
        yield Requirement(requirement), options


def known_bad() -> list[tuple[str, SpecifierSet, str]]:
    """The package, the bad versions, and why."""
    lines = [line.split(" ", 2) for line in KNOWN_BAD.read_text().splitlines() if not line.startswith("#")]
    return [(canonicalize_name(name), SpecifierSet(versions), why) for name, versions, why in lines]


def bad_versions(pins: list[tuple[str, str]]) -> list[str]:
    """What is known to be bad among some pins."""
    return [
        f"{name} {version}: {why}"
        for name, version in pins
        for bad, versions, why in known_bad()
        if name == bad and versions.contains(Version(version), prereleases=True)
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_each_requirement_is_pinned_and_hashed_and_has_no_address(lock: str) -> None:
    found = list(locked(lock))
    assert len(found) > 50
    for requirement, options in found:
        assert requirement.url is None
        (pin,) = requirement.specifier
        assert (pin.operator, "*" in pin.version) == ("==", False), str(requirement)
        assert options, f"{requirement} has no hash"
        assert all(map(HASH.fullmatch, options)), str(requirement)
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|^\s*(-e|-f|-i|--index|--extra-index|--find|--trusted|git\+)", text, re.MULTILINE)


@pytest.mark.parametrize(("lock", "extras"), [(LOCKS[0], ("build",)), (LOCKS[1], ("build", "test"))])
def test_the_lock_holds_all_that_the_project_declares(lock: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *(d for e in extras for d in project["optional-dependencies"][e])]
    pins = {canonicalize_name(one.name): one for one, _ in locked(lock)}
    for requirement in map(Requirement, declared):
        pin = pins[canonicalize_name(requirement.name)]
        assert next(iter(pin.specifier)).version in requirement.specifier, f"{requirement}: {pin}"


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_all_that_its_packages_need_here(lock: str) -> None:
    """As far as they are installed: what pip would refuse with hashes, offline."""
    from importlib.metadata import PackageNotFoundError, requires

    pins = {canonicalize_name(one.name): one.extras for one, _ in locked(lock)}
    missing = set()
    for name, extras in pins.items():
        try:
            needed = map(Requirement, requires(name) or ())
        except PackageNotFoundError:  # of another platform
            continue
        environments = [default_environment() | {"extra": extra} for extra in (*extras, "")]
        for one in needed:
            wanted = one.marker is None or any(map(one.marker.evaluate, environments))  # type: ignore[arg-type]
            if wanted and canonicalize_name(one.name) not in pins:
                missing.add(f"{name} needs {one}")
    assert missing == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_no_version_that_is_known_to_be_bad_is_locked(lock: str) -> None:
    pins = [(canonicalize_name(one.name), next(iter(one.specifier)).version) for one, _ in locked(lock)]
    assert bad_versions(pins) == []


def test_a_bad_version_would_be_found() -> None:
    found = bad_versions([("pyyaml", "5.3.1"), ("h11", "0.16.0")])
    assert found == ["pyyaml 5.3.1: CVE-2020-14343 code in full_load"]
    assert len(known_bad()) > 10
