# Generated from tests/_async/test_folders.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Folders that a caller names are sent in one form; what is no folder is refused by the name of its argument."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import SekhaClient, SekhaValidationError
from support import facts
from support.facts import ID, MESSAGES
from support.replies import answer, empty
from support.server import FakeServer

CALLS: dict[str, Any] = {
    "controller.create_conversation": {"messages": MESSAGES},
    "controller.replace_conversation": {"conversation_id": ID, "messages": MESSAGES},
    "controller.update_label": {"conversation_id": ID, "label": "L"},
    "controller.update_folder": {"conversation_id": ID},
    "controller.list_conversations": {},
    "controller.count_conversations": {},
    "controller.delete_conversations": {},
    "mcp.memory_store": {"messages": MESSAGES},
    "mcp.memory_search": {"query": "x"},
    "mcp.memory_stats": {},
    "mcp.memory_update": {"conversation_id": ID},
    "store_and_query": {"messages": MESSAGES, "query": "x"},
}


def method(client: SekhaClient, name: str) -> Any:
    """A method by its name."""
    found: Any = client
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("folder", ["/work/../x", ".", " ", "/a\u2028b", "/a\tb"])
@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_folder_is_refused(name: str, folder: str, client: SekhaClient) -> None:
    with pytest.raises(SekhaValidationError, match="folder: must not") as caught:
        method(client, name)(**CALLS[name], folder=folder)
    assert (caught.value.field, caught.value.sent) == ("folder", False)


def test_what_is_no_folder_is_refused_inside_other_arguments(client: SekhaClient) -> None:
    for call, field in (
        (lambda: client.controller.query("x", filters={"folder": ".."}), "filters.folder"),
        (lambda: client.controller.assemble_context("x", excluded_folders=["/a", "/b/.."]), "excluded_folders[1]"),
        (lambda: client.complete_with_context("x", "x", excluded_folders=[" "]), "excluded_folders[0]"),
    ):
        with pytest.raises(SekhaValidationError) as caught:
            call()
        assert (caught.value.field, caught.value.sent) == (field, False)


@pytest.mark.parametrize("folder", ["work/a", "/work//a/", "  /work/a  "])
def test_a_folder_is_sent_in_one_form(folder: str, client: SekhaClient, server: FakeServer) -> None:
    server.on("POST /api/v1/conversations", answer(facts.CREATED, 201))
    client.controller.create_conversation(messages=MESSAGES, folder=folder)
    server.on(f"PUT /api/v1/conversations/{ID}/label", empty(200))
    client.controller.update_label(ID, label="L", folder=folder)
    assert [seen.json["folder"] for seen in server.seen] == ["/work/a"] * 2
    server.on("POST /api/v1/context/assemble", answer([]))
    client.controller.assemble_context("x", excluded_folders=[folder])
    assert server.seen[-1].json["excluded_folders"] == ["/work/a/"]  # the server compares prefixes


def test_what_the_server_has_goes_back_as_it_was(client: SekhaClient, server: FakeServer) -> None:
    """Older versions stored folders as they were given."""
    server.on(f"GET /api/v1/conversations/{ID}", answer({**facts.CREATED, "folder": "work//../a/"}))
    server.on(f"PUT /api/v1/conversations/{ID}/label", empty(200))
    client.controller.update_label(ID, label="L")
    assert server.seen[-1].json["folder"] == "work//../a/"


def test_one_folder_is_found_under_each_of_its_forms(local: SekhaClient) -> None:
    for folder in ("work", "/work", "/work/", "//work"):
        local.controller.create_conversation(messages=MESSAGES, folder=folder)
    for folder in ("work", "/work//"):
        assert (local.controller.count_conversations(folder=folder))["count"] == 4
        assert len((local.controller.query("x", filters={"folder": folder}))["results"]) == 4 * len(MESSAGES)
    assert (local.mcp.memory_stats())["folders"] == ["/work"]
