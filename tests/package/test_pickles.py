"""Pickles of public classes go both ways between version 0.2 and this one."""

from __future__ import annotations

import base64
import pickle
from enum import Enum
from importlib import import_module
from typing import Any

import pytest
from typing_extensions import is_typeddict

from sekha import SekhaConfig, SekhaInUseError, SekhaNotFoundError, WaitEvent
from sekha.memory import Recalled, Scope, ToolResult
from support import pickles, surface

KEPT = [pytest.param(*one, id=f"{one[0]}-{one[1]}") for one in pickles.kept()]


@pytest.fixture(scope="module")
def examples() -> Any:
    return pickles.examples()


@pytest.mark.parametrize(("name", "protocol", "data"), KEPT)
def test_what_version_0_2_has_pickled_is_loaded_whole(name: str, protocol: int, data: bytes, examples: Any) -> None:
    loaded = pickle.loads(data)
    assert pickles.facts(loaded) == pickles.facts(examples[name])
    assert repr(loaded) == repr(examples[name])
    assert getattr(loaded, "args", None) == getattr(examples[name], "args", None)


@pytest.mark.parametrize(("name", "protocol", "data"), KEPT)
def test_version_0_2_finds_all_that_our_pickles_name(name: str, protocol: int, data: bytes, examples: Any) -> None:
    ours = base64.b64decode(pickles.dumped(examples[name], protocol))
    assert pickles.taken(ours) == pickles.taken(data)
    if not isinstance(examples[name], list) or not isinstance(examples[name][0], Enum):  # Pythons differ in these
        assert pickles.words(ours) - pickles.MARKS == pickles.words(data)


def test_a_pickle_of_each_public_class_is_kept(examples: Any) -> None:
    modules = map(import_module, surface.MODULES)
    exported = [getattr(module, name) for module in modules for name in module.__all__]
    public = {one for one in exported if isinstance(one, type) and not is_typeddict(one)}
    values = {type(one[0] if type(one) is list else one) for one in examples.values()}
    assert {cls.__name__ for cls in public - values} == pickles.NO_VALUES | pickles.NEW
    assert {name for name, _, _ in pickles.kept()} == set(examples)


def test_what_is_new_can_be_pickled() -> None:
    event = WaitEvent("rate_limit", "controller", 1.5)
    new = [event, Recalled(), Scope("shop", "ann", "s1"), ToolResult("Remembered.")]
    for value in new:
        assert pickle.loads(pickle.dumps(value)) == value
    problem = SekhaInUseError("another import uses it")
    assert vars(pickle.loads(pickle.dumps(problem))) == vars(problem)
    assert {type(value).__name__ for value in (*new, problem)} == pickles.NEW


def test_version_0_2_reads_an_error_with_headers() -> None:
    plain, told = SekhaNotFoundError("no", 404), SekhaNotFoundError("no", 404)
    told._headers = {"x-request-id": "r-1"}
    for protocol in pickles.PROTOCOLS:
        assert pickles.taken(pickle.dumps(told, protocol)) == pickles.taken(pickle.dumps(plain, protocol))
        loaded = pickle.loads(pickle.dumps(told, protocol))
        assert (dict(loaded.headers), loaded.request_id) == ({"x-request-id": "r-1"}, "r-1")
    assert "_headers" not in vars(plain)


def test_a_config_has_the_new_settings_in_its_pickle_if_they_were_given() -> None:
    assert pickle.loads(pickle.dumps(SekhaConfig(rate_limit_requests=None))).rate_limit_requests is None
    assert pickle.loads(pickle.dumps(SekhaConfig(on_wait=print))).on_wait is print
    assert vars(pickle.loads(pickle.dumps(SekhaConfig()))) == {"_given": frozenset()}


def test_an_old_config_knows_what_was_given() -> None:
    old = {name: pickle.loads(data) for name, _, data in pickles.kept() if name.startswith(("SekhaConfig,", "Client"))}
    assert vars(old["SekhaConfig, empty"]) == {"_given": frozenset()}
    assert vars(old["ClientConfig"])["_given"] == {name for name in vars(old["ClientConfig"]) if name != "_given"}
