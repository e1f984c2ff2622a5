"""Ids cannot leave their segment of a path (S4): every method with an id, in both flavours, with any text."""

from __future__ import annotations

import inspect
import re
from typing import Any, Dict, Iterator, List, Tuple
from uuid import UUID

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import sekha
from sekha import SekhaError, SekhaValidationError
from sekha._api.endpoints import ENDPOINTS
from support.facts import ID, REST_KEY

FLAVOURS = {
    "Async": [sekha.AsyncSekhaClient, sekha.AsyncMemoryController, sekha.AsyncMCPClient, sekha.AsyncBridgeClient],
    "": [sekha.SekhaClient, sekha.MemoryController, sekha.MCPClient, sekha.BridgeClient],
}
MORE: Dict[str, Dict[str, Any]] = {
    "update_label": {"label": "L", "folder": "/"},
    "update_folder": {"folder": "/"},
    "replace_conversation": {"messages": [{"role": "user", "content": "x"}]},
    "memory_update": {"label": "L", "folder": "/"},
}
"""What a method needs besides the id."""

OFFERED = {
    "get_conversation",
    "get_messages",
    "replace_conversation",
    "update_label",
    "update_folder",
    "pin_conversation",
    "archive_conversation",
    "delete_conversation",
    "summarize",
    "suggest_labels",
    "prune_execute",
    "memory_update",
    "memory_get_context",
    "memory_export",
}
TEMPLATES = [(row.method, re.compile(re.escape(row.path).replace(r"\{id\}", "[^/]+"))) for row in ENDPOINTS]


def methods(flavour: str) -> Iterator[Tuple[str, str, str]]:
    """Service, method and parameter of everything that takes an id."""
    for cls in FLAVOURS[flavour]:
        service = {"MemoryController": "controller", "MCPClient": "mcp", "BridgeClient": "bridge"}.get(
            cls.__name__.replace("Async", ""), ""
        )
        for name, method in inspect.getmembers(cls, callable):
            if not name.startswith("_"):
                for parameter in inspect.signature(method).parameters:
                    if re.search(r"(^|_)ids?$", parameter):
                        yield service, name, parameter


def outcomes(flavour: str, text: Any) -> Iterator[Tuple[str, List[httpx.Request], SekhaError]]:
    """What each method sends for an id, and how it fails with a server that answers everything with 404."""
    seen: List[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, json={"error": "no"})

    def call(client: Any, service: str, name: str, parameter: str) -> Any:
        argument = [text] if parameter.endswith("s") else text
        return getattr(getattr(client, service), name)(**{parameter: argument, **MORE.get(name, {})})

    url = "http://sekha.test/prefix"
    options: Any = {"controller_url": url, "bridge_url": url, "api_key": REST_KEY, "max_retries": 0}
    found: List[Tuple[str, List[httpx.Request], SekhaError]] = []

    async def calls() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as lent:
            client = sekha.AsyncSekhaClient(**options, http_client=lent)
            for service, name, parameter in methods(flavour):
                seen.clear()
                with pytest.raises(SekhaError) as caught:
                    await call(client, service, name, parameter)
                found.append((name, list(seen), caught.value))

    if flavour:
        anyio.run(calls)
    else:
        with httpx.Client(transport=httpx.MockTransport(refuse)) as lent:
            client = sekha.SekhaClient(**options, http_client=lent)
            for service, name, parameter in methods(flavour):
                seen.clear()
                with pytest.raises(SekhaError) as caught:
                    call(client, service, name, parameter)
                found.append((name, list(seen), caught.value))
    yield from found


@pytest.mark.promise("S4")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_method_with_an_id_is_looked_at_and_reaches_every_path_with_one(flavour: str) -> None:
    assert {name for _, name, _ in methods(flavour)} == OFFERED
    paths = set()
    for name, seen, error in outcomes(flavour, ID):
        assert seen, name
        assert error.sent, name
        paths |= {(request.method, request.url.path.replace(ID, "{id}")) for request in seen}
    with_id = {(row.method, "/prefix" + row.path) for row in ENDPOINTS if "{id}" in row.path}
    assert with_id <= paths


SEPARATORS = ["/", "..", "/../", "%2f", "%2F..", "\\", "?x=", "#", ";", "\n", "\0", "@evil", "//evil", ":", " "]
near_ids = st.builds(
    lambda start, middle, end: f"{start}{middle}{end}",
    st.sampled_from(["", ID, ID[:8], "count"]),
    st.sampled_from(SEPARATORS) | st.text(max_size=5),
    st.sampled_from(["", ID, "label", "pin", "count"]),
)
uuids = st.uuids().flatmap(
    lambda one: st.sampled_from([str(one), one.hex, one.urn, str(one).upper(), f"{{{one}}}", one])
)


@pytest.mark.promise("S4")
@pytest.mark.parametrize("flavour", FLAVOURS)
@given(text=st.text() | near_ids | uuids)
@example(text="")
@example(text="..")
@example(text=f"../{ID}")
@example(text=f"{ID}/../../query")
@example(text=f"{ID}%2fpin")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_text_leaves_its_segment(flavour: str, text: Any) -> None:
    for name, seen, error in outcomes(flavour, text):
        if not seen:
            assert isinstance(error, SekhaValidationError), name
            assert (error.sent, error.attempts) == (False, 0)
        for request in seen:
            path = request.url.raw_path.decode().partition("?")[0]
            assert path.startswith("/prefix/")
            assert (request.url.host, request.url.fragment) == ("sekha.test", "")
            fitting = [
                template
                for method, template in TEMPLATES
                if method == request.method and template.fullmatch(path[len("/prefix") :])
            ]
            assert fitting, path
            ids = [segment for segment in path.split("/") if "-" in segment and segment not in ("dry-run",)]
            assert all(str(UUID(segment)) == segment for segment in ids), path
