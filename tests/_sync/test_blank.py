# Generated from tests/_async/test_blank.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Messages of which none says anything are refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import SekhaClient, SekhaValidationError
from support import facts
from support.replies import answer
from support.server import FakeServer

NOTHING: Any = {"role": "user", "content": " \n\t"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": ""}],
        [NOTHING],
        [NOTHING, {"role": "assistant", "content": "\u3000"}],
        [{"role": "user", "content": []}],
        [{"role": "user", "content": [{"type": "text", "text": " "}]}],
    ],
)
def test_blank_messages_are_refused(messages: Any, client: SekhaClient) -> None:
    for call in (client.controller.create_conversation, client.mcp.memory_store):
        with pytest.raises(SekhaValidationError, match="must not all be blank") as caught:
            call(messages=messages)
        assert (caught.value.field, caught.value.sent) == ("messages", False)
    with pytest.raises(SekhaValidationError, match="must not all be blank"):
        client.store_and_query(messages, "x")


@pytest.mark.parametrize(
    "messages", [[], [NOTHING, {"role": "user", "content": "."}], [{"role": "user", "content": [IMAGE]}]]
)
def test_what_says_something_is_stored(messages: Any, client: SekhaClient, server: FakeServer) -> None:
    server.on("POST /api/v1/conversations", answer(facts.CREATED, 201))
    client.controller.create_conversation(messages=messages)
    assert server.only.json["messages"] == messages


def test_an_import_tells_of_a_blank_conversation(client: SekhaClient) -> None:
    report = client.controller.import_conversations([{"messages": [NOTHING]}, {"messages": []}])
    assert (report["stored"], report["empty"]) == (0, 1)
    (failure,) = report["failures"]
    assert (failure["position"], failure["error"]) == (1, "messages: must not all be blank")
