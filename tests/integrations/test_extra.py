"""What is missing or not supported is reported in one sentence, before anything of the package is imported."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest

from sekha.integrations import _extra
from sekha.integrations._extra import extra_imports

INSTALL = "pip install 'sekha-python-sdk[one-two]'"
MODULE = "sekha.integrations.one_two"


@pytest.fixture
def supported(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An extra for the package `one`, of which a version is installed."""

    def set_up(installed: str, floor: str = "1.2.0", below: str = "2", python: str = "3.9") -> None:
        monkeypatch.setattr(_extra, "SUPPORTED", {"one-two": ("one", floor, below, python)})
        monkeypatch.setattr(_extra, "version", lambda name: {"one": installed}[name])

    return set_up


@pytest.mark.parametrize("installed", ["1.2.0", "1.2", "1.2.0.post1", "1.10.3", "1.99.0rc1", "0!1.5"])
def test_what_is_supported_is_imported(installed: str, supported: Any) -> None:
    supported(installed)
    with extra_imports("one-two"):
        import json
    assert json


@pytest.mark.parametrize(
    ("installed", "floor", "below", "words"),
    [
        ("1.1.9", "1.2.0", "2", "1.2.0 and later, below 2"),
        ("0.9", "1.2.0", "2", "1.2.0 and later, below 2"),
        ("2.0.0", "1.2.0", "2", "1.2.0 and later, below 2"),
        ("2", "1.2.0", "2", "1.2.0 and later, below 2"),
        ("2.0.0rc1", "1.2.0", "2", "1.2.0 and later, below 2"),
        ("10.1", "1.2.0", "2", "1.2.0 and later, below 2"),
        ("0.15.1", "0.14", "0.15", "0.14 and later, below 0.15"),
        ("1.0", "1.2.0", "", "1.2.0 and later"),
        ("unknown", "1.2.0", "", "1.2.0 and later"),
    ],
)
def test_another_version_is_refused_with_the_range(
    installed: str, floor: str, below: str, words: str, supported: Any
) -> None:
    supported(installed, floor, below)
    with pytest.raises(ImportError) as caught, extra_imports("one-two"):
        raise AssertionError("nothing is imported")
    assert str(caught.value) == f"{MODULE} supports one {words}, not {installed}: {INSTALL}"
    assert caught.value.name == "one"
    assert type(caught.value) is ImportError


def test_without_an_upper_limit_every_newer_version_is_taken(supported: Any) -> None:
    supported("2026.11", below="")
    with extra_imports("one-two"):
        pass


def test_a_missing_package_is_named_by_its_extra(supported: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    supported("1.2")

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_extra, "version", missing)
    with pytest.raises(ModuleNotFoundError) as caught, extra_imports("one-two"):
        raise AssertionError("nothing is imported")
    assert str(caught.value) == f"{MODULE} requires its extra: {INSTALL}"
    assert caught.value.name == "one"
    assert caught.value.__suppress_context__


def test_half_of_an_installation_is_named_by_its_extra(supported: Any) -> None:
    supported("1.2")
    with pytest.raises(ModuleNotFoundError) as caught, extra_imports("one-two"):
        import no_such_package  # type: ignore[import-not-found] # noqa: F401 - that it is not there is the test
    assert str(caught.value) == f"{MODULE} requires its extra: {INSTALL}"
    assert caught.value.name == "no_such_package"


def test_an_older_python_is_named_before_the_package(supported: Any) -> None:
    newer = f"3.{sys.version_info[1] + 1}"
    supported("1.2", python=newer)
    with pytest.raises(ModuleNotFoundError) as caught, extra_imports("one-two"):
        raise AssertionError("nothing is imported")
    assert str(caught.value) == f"{MODULE} requires Python {newer} or later and its extra: {INSTALL}"


def test_other_errors_of_an_import_stay_what_they_are(supported: Any) -> None:
    supported("1.2")
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'json'"), extra_imports("one-two"):
        from json import nothing  # type: ignore[attr-defined] # noqa: F401 - that it is not there is the test
