"""Options of a view: keys, headers, deadline."""

from __future__ import annotations

import pytest

from sekha._api.model import Service
from sekha._transport.options import (
    CallOptions,
    bridge_keys,
    controller_keys,
    key_overrides,
    merge_keys,
    option_overrides,
)
from sekha._utils.redaction import Secret
from sekha.config import SekhaConfig
from sekha.errors import SekhaConfigError
from unit.vectors import CANARY

URL = "http://localhost:8080"


# ---- which key goes where ---------------------------------------------------------------------------------------


def revealed(keys: dict[Service, Secret]) -> dict[str, tuple[str, str]]:
    return {service.value: (secret.name, secret.reveal()) for service, secret in keys.items()}


def test_the_key_for_everything_goes_to_rest_and_to_the_tools_but_never_to_the_bridge() -> None:
    config = SekhaConfig(controller_url=URL, api_key="main", bridge_url=URL)
    assert revealed(controller_keys(config)) == {"controller": ("api_key", "main"), "mcp": ("api_key", "main")}
    assert bridge_keys(config) == {}


def test_each_service_gets_its_own_key() -> None:
    config = SekhaConfig(controller_url=URL, api_key="main", mcp_api_key="tools", bridge_api_key="models")
    assert revealed(controller_keys(config)) == {"controller": ("api_key", "main"), "mcp": ("mcp_api_key", "tools")}
    assert revealed(bridge_keys(config)) == {"bridge": ("bridge_api_key", "models")}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"api_key": "a"}, {"api_key": "b"}, {"controller": "b", "mcp": "b"}),
        ({"api_key": "a", "mcp_api_key": "m"}, {"api_key": "b"}, {"controller": "b", "mcp": "m"}),
        ({"api_key": "a", "mcp_api_key": "m"}, {"mcp_api_key": "n"}, {"controller": "a", "mcp": "n"}),
        ({"api_key": "a", "mcp_api_key": "m"}, {"api_key": "b", "mcp_api_key": "n"}, {"controller": "b", "mcp": "n"}),
        ({"api_key": "a"}, {"mcp_api_key": "m"}, {"controller": "a", "mcp": "m"}),
        ({"api_key": "a"}, {"bridge_api_key": "c"}, {"controller": "a", "mcp": "a", "bridge": "c"}),
        ({"api_key": "a"}, {}, {"controller": "a", "mcp": "a"}),
    ],
)
def test_a_view_changes_the_keys_it_was_given_and_no_others(
    old: dict[str, str], new: dict[str, str], expected: dict[str, str]
) -> None:
    before = key_overrides(**old)
    merged = merge_keys(before, key_overrides(**new))
    assert {service.value: secret.reveal() for service, secret in merged.items()} == expected
    assert revealed(before) == revealed(key_overrides(**old)), "the parent keeps its keys"


@pytest.mark.promise("S1", "S2")
@pytest.mark.parametrize("name", ["api_key", "mcp_api_key", "bridge_api_key"])
@pytest.mark.parametrize("bad", ["", "  ", CANARY + "\n" + CANARY, CANARY + "\0x", CANARY + "\u20ac"])
def test_a_bad_key_of_a_view_is_refused_by_name_and_not_shown(name: str, bad: str) -> None:
    with pytest.raises(SekhaConfigError, match=f"^{name}: ") as caught:
        key_overrides(**{name: bad})
    assert CANARY[:8] not in str(caught.value)


# ---- options of a view ------------------------------------------------------------------------------------------


def test_a_view_changes_the_options_it_was_given_and_no_others() -> None:
    from sekha._utils.sentinel import NOT_GIVEN

    assert option_overrides({}, timeout=NOT_GIVEN, max_retries=NOT_GIVEN, deadline=NOT_GIVEN, headers=None) == {}
    assert option_overrides({}, timeout=None, max_retries=0) == {"timeout": None, "max_retries": 0}
    assert option_overrides({}, timeout=5) == {"timeout": 5.0}


def test_headers_of_a_view_come_on_top_of_its_parents() -> None:
    inherited = {"x-a": "1", "x-b": "2"}
    assert option_overrides(inherited, headers={"x-b": "3"}) == {"headers": {"x-a": "1", "x-b": "3"}}
    assert inherited == {"x-a": "1", "x-b": "2"}


def test_a_new_deadline_of_a_view_begins_with_its_calls() -> None:
    assert option_overrides({}, deadline=5) == {"deadline": 5.0, "deadline_at": None}
    assert option_overrides({}, deadline=None) == {"deadline": None, "deadline_at": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", float("nan")),
        ("timeout", "5"),
        ("timeout", True),
        ("deadline", 0),
        ("deadline", float("inf")),
        ("max_retries", -1),
        ("max_retries", 1.0),
        ("max_retries", True),
        ("max_retries", None),
        ("headers", {"x": "a\nb"}),
        ("headers", {"x y": "a"}),
        ("headers", [("x", "y")]),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SekhaConfigError, match=f"^{name}: "):
        option_overrides({}, **{name: value})


# ---- requests ----------------------------------------------------------------------------------------------------


@pytest.mark.promise("R4")
def test_a_deadline_becomes_a_moment_once() -> None:
    options = CallOptions(deadline=5.0)
    assert options.time_left(100.0) is None
    begun = options.start_deadline(100.0)
    assert begun.deadline_at == 105.0
    assert begun.start_deadline(103.0) is begun, "a workflow shares one deadline"
    assert begun.time_left(104.0) == 1.0
    assert begun.time_left(106.0) == -1.0
    assert CallOptions().start_deadline(100.0).time_left(1e9) is None
