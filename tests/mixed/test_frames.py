"""How deep a call goes: the frames of the library when a request is written to the socket."""

from __future__ import annotations

import socket
import sys
from typing import Any, List

import pytest

from sekha import SekhaClient
from support import facts
from support.replies import answer
from support.server import FakeServer


def test_a_warm_query_is_written_below_few_frames(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    stacks: List[List[str]] = []
    send = socket.socket.send

    def noted(self: socket.socket, *arguments: Any) -> int:
        modules: List[str] = []
        frame = sys._getframe(1)
        while frame is not None:
            modules.append(frame.f_globals["__name__"])
            frame = frame.f_back  # type: ignore[assignment]  # the last one has none, which ends the loop
        stacks.append([module for module in modules if module.startswith("sekha.")])
        return send(self, *arguments)

    server.always("POST /api/v1/query", answer(facts.hits(facts.hit())))
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        client.controller.query("warm")
        monkeypatch.setattr(socket.socket, "send", noted)
        client.controller.query("x")
    (frames,) = [stack for stack in stacks if "sekha._sync.transport" in stack]
    assert len(frames) <= 11, frames
    assert frames.count("sekha._sync.transport") <= 5
    assert frames[-2:] == ["sekha._sync.controller.client", "sekha._transport.spans"]
